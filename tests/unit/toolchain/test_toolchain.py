from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time

import psutil
import pytest

from infra.core.error import BadInputError, ToolError
from infra.toolchain import download
from infra.toolchain.pin import Pins, machine
from infra.toolchain.toolchain import JOB_TOOLS, Toolchain

PROGRAM = b"#!/bin/sh\necho tool\n"


def archive(site, path, content, sha256, **more):
    return {
        "kind": "archive",
        "url": f"{site.address}{path}",
        "platforms": {machine(): "here"},
        "sha256": {machine(): sha256},
        "root": "tool",
        "into": "bin",
    } | more


def pins(*sources, **more):
    tool = {"version": "1.0", "executable": "bin/run", "sources": list(sources)}
    return Pins.model_validate({"tools": {"tool": tool | more}})


def toolchain(tmp_path, made, **more):
    return Toolchain(cache=tmp_path / "cache", environ={"PATH": os.defpath}, pins=made, **more)


@pytest.fixture
def good(site, make_tarball, checksum):
    site.files["/good"] = make_tarball({"tool/run": PROGRAM})
    return archive(site, "/good", PROGRAM, checksum(site.files["/good"]))


def test_a_tool_is_installed_once_and_then_needs_no_network(tmp_path, site, good, recorder):
    tool = toolchain(tmp_path, pins(good)).ensure(["tool"], recorder)["tool"]
    assert tool.path.read_bytes() == PROGRAM
    assert os.access(tool.path, os.X_OK)
    assert (tool.version, tool.source) == ("1.0", "official release")
    assert recorder.events[-1] == ("done", "tool", "1.0, official release")
    assert site.asked == ["/good"]
    again = toolchain(tmp_path, pins(good)).ensure(["tool"])["tool"]
    assert again == tool
    assert site.asked == ["/good"]
    assert again.as_json()["path"] == str(tool.path)


def test_a_source_that_hangs_or_lies_is_followed_by_the_next(tmp_path, site, good, monkeypatch, recorder):
    monkeypatch.setattr(download, "PATIENCE", 0.3)
    site.hanging.add("/hangs")
    site.files["/lies"] = b"other content"
    hanging = archive(site, "/hangs", b"", "0" * 64)
    lying = archive(site, "/lies", b"", "0" * 64)
    tool = toolchain(tmp_path, pins(hanging, lying, good)).ensure(["tool"], recorder)["tool"]
    assert tool.path.read_bytes() == PROGRAM
    assert site.asked == ["/hangs", "/lies", "/good"]
    assert [doing for kind, _, doing in recorder.events if kind == "start" and "downloading" in doing]


def test_without_a_pinned_checksum_nothing_is_fetched(tmp_path, site, good):
    unpinned = good | {"sha256": {}}
    with pytest.raises(ToolError) as caught:
        toolchain(tmp_path, pins(unpinned)).ensure(["tool"])
    assert "no checksum is pinned" in caught.value.detail
    assert site.asked == []


def test_when_all_sources_fail_every_reason_is_told(tmp_path, site, recorder):
    lying = archive(site, "/lies", b"", "0" * 64)
    site.files["/lies"] = b"other content"
    absent = archive(site, "/absent", b"", "0" * 64)
    with pytest.raises(ToolError, match=r"tool 1\.0 can't be had") as caught:
        toolchain(tmp_path, pins(lying, absent)).ensure(["tool"], recorder)
    assert caught.value.where == "pins.yaml"
    assert "has the checksum" in caught.value.detail
    assert "answers 404" in caught.value.detail
    assert caught.value.fix
    assert ("failed", "tool", "tool 1.0 can't be had from any of its sources") in recorder.events
    assert not list((tmp_path / "cache" / "tools" / "tool").glob("[!.]*"))


def test_a_release_without_the_program_is_not_used(tmp_path, site, good):
    with pytest.raises(ToolError) as caught:
        toolchain(tmp_path, pins(good, executable="bin/other")).ensure(["tool"])
    assert "what the source gave has no bin/other" in caught.value.detail


