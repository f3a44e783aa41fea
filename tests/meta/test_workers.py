"""Tests of one group run in one worker, one after the other: what they share is made once, and met by one at a time."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

CASE = """\
import pytest

@pytest.mark.xdist_group("shared")
@pytest.mark.parametrize("number", range(6))
def test_shared(number):
    pass

@pytest.mark.parametrize("number", range(6))
def test_alone(number):
    pass
"""


def test_a_group_stays_in_one_worker(tmp_path: Path) -> None:
    (tmp_path / "test_case.py").write_text(CASE)
    command = [sys.executable, "-m", "pytest", "-v", "-n", "2", "--dist", "loadgroup", "-p", "no:cacheprovider"]
    ended = subprocess.run([*command, str(tmp_path)], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    workers = re.findall(r"^\[(gw\d)\] .* PASSED .*::test_shared", ended.stdout, re.MULTILINE)
    assert (len(workers), len(set(workers))) == (6, 1), ended.stdout
