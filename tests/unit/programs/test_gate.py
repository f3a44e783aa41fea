"""Gates between stacks."""

from __future__ import annotations

import threading

import pytest

from infra.core.error import StackError
from infra.programs.gate import ARTIFACTS, IDENTITY, OPEN, Gate, Gates


def test_a_gate_lets_through_once_it_is_open() -> None:
    gate, passed = Gate(), threading.Event()
    waiting = threading.Thread(target=lambda: (gate.wait(), passed.set()))
    waiting.start()
    assert not passed.wait(0.05)
    gate.open()
    assert passed.wait(2)
    waiting.join()


def test_a_shut_gate_tells_why() -> None:
    gates = Gates()
    gates[IDENTITY].open()
    gates.shut("the platform is not ready")
    gates[IDENTITY].wait()
    with pytest.raises(StackError, match="the platform is not ready"):
        gates[ARTIFACTS].wait()


def test_a_stack_alone_waits_for_nothing() -> None:
    OPEN[IDENTITY].wait()
    OPEN[ARTIFACTS].wait()
