"""The remedy of a check, carried out where nobody need be asked for it."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable

from infra.core.progress import Progress
from infra.operations.check import Check, Verdict


def may_install() -> tuple[str, ...] | None:
    """The prefix under which system packages can be installed without a question, or None where they can't."""
    if os.geteuid() == 0:
        return ()
    if shutil.which("sudo") is None:
        return None
    asked = subprocess.run(["sudo", "-n", "true"], capture_output=True, check=False)
    return ("sudo", "-n") if asked.returncode == 0 else None


def mended(check: Check, again: Callable[[], Check], progress: Progress) -> Check:
    """The check after its remedy, where that is a command that may be run without a password; `again` looks anew."""
    prefix = may_install() if check.install else None
    if prefix is None:
        return check
    progress.start(check.name, " ".join(check.install))
    for command in (("apt-get", "update"), check.install):
        subprocess.run([*prefix, *command], capture_output=True, check=False)
    found = again()
    if found.verdict is Verdict.FINE:
        progress.done(check.name, f"{found.found}, installed")
    return found
