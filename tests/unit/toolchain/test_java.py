from __future__ import annotations

import pytest

from infra.core.error import ToolError
from infra.toolchain.java import java_development


def programs(folder, **prints):
    for name, text in prints.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\necho '{text}'\n")
        path.chmod(0o755)
    return {"PATH": str(folder)}


def test_a_jdk_and_a_maven_are_found(tmp_path):
    found = java_development(programs(tmp_path, javac="javac 17.0.15", mvn="Apache Maven 3.8.7 (x)"))
    assert (found.javac_version, found.maven_version) == ("17.0.15", "3.8.7")
    assert found.java_home == tmp_path.parent


@pytest.mark.parametrize(
    ("there", "fix"),
    [
        pytest.param({}, "openjdk-17-jdk-headless maven", id="neither"),
        pytest.param({"javac": "javac 17.0.15"}, "recommends maven", id="no maven"),
        pytest.param({"javac": "javac 11.0.2", "mvn": "Apache Maven 3.9.0"}, "recommends openjdk-17", id="an old JDK"),
    ],
)
def test_what_is_missing_is_named_with_its_command(tmp_path, there, fix):
    environ = programs(tmp_path, apt_get="", **there)
    with pytest.raises(ToolError) as caught:
        java_development(environ)
    assert caught.value.fix.startswith("sudo apt-get install -y")
    assert fix in caught.value.fix


def test_without_apt_get_there_are_words(tmp_path):
    with pytest.raises(ToolError) as caught:
        java_development({"PATH": str(tmp_path)})
    assert "package manager" in caught.value.fix
