from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap

import pytest

from infra.core.error import ToolError
from infra.toolchain.cache import ToolCache

PIN = {"name": "tool", "version": "1.0", "digest": "abcdef01", "executable": "bin/run"}


def never():
    raise AssertionError("waited for the lock")


def install(cache, content="program"):
    with cache.lock("tool", waiting=never), cache.staging("tool") as staging:
        (staging / "tool" / "bin").mkdir(parents=True)
        (staging / "tool" / "bin" / "run").write_text(content)
        return cache.commit(staging / "tool", **PIN)


def start(root, body):
    """A process that holds the lock of `tool`; it has printed `held` when this returns."""
    program = f"""
        import pathlib, sys, time
        from infra.toolchain.cache import ToolCache
        cache = ToolCache(pathlib.Path({str(root)!r}))
        with cache.lock("tool", waiting=lambda: None), cache.staging("tool") as staging:
            (staging / "tool" / "bin").mkdir(parents=True)
            (staging / "tool" / "bin" / "run").write_text("half")
            print("held", flush=True)
            {body}
    """
    process = subprocess.Popen([sys.executable, "-c", textwrap.dedent(program)], stdout=subprocess.PIPE, text=True)
    assert process.stdout.readline() == "held\n"
    return process


def test_what_was_installed_is_found(tmp_path):
    cache = ToolCache(tmp_path)
    assert cache.find(**PIN) is None
    home = install(cache)
    assert home == tmp_path / "tool" / "1.0-abcdef01"
    assert cache.find(**PIN) == home
    assert cache.find(**{**PIN, "digest": "00000000"}) is None
    assert cache.find(**{**PIN, "version": "1.1"}) is None


def test_nothing_under_way_is_left(tmp_path):
    install(ToolCache(tmp_path))
    assert sorted(path.name for path in (tmp_path / "tool").iterdir()) == [".lock", "1.0-abcdef01"]


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda home: (home / "bin" / "run").unlink(), id="program gone"),
        pytest.param(lambda home: (home / "bin" / "run").write_text("longer than it was"), id="other size"),
        pytest.param(lambda home: (home / "bin" / "run").write_text("PROGRAM"), id="same size, other content"),
        pytest.param(lambda home: (home / "forgeline.json").write_text("{"), id="broken manifest"),
        pytest.param(lambda home: (home / "forgeline.json").write_text("[]"), id="manifest of another shape"),
    ],
)
def test_a_damaged_installation_is_not_used_and_is_replaced(tmp_path, damage):
    cache = ToolCache(tmp_path)
    home = install(cache)
    damage(home)
    assert cache.find(**PIN) is None
    assert install(cache) == home
    assert cache.find(**PIN) == home


def test_a_copy_with_other_times_is_still_good(tmp_path):
    cache = ToolCache(tmp_path)
    home = install(cache)
    os.utime(home / "bin" / "run", (1, 1))
    assert cache.find(**PIN) == home


def test_an_installation_without_its_program_is_refused(tmp_path):
    cache = ToolCache(tmp_path)
    with cache.lock("tool", waiting=never), cache.staging("tool") as staging:
        (staging / "tool").mkdir()
        with pytest.raises(ToolError, match="has no bin/run"):
            cache.commit(staging / "tool", **PIN)
    assert cache.find(**PIN) is None


def test_a_kill_half_way_leaves_nothing_that_is_used(tmp_path):
    process = start(tmp_path, "time.sleep(60)")
    process.send_signal(signal.SIGKILL)
    process.wait()
    process.stdout.close()
    cache = ToolCache(tmp_path)
    assert list((tmp_path / "tool").glob(".new-*"))
    assert cache.find(**PIN) is None
    assert install(cache).joinpath("bin/run").read_text() == "program"
    assert not list((tmp_path / "tool").glob(".new-*"))


def test_the_second_of_two_waits_for_the_first(tmp_path):
    process = start(tmp_path, f"time.sleep(0.5); cache.commit(staging / 'tool', **{PIN!r})")
    waits = []
    cache = ToolCache(tmp_path)
    with cache.lock("tool", waiting=lambda: waits.append(1)):
        assert waits
        assert cache.find(**PIN)
    assert process.wait() == 0
    process.stdout.close()


def test_a_folder_that_cannot_be_made_has_a_remedy(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ToolError) as caught, ToolCache(tmp_path / "file").lock("tool", waiting=never):
        pass
    assert "FORGELINE_CACHE" in caught.value.fix