def test_a_program_of_this_machine_is_preferred(tmp_path, site, good, recorder):
    (tmp_path / "bin").mkdir()
    program = tmp_path / "bin" / "run"
    program.write_text("#!/bin/sh\necho tool 3.2.1\n")
    program.chmod(0o755)
    system = {"command": "run", "arguments": [], "pattern": "tool ([0-9.]+)", "minimum": "3"}
    made = Toolchain(cache=tmp_path, environ={"PATH": f"{tmp_path}/bin"}, pins=pins(good, system=system))
    tool = made.ensure(["tool"], recorder)["tool"]
    assert (tool.path, tool.version, tool.source, tool.home) == (program, "3.2.1", "this machine's", tmp_path)
    assert site.asked == []


def test_an_unknown_tool_is_bad_input(tmp_path, good):
    with pytest.raises(BadInputError, match="there is no tool 'tol'") as caught:
        toolchain(tmp_path, pins(good)).ensure(["tol"])
    assert caught.value.fix == "did you mean 'tool'?"


def test_nexus_may_be_given(tmp_path):
    made = Pins.model_validate({"tools": {"nexus": {"version": "3", "executable": "bin/nexus"}}})
    with pytest.raises(BadInputError, match="there is no bin/nexus"):
        toolchain(tmp_path, made, nexus_home=tmp_path / "absent").find("nexus")
    (tmp_path / "nexus" / "bin").mkdir(parents=True)
    (tmp_path / "nexus" / "bin" / "nexus").write_text("")
    tool = toolchain(tmp_path, made, nexus_home=tmp_path / "nexus").find("nexus")
    assert tool is not None
    assert tool.home == tmp_path / "nexus"


def test_path_entries_start_with_forgelines_own_and_leave_the_systems_out(tmp_path, site, good):
    system = {"command": "sh", "arguments": ["-c", "echo 1.0"], "pattern": r"([0-9.]+)"}
    made = Pins.model_validate(
        {
            "tools": {
                "openbao": {"version": "1.0", "executable": "bin/run", "sources": [good]},
                "go": {"version": "1.0", "executable": "bin/go", "system": system},
                **{
                    name: {"version": "1.0", "executable": f"bin/{name}"}
                    for name in JOB_TOOLS
                    if name not in {"openbao", "go"}
                },
            }
        }
    )
    tools = toolchain(tmp_path, made)
    bao = tools.ensure(["openbao", "go"])["openbao"]
    assert tools.path_entries()[1:] == [bao.path.parent]
    assert (tools.path_entries()[0] / "python").exists()


def test_the_survey_names_what_is_there_and_what_is_not(tmp_path, site, good):
    absent = pins(good).tools["tool"].model_copy(update={"version": "2.0"})
    tools = toolchain(tmp_path, Pins(tools={**pins(good).tools, "absent": absent}))
    tool = tools.ensure(["tool"])["tool"]
    first, second = tools.survey()
    assert first.as_json() == {"name": "absent", "pinned": "2.0", "installed": None}
    assert second.as_json() == {"name": "tool", "pinned": "1.0", "installed": tool.as_json()}
    assert site.asked == ["/good"]


