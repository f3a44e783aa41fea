"""Only the SDK's leftovers are dropped."""

from __future__ import annotations

import logging
import sys
from types import SimpleNamespace

import grpc
import pytest

from infra.programs.quiet import _is_leftover, _is_news, quiet_leftovers


class _Gone(grpc.RpcError):
    def code(self) -> grpc.StatusCode:
        return grpc.StatusCode.UNAVAILABLE


def test_another_complaint_still_goes_where_it_went(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", lambda unraisable: seen.append(unraisable.object))
    quiet_leftovers.cache_clear()
    quiet_leftovers()
    other = SimpleNamespace(__qualname__="Socket.__del__")
    for thing in (SimpleNamespace(__qualname__="Output.apply.<locals>.run"), other):
        sys.unraisablehook(SimpleNamespace(object=thing))  # type: ignore[arg-type]
    assert seen == [other]
    quiet_leftovers.cache_clear()


@pytest.mark.parametrize(("error", "news"), [(_Gone(), False), (ValueError(), True)], ids=["engine-gone", "other"])
def test_only_an_engine_that_is_gone_is_no_news(error: Exception, news: bool) -> None:
    record = logging.LogRecord("grpc._server", logging.ERROR, "f", 1, "m", None, (type(error), error, None))
    assert _is_news(record) is news


def test_what_is_no_coroutine_of_an_output_is_no_leftover() -> None:
    assert not _is_leftover(None)
