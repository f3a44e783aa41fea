"""The error of a CI configuration, with GitLab's own texts."""

from __future__ import annotations

from collections.abc import Sequence

from infra.core.error import BadInputError


class ConfigError(BadInputError):
    """The configuration can't be a pipeline. `messages` are what GitLab shows as `yaml_errors` and in CI lint."""

    def __init__(self, messages: Sequence[str], *, merged_yaml: str = "") -> None:
        self.messages = list(messages)
        self.merged_yaml = merged_yaml
        super().__init__(", ".join(self.messages), where=".gitlab-ci.yml", fix="correct the CI configuration")
