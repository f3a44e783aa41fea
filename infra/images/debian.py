"""Layers of Debian packages: a system made by mmdebstrap, without what nobody reads in a container.

mmdebstrap does debootstrap's work with apt: several mirrors at once (so security updates are in), no root where user
namespaces may be used, and the same system from the same mirror (ADR 0012).
"""

from __future__ import annotations

import hashlib
import os
import re
import shlex
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from infra.core.error import ToolError
from infra.images.bill import debian_components, find_components
from infra.images.entry import FORGELINE, Entry, difference, from_tar, text
from infra.images.layer import Made
from infra.images.mirror import SUITE, apt_options, mirrors, written
from infra.images.part import Bench, Filling
from infra.images.trust import JAVA, PEM, java_truststore, own_authorities
from infra.toolchain.pin import machine

PROGRAM = "mmdebstrap"
MERGED = Path("/usr/share/mmdebstrap/hooks/merged-usr")
"""Its own way to a merged /usr: the package that merges one afterwards brings all of Perl, 50 MB."""
KEYRINGS = (Path("/usr/share/keyrings/debian-archive-keyring.gpg"), Path("/etc/apt/trusted.gpg.d"))
LOGINS = (Path("/etc/apt/auth.conf"), Path("/etc/apt/auth.conf.d"))
"""How mirrors are logged in to. Nothing of /etc/apt gets into a layer."""
APART = ("setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc")
"""How root runs it: what it mounts is nobody else's and goes with it, and it goes with the run that started it, even if
that is killed. (Another user's runs in namespaces of its own.)
"""
LIMIT = 1800.0
"""Seconds that a system may take."""

SYSTEM = "system.tar"
STATUS = "var/lib/dpkg/status"
_FORM = "3"
"""Of what this module makes of the packages: another form, another layer."""

_LEFT_OUT = re.compile(
    r"""
      (?:dev|proc|sys|run|tmp|boot|home|media|mnt|var/tmp|var/cache|var/lib/apt|var/log|etc/apt)/.+
    | usr/share/(?:man|info|locale|lintian|linda|bash-completion|doc-base|pixmaps|menu|bug)/.+
    | usr/share/doc/(?!.*/copyright$)[^/]+/.+
    | etc/(?:hostname|resolv\.conf|machine-id|\.pwd\.lock|(?:passwd|group|shadow|gshadow|subuid|subgid)-)
    | etc/dpkg/dpkg\.cfg\.d/99mmdebstrap
    | var/lib/dpkg/(?:[^/]+-old|lock|lock-frontend|triggers/Lock)
    | var/lib/(?:dbus|systemd)/.+
    | (?:.*/)?__pycache__(?:/.*)?
    | .*\.pyc
    """,
    re.VERBOSE,
)
"""Manuals, translations, what apt leaves, logs, what the container engine mounts, and byte code, which holds times."""

_REMEDY = (
    "see that `apt-get update` works here and that the disk isn't full; who isn't root needs user namespaces (uidmap, "
    "entries in /etc/subuid and /etc/subgid)"
)

_USER = f"forgeline:x:{FORGELINE}:{FORGELINE}:Forgeline:/srv:/usr/sbin/nologin\n"
_GROUP = f"forgeline:x:{FORGELINE}:\n"


