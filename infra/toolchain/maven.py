"""Where Nexus is to proxy Maven artifacts from: what this machine's Maven is told, without asking any network.

No repository's address is written in this project: it comes from the profile, from FORGELINE_MAVEN_UPSTREAM, from
Maven's settings.xml (mirrors, then repositories named `central`), or from the super-POM that every Maven carries.
"""

from __future__ import annotations

import re
import shutil
import sys
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from xml.etree import ElementTree

from infra.core.error import BadInputError, ForgelineError
from infra.core.settings import Settings
from infra.toolchain.command import output_of
from infra.toolchain.pin import FOLDER
from infra.toolchain.toolchain import Toolchain

VARIABLE = "FORGELINE_MAVEN_UPSTREAM"
_SUPER_POM = "org/apache/maven/model/pom-4.0.0.xml"


def maven_upstream(environ: Mapping[str, str], settings: Settings) -> str:
    """The address of the repository that stands for Maven's `central`, with a slash at its end.

    Raises BadInputError with the remedy if nothing on this machine says it.
    """
    address = (
        settings.profile.upstreams.maven
        or environ.get(VARIABLE)
        or _from_settings(environ)
        or _from_super_pom(environ)
        or _from_resolver(environ, settings)
    )
    if address is None:
        raise BadInputError(
            "nothing says where Maven artifacts come from: there is no Maven on this machine",
            where=f"{settings.profile_file}: upstreams.maven",
            fix=f"set upstreams.maven in the profile, or {VARIABLE}, to the address of a Maven repository",
        )
    if not re.match(r"https?://[^/@\s]+(/\S*)?$", address):
        raise BadInputError(
            "the address of the Maven repository must be http(s)://HOST/PATH, without credentials",
            where=f"{settings.profile_file}: upstreams.maven",
            fix=f"set upstreams.maven in the profile, or {VARIABLE}",
        )
    return address.rstrip("/") + "/"


def _from_settings(environ: Mapping[str, str]) -> str | None:
    """The mirror of central, else a repository that takes its place, in the user's settings, else in Maven's own."""
    files = []
    if environ.get("HOME"):
        files.append(Path(environ["HOME"]) / ".m2" / "settings.xml")
    files += [home / "conf" / "settings.xml" for home in maven_homes(environ)]
    trees = [tree for file in files if (tree := _read(file)) is not None]
    for find in (_mirror, _repository):
        for tree in trees:
            address = find(tree)
            if address:
                return _expand(address, environ)
    return None


def _mirror(tree: ElementTree.Element) -> str | None:
    for mirror in tree.iterfind("mirrors/mirror"):
        if mirrors_central(mirror.findtext("mirrorOf", "")) and mirror.findtext("blocked", "false") != "true":
            return mirror.findtext("url")
    return None


def mirrors_central(pattern: str) -> bool:
    """Whether a `mirrorOf` covers the repository `central` (names, *, external:*, and ! for all but)."""
    words = [word.strip() for word in pattern.split(",")]
    return "!central" not in words and any(word in {"central", "*", "external:*"} for word in words)


def _repository(tree: ElementTree.Element) -> str | None:
    active = {profile.text for profile in tree.iterfind("activeProfiles/activeProfile")}
    for profile in tree.iterfind("profiles/profile"):
        if profile.findtext("id") in active or profile.findtext("activation/activeByDefault") == "true":
            address = _central(profile)
            if address:
                return address
    return None


def _central(parent: ElementTree.Element) -> str | None:
    for repository in parent.iterfind("repositories/repository"):
        if repository.findtext("id") == "central":
            return repository.findtext("url")
    return None


def _from_super_pom(environ: Mapping[str, str]) -> str | None:
    for home in maven_homes(environ):
        for jar in sorted((home / "lib").glob("maven-model-builder*.jar")):
            try:
                with zipfile.ZipFile(jar) as file:
                    tree = _parse(file.read(_SUPER_POM))
            except (OSError, KeyError, zipfile.BadZipFile, ElementTree.ParseError):
                continue
            address = _central(tree)
            if address:
                return address
    return None


def _from_resolver(environ: Mapping[str, str], settings: Settings) -> str | None:
    """What the resolver knows that fetched Nexus, on a machine without Maven."""
    try:
        resolver = Toolchain.of(settings, environ).find("maven-resolver")
    except ForgelineError:
        return None
    if resolver is None:
        return None
    program = [sys.executable, str(FOLDER / "resolve_maven.py"), "central"]
    return output_of(program, {**environ, "PYTHONPATH": str(resolver.home)}).strip() or None


def maven_homes(environ: Mapping[str, str]) -> Iterator[Path]:
    """The folders of this machine's Maven: what MAVEN_HOME says, and where `mvn` leads."""
    for name in ("MAVEN_HOME", "M2_HOME"):
        if environ.get(name):
            yield Path(environ[name])
    program = shutil.which("mvn", path=environ.get("PATH", ""))
    if program:
        home = Path(program).resolve().parent.parent
        if (home / "lib").is_dir() and any((home / "lib").glob("maven-model-builder*.jar")):
            yield home
        else:  # A version manager's stand-in: ask it.
            match = re.search(r"^Maven home: (.+)$", output_of([program, "--version"], environ), re.MULTILINE)
            if match:
                yield Path(match[1].strip())


def _read(file: Path) -> ElementTree.Element | None:
    try:
        return _parse(file.read_bytes())
    except OSError:
        return None
    except ElementTree.ParseError as error:
        raise BadInputError(f"is not valid XML: {error}", where=str(file), fix="mend it, or move it away") from error


def _parse(text: bytes) -> ElementTree.Element:
    """The document without its namespace, which differs from version to version."""
    tree = ElementTree.fromstring(text)  # noqa: S314 - the user's own settings and the Maven that is installed
    for element in tree.iter():
        element.tag = element.tag.rpartition("}")[2]
    return tree


def _expand(text: str, environ: Mapping[str, str]) -> str:
    return re.sub(r"\$\{env\.(\w+)\}", lambda match: environ.get(match[1], match[0]), text.strip())
