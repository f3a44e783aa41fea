from __future__ import annotations

import pytest

from infra.toolchain.pin import SystemPin
from infra.toolchain.system import find_system, suits


def program(folder, name, prints):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(f"#!/bin/sh\necho '{prints}' >&2\n")
    path.chmod(0o755)
    return path


JAVA = SystemPin(command="java", arguments=["-version"], pattern=r'version "([0-9.]+)', majors=[17, 21])


@pytest.mark.parametrize(
    ("version", "minimum", "majors", "good"),
    [
        pytest.param("1.26.8", "1.26.5", None, True, id="newer"),
        pytest.param("1.26.5", "1.26.5", None, True, id="the same"),
        pytest.param("1.26", "1.26.5", None, False, id="older, and shorter"),
        pytest.param("1.9.9", "1.26.5", None, False, id="numbers are not text"),
        pytest.param("17.0.15", None, [17, 21], True, id="a major that will do"),
        pytest.param("18.0.1", None, [17, 21], False, id="a major between"),
        pytest.param("unknown", None, None, False, id="no number"),
    ],
)
def test_versions(version, minimum, majors, good):
    pin = SystemPin(command="x", arguments=[], pattern="x", minimum=minimum, majors=majors)
    assert suits(version, pin) is good


def test_a_program_on_the_path_is_found(tmp_path):
    path = program(tmp_path, "java", 'openjdk version "17.0.15" 2025-04-15')
    found = find_system(JAVA, {"PATH": str(tmp_path)})
    assert found is not None
    assert (found.path, found.version) == (path, "17.0.15")


def test_java_home_comes_first(tmp_path):
    program(tmp_path / "path", "java", 'openjdk version "17.0.1"')
    path = program(tmp_path / "home" / "bin", "java", 'openjdk version "21.0.2"')
    found = find_system(JAVA, {"PATH": str(tmp_path / "path"), "JAVA_HOME": str(tmp_path / "home")})
    assert found is not None
    assert found.path == path


def test_a_java_home_that_will_not_do_is_passed_over(tmp_path):
    path = program(tmp_path / "path", "java", 'openjdk version "17.0.1"')
    program(tmp_path / "home" / "bin", "java", 'java version "1.8.0_302"')
    found = find_system(JAVA, {"PATH": str(tmp_path / "path"), "JAVA_HOME": str(tmp_path / "home")})
    assert found is not None
    assert found.path == path


@pytest.mark.parametrize("prints", ["no version here", 'openjdk version "11.0.2"'])
def test_a_program_that_will_not_do_is_not_found(tmp_path, prints):
    program(tmp_path, "java", prints)
    assert find_system(JAVA, {"PATH": str(tmp_path)}) is None


def test_no_program(tmp_path):
    assert find_system(JAVA, {"PATH": str(tmp_path)}) is None
    assert find_system(JAVA, {}) is None
