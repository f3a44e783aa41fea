"""What a newer skeleton does to a service's files: each rule by an example, and what must hold for any edit."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.core.blob import blob_id, blob_ids
from infra.core.document import InvalidDocumentError
from pipelines.boilerplate import LOCK, BoilerplateUpdate, Fate, compare, digest, lock_text, read_lock, with_lock
from pipelines.catalogue import load_catalogue
from pipelines.line_merge import merge_lines
from pipelines.skeleton import render_skeleton

BASE = "one\ntwo\nthree\nfour\nfive\n"
MARKS = ("<<<<<<<", "|||||||", "=======", ">>>>>>>")


def updated(
    base: dict[str, str], ours: dict[str, str], theirs: dict[str, str], *, history: bool = True
) -> BoilerplateUpdate:
    """The update of a repository whose history has every text of base and ours, or only ours."""
    texts = [*ours.values(), *(base.values() if history else ())]
    blobs = {blob_id(text): text.encode() for text in texts}
    return compare(base=blob_ids(base), ours=blob_ids(ours), theirs=theirs, read=blobs.get, merge=merge_lines)


def locked(update: BoilerplateUpdate) -> dict[str, str]:
    return read_lock(update.lock, LOCK).blobs


@pytest.mark.parametrize(
    ("base", "ours", "theirs", "fate", "content"),
    [
        pytest.param(BASE, BASE, "new\n", Fate.REPLACED, "new\n", id="only-the-skeleton"),
        pytest.param(BASE, "team\n", BASE, None, None, id="only-the-team"),
        pytest.param(BASE, "new\n", "new\n", None, None, id="both-alike"),
        pytest.param(
            BASE,
            BASE.replace("one", "ONE"),
            BASE.replace("five", "FIVE"),
            Fate.MERGED,
            "ONE\ntwo\nthree\nfour\nFIVE\n",
            id="both-apart",
        ),
        pytest.param(
            BASE,
            BASE.replace("three", "team"),
            BASE.replace("three", "new"),
            Fate.CONFLICT,
            None,
            id="both-the-same-line",
        ),
        pytest.param(BASE, None, BASE, None, None, id="deleted-by-the-team"),
        pytest.param(BASE, None, "new\n", Fate.DELETED, None, id="deleted-by-the-team-and-changed"),
        pytest.param(None, None, "new\n", Fate.ADDED, "new\n", id="new"),
        pytest.param(None, "team\n", "new\n", Fate.TAKEN, None, id="new-but-there"),
        pytest.param(None, "new\n", "new\n", None, None, id="new-and-there-alike"),
        pytest.param(BASE, BASE, None, Fate.REMOVED, None, id="removed"),
        pytest.param(BASE, "team\n", None, Fate.KEPT, None, id="removed-but-changed"),
        pytest.param(BASE, None, None, None, None, id="gone-everywhere"),
    ],
)
def test_each_file_has_its_rule(
    base: str | None, ours: str | None, theirs: str | None, fate: Fate | None, content: str | None
) -> None:
    sides = [{"file": text} if text is not None else {} for text in (base, ours, theirs)]
    update = updated(*sides)
    assert [(file.fate, file.content) for file in update.files] == (
        [] if fate is None else [(fate, None if content is None else content.encode())]
    )
    # What was left keeps the base it had, so that the next update still sees what the team changed.
    settled = fate is None or fate.written
    expected = theirs if settled else base
    assert locked(update).get("file") == (None if theirs is None or expected is None else blob_id(expected))


def test_a_base_that_is_not_in_the_history_is_left_to_people() -> None:
    (file,) = updated({"a": BASE}, {"a": BASE + "six\n"}, {"a": "zero\n" + BASE}, history=False).files
    assert file.fate is Fate.CONFLICT


@pytest.mark.parametrize("ours", ["ci", "ci/lint/x"], ids=["a-file-where-a-folder-goes", "a-folder-where-a-file-goes"])
def test_a_path_that_the_team_uses_otherwise_is_taken(ours: str) -> None:
    (file,) = updated({}, {ours: "team\n"}, {"ci/lint": "new\n"}).files
    assert (file.path, file.fate) == ("ci/lint", Fate.TAKEN)


@pytest.mark.parametrize("side", ["base", "ours", "theirs"])
def test_what_is_not_text_is_left_to_people(side: str) -> None:
    sides = {"base": b"a\nb\nc\n", "ours": b"A\nb\nc\n", "theirs": b"a\nb\nC\n"}
    assert merge_lines(**sides) == b"A\nb\nC\n"
    assert merge_lines(**{**sides, side: sides[side] + b"\0"}) is None


def test_settings_of_this_machine_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GIT_CONFIG_COUNT", "1")
    monkeypatch.setenv("GIT_CONFIG_KEY_0", "merge.conflictStyle")
    monkeypatch.setenv("GIT_CONFIG_VALUE_0", "nonsense")
    assert merge_lines(b"a\nb\nc\n", b"A\nb\nc\n", b"a\nb\nC\n") == b"A\nb\nC\n"


LINES = st.lists(st.sampled_from(["a", "b", "c", "{", "}", ""]), max_size=12)


@st.composite
def edits(draw: st.DrawFn) -> tuple[list[str], list[str], list[str]]:
    """A text, and two edits of it: lines taken out, and lines of their own put in."""
    base = draw(LINES)
    sides = []
    for own in ("team", "skeleton"):
        lines = list(base)
        for number in range(draw(st.integers(0, 4))):
            place = draw(st.integers(0, len(lines)))
            if draw(st.booleans()):
                lines.insert(place, f"{own} {number}")
            elif place < len(lines):
                del lines[place]
        sides.append(lines)
    return base, sides[0], sides[1]


def text(lines: list[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()


@given(edits())
@settings(max_examples=150, deadline=None)
def test_a_merge_has_no_marks_and_loses_no_line_of_either_side(sides: tuple[list[str], list[str], list[str]]) -> None:
    base, ours, theirs = sides
    merged = merge_lines(text(base), text(ours), text(theirs))
    if merged is None:
        return
    lines = merged.decode().splitlines()
    assert not [line for line in lines if line.startswith(MARKS)]
    for side, other in ((ours, theirs), (theirs, ours)):
        put_in = Counter(side) - Counter(base)
        taken_out = Counter(base) - Counter(other)
        assert not put_in - Counter(lines) - taken_out
    assert {line for line in ours if line.startswith("team")} <= set(lines)
    assert {line for line in theirs if line.startswith("skeleton")} <= set(lines)


TREES = st.dictionaries(
    st.sampled_from("abcd"), st.sampled_from(["", "x\n", "y\n", BASE, BASE + "six\n", "0\n" + BASE])
)


@given(TREES, TREES, TREES)
@settings(max_examples=150, deadline=None)
def test_what_the_team_changed_is_never_replaced_or_removed(
    base: dict[str, str], ours: dict[str, str], theirs: dict[str, str]
) -> None:
    update = updated(base, ours, theirs)
    for file in update.written:
        if file.path in ours and ours[file.path] != base.get(file.path):
            assert file.fate is Fate.MERGED
        if file.path in base and file.path not in ours:
            raise AssertionError("a file that the team deleted came back")
    after = dict(ours)
    for file in update.written:
        if file.content is None:
            del after[file.path]
        else:
            after[file.path] = file.content.decode()
    again = compare(
        base=locked(update),
        ours=blob_ids(after),
        theirs=theirs,
        read={blob_id(one): one.encode() for one in (*base.values(), *ours.values(), *theirs.values())}.get,
        merge=merge_lines,
    )
    assert again.written == ()
    assert {file.path for file in again.left} <= {file.path for file in update.left}


def test_the_lock_names_every_other_file() -> None:
    files = render_skeleton(load_catalogue().service("settlement"))
    lock = read_lock(with_lock(files)[LOCK], LOCK)
    assert (lock.blobs, lock.skeleton) == (blob_ids(files), digest(files))
    assert updated(files, files, files).files == ()


def test_a_lock_holds_every_path() -> None:
    files = {"it's: a #path": "x\n", 'b "c"': "y\n", "päth": "z\n"}
    assert read_lock(lock_text(files), LOCK).blobs == blob_ids(files)


@pytest.mark.parametrize(
    ("broken", "line"),
    [
        pytest.param("skeleton: 12\nfiles: []\n", 1, id="no-sum"),
        pytest.param("files: []\n", 1, id="no-skeleton"),
        pytest.param(f"skeleton: '{'0' * 64}'\nfiles: [a.txt]\n", 2, id="no-blob"),
        pytest.param("<<<<<<<\n", 1, id="conflict-mark"),
    ],
)
def test_a_broken_lock_is_refused_at_its_line(broken: str, line: int) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        read_lock(broken, LOCK)
    assert caught.value.where.startswith(f"{LOCK}:{line}:")
