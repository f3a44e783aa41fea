"""The token of a job: made from the job's id with a key of the instance, so that none is stored.

A job opens the repository and the API with it while it runs; later jobs of its pipeline fetch its artifacts with it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from dataclasses import dataclass, field

from infra.lab.gitlab.instance import Instance

PREFIX = "glcbt-"
_FORM = re.compile(r"glcbt-(?P<job>[0-9a-f]{1,15})_(?P<proof>[a-z2-7]{32})")


@dataclass(frozen=True, kw_only=True)
class JobTokens:
    """Makes and reads job tokens."""

    key: bytes = field(repr=False)

    @classmethod
    def of(cls, instance: Instance) -> JobTokens:
        """Those of this instance; the same after a restart."""
        return cls(key=instance.key("job-token"))

    def issue(self, job_id: int) -> str:
        """The token of a job."""
        return f"{PREFIX}{job_id:x}_{self._proof(job_id)}"

    def job_id(self, token: str) -> int | None:
        """Whose token this is; None when we never made it. Says nothing about whether that job runs."""
        match = _FORM.fullmatch(token)
        if match is None:
            return None
        job_id = int(match["job"], 16)
        return job_id if hmac.compare_digest(token, self.issue(job_id)) else None

    def _proof(self, job_id: int) -> str:
        digest = hmac.new(self.key, str(job_id).encode(), hashlib.sha256).digest()[:20]
        return base64.b32encode(digest).decode().lower()