@dataclass(frozen=True, kw_only=True)
class DebianPart:
    """Debian's essential packages and some more. Not the base itself: what it has more than the base."""

    name: str
    packages: tuple[str, ...]
    commands: tuple[str, ...] = ()
    """Run by a shell in the system when the packages are installed."""
    only: str = ""
    """The one folder of it that is wanted."""
    base: bool = False
    tools: tuple[str, ...] = ()

    def key(self, bench: Bench) -> str:
        """Differs when the packages asked for, the base or this machine's own authorities do."""
        content = hashlib.sha256(f"{_FORM}\n{machine()}\n{SUITE}\n{self}\n".encode())
        for path in own_authorities():
            content.update(path.read_bytes())
        if not self.base:
            below = bench.base()
            content.update((below.digest if below else "").encode())
        return content.hexdigest()[:16]

    def told(self, _bench: Bench) -> str:
        """For people."""
        return f"Debian {SUITE}: {' '.join(self.packages)}"

    def fill(self, bench: Bench, work: Path) -> Filling:
        """Let mmdebstrap make the system, and take what is new in it. Raises ToolError."""
        below = None if self.base else bench.base()
        if not self.base and below is None:
            raise ToolError("is made upon the base, which isn't there", where=self.name)
        time = self._make(bench, work)
        whole = tidy(from_tar(work / SYSTEM), time)
        old = {} if below is None else below.entries()
        if self.only:
            new = [entry for path, entry in whole.items() if f"{path}/".startswith(f"{self.only}/")]
        else:
            new = difference(whole, old)
        components = debian_components(whole[STATUS].read().decode())
        if old:
            known = debian_components(old[STATUS].read().decode())
            components = [one for one in components if one not in known]
        return new, Made(components=components + find_components(new, bench), time=time)

    def _make(self, bench: Bench, work: Path) -> int:
        """Make the system in `work`; returns when its mirrors were last written."""
        program = shutil.which(PROGRAM, path=bench.environ.get("PATH", ""))
        if program is None:
            raise ToolError(f"{PROGRAM} is missing; it makes Debian systems", fix=f"sudo apt-get install -y {PROGRAM}")
        environ = {**bench.environ, "LC_ALL": "C.UTF-8"}
        root = os.geteuid() == 0
        if root:
            # What a killed run leaves is found there. Another user's system is made in a user namespace, to which a
            # home folder may be closed.
            environ["TMPDIR"] = str(work)
        bench.say("asking the Debian mirror when it was last written")
        found = mirrors(environ)
        time = written(found, environ, bench.commands, work)
        bench.say(f"installing Debian packages: {' '.join(self.packages)}")
        with tempfile.TemporaryDirectory(prefix="forgeline-") as given:
            sources, options = Path(given) / "sources.list", Path(given) / "apt.conf"
            sources.write_text("".join(f"{mirror.line}\n" for mirror in found))
            options.write_text(apt_options(environ))
            Path(given).chmod(0o711)
            try:
                bench.commands.run(
                    [
                        *(APART if root else ()),
                        program,
                        *self._arguments(options),
                        SUITE,
                        str(work / SYSTEM),
                        str(sources),
                    ],
                    environ={**environ, "SOURCE_DATE_EPOCH": str(time)},
                    log=work / "log",
                    timeout=LIMIT,
                )
            except ToolError as error:
                detail = f"{error.what}\n{error.detail}"
                raise ToolError(f"{PROGRAM} made no system", where=self.name, detail=detail, fix=_REMEDY) from error
        return time

    def _arguments(self, options: Path) -> list[str]:
        # Before ca-certificates is installed, which then finds them.
        hooks = [f"--essential-hook={_copy(path, 'usr/local/share/ca-certificates')}" for path in own_authorities()]
        hooks += [
            f'--setup-hook=mkdir -p "$1/etc/apt" && cp -r {path} "$1/etc/apt/"' for path in LOGINS if path.exists()
        ]
        hooks += [f'--customize-hook=chroot "$1" sh -euc {shlex.quote(command)}' for command in self.commands]
        return [
            *("--variant=essential", "--format=tar", f"--include={','.join(self.packages)}"),
            *(f"--hook-dir={MERGED}", *hooks),
            *(f"--keyring={path}" for path in KEYRINGS if path.exists()),
            # A file, for what it says of proxies is nobody's business.
            f"--aptopt={options}",
            # What a power failure would leave is thrown away in any case.
            "--dpkgopt=force-unsafe-io",
        ]


def _copy(path: Path, folder: str) -> str:
    """The shell command that copies something of this machine into a folder of the system."""
    return f'mkdir -p "$1/{folder}" && cp -r {shlex.quote(str(path))} "$1/{folder}/"'


def tidy(system: Mapping[str, Entry], time: int) -> dict[str, Entry]:
    """A system as an image has it: small, with the user `forgeline`, with nothing that makes a user another one
    (set-user-id programs), with Java's form of its authorities, and nothing in it younger than `time`.
    """
    kept = {
        path: replace(entry, time=min(entry.time, time), mode=entry.mode & ~0o6000)
        for path, entry in system.items()
        if not _LEFT_OUT.fullmatch(path)
    }
    made = [_with_line(kept["etc/passwd"], _USER), _with_line(kept["etc/group"], _GROUP)]
    if PEM in kept:
        made.append(text(JAVA, java_truststore(kept[PEM].read().decode())))
    kept |= {entry.path: replace(entry, time=time) for entry in made}
    return kept


def _with_line(entry: Entry, line: str) -> Entry:
    return text(entry.path, entry.read() + line.encode())
