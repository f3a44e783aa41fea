"""The smaller keywords of a job: environment, retry, allow_failure, id_tokens, hooks, image, coverage, inherit."""

from __future__ import annotations

import re
from collections.abc import Collection

from pipelines.language import duration
from pipelines.language.entry import Entry
from pipelines.language.model import Environment, IdToken, Image, Retry
from pipelines.language.pattern import PatternError, slashed

RETRY_LIMIT = 2
RETRY_WHEN = (
    "always",
    "unknown_failure",
    "script_failure",
    "api_failure",
    "stuck_or_timeout_failure",
    "runner_system_failure",
    "runner_unsupported",
    "stale_schedule",
    "job_execution_timeout",
    "archived_failure",
    "unmet_prerequisites",
    "scheduler_failure",
    "data_integrity_failure",
)
_TIERS = ("production", "staging", "testing", "development", "other")
_ACTIONS = ("start", "stop", "prepare", "verify", "access")
_ENVIRONMENT_NAME = re.compile(r"[a-zA-Z0-9_/\\${}. -]+")
_ENVIRONMENT_MESSAGE = (
    "can contain only letters, digits, '-', '_', '/', '$', '{', '}', '.', and spaces, "
    "but it cannot start or end with '/'"
)


def read_environment(entry: Entry) -> Environment | None:
    """`environment`, its name as written."""
    if not entry.given:
        return None
    if isinstance(entry.value, str):
        entry = Entry(entry.where, {"name": entry.value}, entry.problems)
    if not isinstance(entry.value, dict):
        entry.problem("config should be a hash or a string")
        return None
    entry.is_mapping(("name", "url", "action", "on_stop", "auto_stop_in", "deployment_tier"), refused=("kubernetes",))
    name = entry.value.get("name")
    if not name:
        entry.problem("name can't be blank")
        return None
    if not isinstance(name, str) or not _ENVIRONMENT_NAME.fullmatch(name) or name != name.strip("/"):
        entry.problem(f"name {_ENVIRONMENT_MESSAGE}")
        return None
    _check_auto_stop(entry)
    return Environment(
        name=name,
        template=name,
        url=_same(entry, "url").string("url"),
        action=_same(entry, "action").choice(
            _ACTIONS, "start", "action should be start, stop, prepare, verify, or access"
        ),
        on_stop=_same(entry, "on_stop").string("on stop"),
        deployment_tier=_same(entry, "deployment_tier").choice(
            _TIERS, "", "deployment tier must be one of production, staging, testing, development, or other"
        )
        or None,
        auto_stop_in=_same(entry, "auto_stop_in").string("auto stop in"),
    )


def _same(entry: Entry, key: str) -> Entry:
    return Entry(entry.where, entry.value.get(key), entry.problems)


def _check_auto_stop(entry: Entry) -> None:
    text = entry.value.get("auto_stop_in")
    if isinstance(text, str) and "$" not in text:
        try:
            duration.parse(text)
        except ValueError:
            entry.problem("auto stop in should be a duration")


def read_retry(entry: Entry) -> Retry:
    """`retry`: a number, or a mapping. GitLab does not say in which job a wrong one is."""
    entry = Entry("retry", entry.value, entry.problems)
    value = entry.value
    if value is None:
        return Retry()
    if isinstance(value, dict):
        if not entry.is_mapping(("max", "when", "exit_codes")):
            return Retry()
        when = entry.value.get("when")
        reasons = (when,) if isinstance(when, str) else _same(entry, "when").strings("when", single=True)
        unknown = [reason for reason in reasons if reason not in RETRY_WHEN]
        if unknown:
            single = isinstance(when, str)
            entry.problem(
                "when is not included in the list" if single else "when contains unknown values: " + ", ".join(unknown)
            )
        codes = _exit_codes(_same(entry, "exit_codes"), "exit codes")
        maximum = _retry_max(_same(entry, "max"), "max")
        return Retry(max=maximum, when=reasons or (() if codes else ("always",)), exit_codes=codes)
    return Retry(max=_retry_max(entry, "config"))


