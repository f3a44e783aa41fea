"""Quick actions: lines of a text that do something in GitLab. They do nothing here, so such a text is refused."""

from __future__ import annotations

import re

from infra.lab.gitlab.api.error import message

_NAMES = (
    *("approve", "assign", "assign_reviewer", "award", "clone", "close", "confidential", "copy_metadata"),
    *("create_merge_request", "done", "draft", "due", "duplicate", "estimate", "estimate_time", "label", "labels"),
    *("lock", "merge", "milestone", "move", "ready", "reassign", "reassign_reviewer", "rebase", "relabel", "relate"),
    *("remove_due_date", "remove_estimate", "remove_label", "remove_milestone", "remove_time_spent", "reopen"),
    *("request_review", "reviewer", "spend", "spent", "submit_review", "subscribe", "tag", "target_branch", "title"),
    *("todo", "unapprove", "unassign", "unassign_reviewer", "unlabel", "unlock", "unsubscribe"),
)
"""GitLab's documentation, "Quick actions": those of the free edition for issues and merge requests."""

_LINE = re.compile(rf"^/({'|'.join(_NAMES)})(?:[ \t]|$)", re.MULTILINE | re.IGNORECASE)
_CODE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)


def refuse_quick_actions(text: str | None) -> None:
    """501 for a text with a line that GitLab would act on. What stands in a block of code is only shown."""
    if found := _LINE.search(_CODE.sub("", text or "")):
        raise message(501, f"501 Not Implemented: the quick action /{found[1]} is not part of the embedded GitLab")
