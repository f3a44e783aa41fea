"""`needs`: jobs of the same pipeline that must be finished first."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.language.document import DEPTH_LIMIT
from pipelines.language.entry import Entry
from pipelines.language.matrix import Combination, read_matrix


@dataclass(frozen=True, kw_only=True)
class NeedEntry:
    """One need as it is written. `matrix` selects among the jobs of a parallel one; None means all of them."""

    job: str
    artifacts: bool = True
    optional: bool = False
    matrix: tuple[Combination, ...] | None = None


def read_needs(entry: Entry) -> tuple[NeedEntry, ...]:
    """The needs of an array of names and mappings."""
    if not isinstance(entry.value, (dict, list)):
        entry.problem("config can only be a hash or an array")
        return ()
    if entry.value == {}:
        entry.problem("config can not be an empty hash")
        return ()
    items = entry.flat([entry.value], object, DEPTH_LIMIT) or []
    return tuple(need for item in items if (need := _need(Entry(f"{entry.where}:need", item, entry.problems))))


def _need(entry: Entry) -> NeedEntry | None:
    if isinstance(entry.value, str):
        return NeedEntry(job=entry.value)
    if not isinstance(entry.value, dict) or not entry.value.keys() & {"job", "project", "pipeline"}:
        entry.problem("has an unsupported type")
        return None
    if not entry.is_mapping(("job", "artifacts", "optional", "parallel"), refused=("project", "ref", "pipeline")):
        return None
    if {"project", "pipeline"} & entry.value.keys():
        return None  # Of another pipeline: refused above, or passed over.
    job = entry.value.get("job")
    if not isinstance(job, str) or not job:
        entry.problem("job can't be blank" if not job else "job should be a string")
        return None
    parallel = entry.get("parallel")
    matrix = None
    if parallel.given and parallel.is_mapping(("matrix",)):
        matrix = read_matrix(parallel.get("matrix"))
    return NeedEntry(
        job=job,
        artifacts=entry.get("artifacts").boolean(True),
        optional=entry.get("optional").boolean(),
        matrix=matrix,
    )