def test_two_threads_install_once(tmp_path, site, good):
    tools = toolchain(tmp_path, pins(good))
    threads = [threading.Thread(target=tools.ensure, args=(["tool"],)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert site.asked == ["/good"]


RUN = """
import json, os, pathlib, sys
from infra.toolchain.pin import Pins
from infra.toolchain.toolchain import JOB_TOOLS, Toolchain
class Told:
    def start(self, item, doing): print("start", doing, flush=True)
    def done(self, item, outcome): print("done", outcome, flush=True)
    def failed(self, item, reason): print("failed", reason, flush=True)
pins = Pins.model_validate(json.loads(sys.argv[2]))
Toolchain(cache=pathlib.Path(sys.argv[1]), environ=os.environ, pins=pins).ensure(["tool"], Told())
"""


def run(tmp_path, made, **environ):
    return subprocess.Popen(
        [sys.executable, "-c", RUN, str(tmp_path / "cache"), json.dumps(made.model_dump(mode="json"))],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environ},
    )


def fake_go(tmp_path, body):
    """A `go` that writes its number into a file and does as `body` says; `$OUT` is the file to build."""
    folder = tmp_path / "fake"
    folder.mkdir()
    go = folder / "go"
    go.write_text(
        f"#!/bin/sh\n[ $1 = version ] && echo go version go1.99.0 && exit\n[ $1 = list ] && exit\n"
        f'while [ "$1" != -o ]; do shift; done; OUT=$2\n'
        f"echo x >> {tmp_path}/builds\n{body}\n"
    )
    go.chmod(0o755)
    return f"{folder}:{os.environ['PATH']}"


def go_pins():
    system = {"command": "go", "arguments": ["version"], "pattern": "go([0-9.]+)$"}
    source = {"kind": "go", "program": "tools", "package": ".", "output": "run"}
    tool = {"version": "1.0", "executable": "bin/run", "sources": [source]}
    go = {"version": "1.99.0", "executable": "bin/go", "system": system}
    return Pins.model_validate({"tools": {"tool": tool, "go": go}})


def test_two_runs_at_once_build_once_and_the_second_says_that_it_waits(tmp_path):
    path = fake_go(tmp_path, 'sleep 1; mkdir -p "$(dirname $OUT)"; echo built > $OUT')
    runs = [run(tmp_path, go_pins(), PATH=path) for _ in range(2)]
    outputs = [process.communicate(timeout=120)[0] for process in runs]
    assert [process.returncode for process in runs] == [0, 0], outputs
    assert (tmp_path / "builds").read_text() == "x\n"
    assert sum("waiting for another run" in output for output in outputs) == 1
    assert all("done 1.0, built from Go packages" in output for output in outputs)


def until(condition):
    end = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "kill"])
def test_an_end_half_way_leaves_nothing_that_is_used(tmp_path, number):
    path = fake_go(
        tmp_path,
        f'mkdir -p "$(dirname $OUT)"; echo half > $OUT; cd {tmp_path}\necho $$ > pid.new; mv pid.new pid; sleep 60',
    )
    process = run(tmp_path, go_pins(), PATH=path)
    until((tmp_path / "pid").exists)
    child = psutil.Process(int((tmp_path / "pid").read_text()))
    process.send_signal(number)
    process.communicate(timeout=120)
    if number == signal.SIGINT:
        until(lambda: not child.is_running() or child.status() == psutil.STATUS_ZOMBIE)
        assert process.returncode == -signal.SIGINT
    else:
        child.kill()
    environ = {"PATH": path}
    assert Toolchain(cache=tmp_path / "cache", environ=environ, pins=go_pins()).find("tool") is None
    (tmp_path / "fake" / "go").unlink()
    (tmp_path / "fake").rmdir()
    path = fake_go(tmp_path, 'mkdir -p "$(dirname $OUT)"; echo whole > $OUT')
    process = run(tmp_path, go_pins(), PATH=path)
    assert process.communicate(timeout=120)[0].endswith("done 1.0, built from Go packages\n")
    tool = Toolchain(cache=tmp_path / "cache", environ=environ, pins=go_pins()).find("tool")
    assert tool is not None
    assert tool.path.read_text() == "whole\n"


def test_a_build_that_fails_shows_its_last_lines(tmp_path):
    path = fake_go(tmp_path, "echo main.go:3: undefined: x; exit 1")
    with pytest.raises(ToolError) as caught:
        Toolchain(cache=tmp_path / "cache", environ={"PATH": path}, pins=go_pins()).ensure(["tool"])
    assert "go build failed (exit code 1)" in caught.value.detail
    assert "main.go:3: undefined: x" in caught.value.detail


def test_the_first_failure_ends_the_other_installations(tmp_path, site, good):
    path = fake_go(tmp_path, f"echo $$ > {tmp_path}/pid; exec sleep 60")
    made = go_pins()
    lying = archive(site, "/absent", b"", "0" * 64)
    other = Pins.model_validate({"tools": {"other": {"version": "2", "executable": "x", "sources": [lying]}}})
    both = Pins(tools={**made.tools, **other.tools})
    with pytest.raises(ToolError, match="other 2 can't be had"):
        Toolchain(cache=tmp_path / "cache", environ={"PATH": path}, pins=both).ensure(["tool", "other"])
    pid = tmp_path / "pid"
    assert not pid.exists() or not psutil.pid_exists(int(pid.read_text())), "the other one goes on"
