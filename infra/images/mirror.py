"""Where this machine's apt finds Debian, and when that was last written: nothing of it stands in this project."""

from __future__ import annotations

import email.utils
import re
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.core.error import ToolError
from infra.toolchain.command import Commands, output_of

SUITE = "bookworm"
_SUITES = (SUITE, f"{SUITE}-updates", f"{SUITE}-security")
_HELPER = Path("/usr/lib/apt/apt-helper")
_PATIENCE = 120.0
_FORMAT = "$(REPO_URI) $(RELEASE) $(COMPONENT)"


@dataclass(frozen=True, kw_only=True)
class Mirror:
    """One suite of Debian at an address that this machine's apt is told."""

    address: str
    suite: str

    @property
    def line(self) -> str:
        """As it stands in a `sources.list`."""
        return f"deb {self.address} {self.suite} main"


def mirrors(environ: Mapping[str, str]) -> list[Mirror]:
    """The suites of Debian that images are made from: the release, its updates and its security updates.

    Raises ToolError with the remedy if apt knows no mirror of the release, or there is no apt.
    """
    apt = shutil.which("apt-get", path=environ.get("PATH", ""))
    told = output_of([apt, "indextargets", "--format", _FORMAT, "Created-By: Packages"], environ) if apt else ""
    found = [line.split() for line in told.splitlines()]
    known = {words[1]: words[0] for words in found if len(words) == 3 and words[2] == "main"}
    if SUITE not in known:
        raise ToolError(
            f"this machine's apt knows no mirror of Debian {SUITE}, which the images are made of",
            where="/etc/apt/sources.list.d",
            fix=f"add one (`deb ADDRESS {SUITE} main`), or build on a machine with Debian 12",
        )
    return [Mirror(address=known[suite], suite=suite) for suite in _SUITES if suite in known]


def written(found: list[Mirror], environ: Mapping[str, str], commands: Commands, work: Path) -> int:
    """When the youngest of the suites was written, in seconds since 1970: what a system made now is as new as.

    Raises ToolError if a mirror doesn't answer.
    """
    times = []
    for mirror in found:
        release = work / f"{mirror.suite}.release"
        address = f"{mirror.address.rstrip('/')}/dists/{mirror.suite}/InRelease"
        command = [str(_HELPER), "download-file", address, str(release)]
        try:
            commands.run(command, environ=environ, log=work / "log", timeout=_PATIENCE)
        except ToolError as error:
            raise ToolError(
                f"the mirror of Debian {mirror.suite} gives nothing",
                where="/etc/apt/sources.list.d",
                detail=error.detail,
                fix="see that `apt-get update` works here",
            ) from error
        times.append(release_time(release.read_text(), where=mirror.suite))
    return max(times)


def release_time(text: str, *, where: str) -> int:
    """The time that an `InRelease` file gives itself. Raises ToolError if it gives none."""
    match = re.search(r"^Date: (.+)$", text, re.MULTILINE)
    try:
        if match is None:
            raise ValueError
        return int(email.utils.parsedate_to_datetime(match[1]).timestamp())
    except ValueError as error:
        raise ToolError("the mirror's InRelease file has no date", where=where) from error


def apt_options(environ: Mapping[str, str]) -> str:
    """How this machine's apt reaches its mirrors (proxies, certificates, timeouts), as an apt configuration."""
    return output_of(["apt-config", "dump", "--format", '%F "%v";%n', "Acquire"], environ)
