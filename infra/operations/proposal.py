"""A change of the catalogue that is a new pipeline release at the same time: worked out whole before a file is touched.

A published release never changes, so a service that comes or goes takes a new one. Which one is found by asking what
each candidate would hold; so a run that was killed anywhere finds the release that it published, and goes on with it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from infra.core.document import check_writable, read_text, write_text
from infra.core.finding import Finding
from infra.core.settings import Settings
from infra.operations.published import Releases
from infra.operations.release import Prove, ReleasePlan, decide
from pipelines.catalogue import Catalogue, Drafts
from pipelines.check import Manner, Task, prove
from pipelines.ledger import Ledger
from pipelines.pin import reversion
from pipelines.release import Effect, compare, newest, version_key
from pipelines.source import Source


@dataclass(frozen=True, kw_only=True)
class Proposal:
    """What the catalogue is to become. `files` are those that are not so yet; None for one that is removed."""

    catalogue: Catalogue
    release: ReleasePlan
    files: Drafts

    def write(self) -> None:
        """Writes the files, each as a whole: the release's first, so that what is read is never ahead of it."""
        for path, text in sorted(self.files.items(), key=lambda item: (item[1] is None, item[0].parent.parts, item[0])):
            if text is None:
                path.unlink(missing_ok=True)
            else:
                write_text(path, text)


def propose(settings: Settings, releases: Releases, drafts: Callable[[str], Drafts]) -> Proposal:
    """The catalogue with `drafts` of a version, at the first version that this GitLab has with it or can yet have.

    Raises BadInputError for a catalogue that can't be, or can't be written; FindingsError where a proof fails or where
    what is published was altered.
    """
    file = settings.release_file
    text = read_text(file)
    versions = releases.versions()
    for version in _candidates(Catalogue.of(settings).release, newest(versions)):
        wanted = {file: reversion(text, version, str(file)), **drafts(version)}
        catalogue = Catalogue.of(settings, wanted)
        source = Source.of(settings, catalogue)
        if _fits(source, releases, versions):
            prover = _prover(settings, partial(_new, source, releases, newest(versions)))
            plan = decide(source, releases, prover, file=file)
            files = {path: new for path, new in wanted.items() if new != _present(path)}
            check_writable(files)
            return Proposal(catalogue=catalogue, release=plan, files=files)
    raise AssertionError("a version above all others always fits")


def _candidates(made_here: str, last: str | None) -> Iterator[str]:
    """The release of this checkout, the newest that is published, and the next after it."""
    yield made_here
    if last is not None:
        yield last
        major, minor, patch = version_key(last)
        yield f"v{major}.{minor}.{patch + 1}"


def _fits(source: Source, releases: Releases, versions: list[str]) -> bool:
    """Whether the release of `source` is published just so, or can be."""
    if source.version not in versions:
        last = newest(versions)
        return last is None or version_key(source.version) > version_key(last)
    files = source.files()
    changes = compare(releases.files(source.version, files), files)
    return all(change.effect is Effect.HEADER for change in changes)


def _new(source: Source, releases: Releases, last: str | None) -> frozenset[str]:
    """The files that are not, but for their version, as in the release `last`, which was proven and published."""
    as_last = source.files(last)
    held = releases.files(last, as_last) if last else {}
    return frozenset(change.path for change in compare(held, as_last))


def _prover(settings: Settings, paths: Callable[[], frozenset[str]]) -> Prove:
    """The proofs of Forgeline's own pipelines, of these files only."""
    manner = Manner(ledger=Ledger(settings.cache), processes=os.cpu_count() or 1)

    def proven(files: Mapping[str, str]) -> list[Finding]:
        wanted = paths()
        return prove([Task(file=file, text=text) for file, text in files.items() if file in wanted], manner)

    return proven


def _present(path: Path) -> str | None:
    return read_text(path) if path.is_file() else None