def _retry_max(entry: Entry, attribute: str) -> int:
    value = entry.value
    if value is None:
        return 0
    if not isinstance(value, int) or isinstance(value, bool):
        entry.problem(
            "config has to be either an integer or a hash" if attribute == "config" else "max is not a number"
        )
        return 0
    if value < 0:
        entry.problem(f"{attribute} must be greater than or equal to 0")
        return 0
    if value > RETRY_LIMIT:
        entry.problem(f"{attribute} must be less than or equal to {RETRY_LIMIT}")
        return 0
    return value


def _exit_codes(entry: Entry, attribute: str) -> tuple[int, ...]:
    if entry.value is None:
        return ()
    codes = entry.value if isinstance(entry.value, list) else [entry.value]
    if not all(isinstance(code, int) and not isinstance(code, bool) for code in codes):
        entry.problem(f"{attribute} should be an array of integers or an integer")
        return ()
    return tuple(codes)


def read_allow_failure(entry: Entry, *, manual: bool) -> tuple[bool, tuple[int, ...]]:
    """Whether failure is allowed, and the exit codes with which it is. Without the keyword: for manual jobs."""
    if entry.value is None:
        return manual, ()
    if isinstance(entry.value, dict):
        if entry.is_mapping(("exit_codes",)) and "exit_codes" in entry.value:
            return False, _exit_codes(_same(entry, "exit_codes"), "exit codes")
        entry.problem("config missing required keys: exit_codes")
        return False, ()
    if not isinstance(entry.value, bool):
        entry.problem("config should be a hash or a boolean value")
        return False, ()
    return entry.value, ()


def read_id_tokens(entry: Entry) -> tuple[IdToken, ...]:
    """`id_tokens`, audiences as written."""
    if not entry.given or not isinstance(entry.value, dict):
        if entry.given:
            entry.problem("config should be a hash")
        return ()
    tokens = []
    for name in entry.value:
        token = entry.get(name)
        if not token.is_mapping(("aud",)):
            continue
        if not token.get("aud").value:
            token.problem("config missing required keys: aud")
            continue
        tokens.append(IdToken(name=name, audiences=token.get("aud").strings(single=True)))
    return tuple(tokens)


def read_hooks(entry: Entry) -> tuple[str, ...]:
    """`hooks:pre_get_sources_script`."""
    if not entry.given or not entry.is_mapping(("pre_get_sources_script",)):
        return ()
    return entry.get("pre_get_sources_script").script()


def read_image(entry: Entry) -> Image | None:
    """`image`: a name, or a mapping."""
    if not entry.given:
        return None
    if isinstance(entry.value, str):
        return Image(name=entry.value)
    if not isinstance(entry.value, dict):
        entry.problem("config should be a hash or a string")
        return None
    entry.is_mapping(("name", "entrypoint", "pull_policy"), refused=("docker", "kubernetes", "ports"))
    if not isinstance(entry.value.get("name"), str):
        entry.problem("name can't be blank")
        return None
    return Image(
        name=entry.value["name"],
        entrypoint=_same(entry, "entrypoint").strings("entrypoint"),
        pull_policy=entry.get("pull_policy").strings(single=True),
    )


def read_coverage(entry: Entry) -> str | None:
    """`coverage`: the expression between its slashes."""
    if not entry.given:
        return None
    try:
        if not isinstance(entry.value, str):
            raise PatternError("not a string")
        slashed(entry.value)
    except PatternError:
        entry.problem("config must be a regular expression with re2 syntax")
        return None
    return entry.value[1 : entry.value.rindex("/")]


def read_inherit(entry: Entry, default_keys: Collection[str]) -> tuple[bool | frozenset[str], bool | frozenset[str]]:
    """What a job inherits of `default` and of the global variables: all, nothing, or these."""
    if not entry.given or not entry.is_mapping(("default", "variables")):
        return True, True
    keys = _selection(entry.get("default"))
    if isinstance(keys, frozenset) and (unknown := sorted(keys - set(default_keys))):
        entry.get("default").problem("config contains unknown values: " + ", ".join(unknown))
    return keys, _selection(entry.get("variables"))


def _selection(entry: Entry) -> bool | frozenset[str]:
    if entry.value is None or isinstance(entry.value, bool):
        return entry.value is not False
    if isinstance(entry.value, list):
        return frozenset(entry.strings())
    entry.problem("should be a bool or array of strings")
    return True
