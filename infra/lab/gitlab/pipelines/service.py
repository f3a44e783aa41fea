"""What the CI part of one instance keeps outside the database: logs, artifact files, keys."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from weakref import WeakKeyDictionary

from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.oidc import SigningKey
from infra.lab.gitlab.pipelines.artifact_file import ArtifactStore
from infra.lab.gitlab.pipelines.queue import Claims
from infra.lab.gitlab.pipelines.token import JobTokens
from infra.lab.gitlab.pipelines.trace import TraceStore

_KNOWN: WeakKeyDictionary[Instance, CiService] = WeakKeyDictionary()


@dataclass(frozen=True, kw_only=True)
class CiService:
    """The CI part of one instance. Get it with `CiService.of(instance)`."""

    data: Path
    traces: TraceStore
    artifacts: ArtifactStore
    tokens: JobTokens
    claims: Claims = field(default_factory=Claims)

    @classmethod
    def of(cls, instance: Instance) -> CiService:
        """That of this instance."""
        known = _KNOWN.get(instance)
        if known is None:
            data = instance.settings.data
            known = _KNOWN.setdefault(
                instance,
                cls(
                    data=data,
                    traces=TraceStore(root=data / "traces"),
                    artifacts=ArtifactStore(root=data / "artifacts"),
                    tokens=JobTokens.of(instance),
                ),
            )
        return known

    @cached_property
    def signing_key(self) -> SigningKey:
        """The key that signs ID tokens."""
        return SigningKey.load(self.data)
