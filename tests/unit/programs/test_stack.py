"""Digests and the ledger: what is known to be complete needs no engine."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from infra.programs.stack import Layer, Ledger, Stack


@dataclass(frozen=True, kw_only=True)
class Given:
    """Inputs of a program."""

    files: dict[str, str]


def _stack(text: str, name: str = "one") -> Stack:
    return Stack(name=name, layer=Layer.SERVICE, inputs=Given(files={"a": text}), program=lambda _gates: None)


def test_a_digest_is_of_name_and_inputs() -> None:
    assert _stack("x").digest == _stack("x").digest
    assert len({_stack("x").digest, _stack("y").digest, _stack("x", "two").digest}) == 3


def test_the_ledger_holds_what_was_completed_until_it_changes_or_is_begun(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "digests")
    stack = _stack("x")
    assert not ledger.holds(stack)
    ledger.complete(stack)
    assert ledger.holds(stack)
    assert not ledger.holds(replace(stack, inputs=Given(files={"a": "y"})))
    ledger.begin(stack.name)
    assert not ledger.holds(stack)
