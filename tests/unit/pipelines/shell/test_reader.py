"""Whose failure ends a job: shell text as bash reads it under `set -eo pipefail`, compared with bash itself."""

from __future__ import annotations

import subprocess

import pytest

from pipelines.shell.reader import read_script

ENDS = [
    "tool",
    "tool --option 'a b' > /dev/null 2>&1",
    "VAR=1 tool",
    "tool; echo done",
    "tool | cat",
    "echo x | tool",
    "( tool )",
    "{ tool; }",
    'found="$(tool)"',
    'found="$(tool | cat)"',
    "tool || exit 1",
    "tool || { echo no >&2; exit 3; }",
    "fail() { echo no; exit 1; }\ntool || fail",
    "if ! tool; then echo no; exit 1; fi",
    "wrapper() { tool; }\nwrapper",
    "for one in a b; do tool; done",
    "set -e\ntool",
    "tool || tool",
]
HIDES = [
    "tool || true",
    "tool || :",
    "tool || echo no",
    "tool || exit 0",
    "tool && echo yes\ntrue",
    "! tool\ntrue",
    "tool &",
    "if tool; then echo yes; fi",
    "if ! tool; then echo no; fi",
    "while tool; do break; done",
    "set +e\ntool\ntrue",
    "set +o errexit\ntool\ntrue",
    "exit 0\ntool",
    "exec true\ntool",
    "trap 'exit 0' EXIT\ntool",
    "later() { tool; }",
    "wrapper() { tool; }\nwrapper || true",
    'export FOUND="$(tool)"',
    'echo "$(tool)"',
    "echo tool",
    "# tool",
    "tool() { :; }\ntool",
    "case x in y) tool ;; esac",
    "false && tool || true",
    "fail() { echo no; }\ntool || fail",
]


def counts(script: str) -> bool:
    return any(command.counts and command.calls("tool") for command in read_script(script).commands)


def ends(script: str) -> bool:
    """What bash says: whether the script fails when `tool`, a program that is not there, does."""
    missing = "command_not_found_handle() { return 7; }\nexport -f command_not_found_handle\n"
    command = ["bash", "-c", f'{missing}exec bash -eo pipefail -c "$1"', "bash", script]
    return subprocess.run(command, capture_output=True, timeout=20, check=False).returncode != 0


@pytest.mark.parametrize("script", ENDS)
def test_a_failure_that_ends_the_job(script: str) -> None:
    assert ends(script)
    assert counts(script)


@pytest.mark.parametrize("script", HIDES)
def test_a_failure_that_nobody_hears(script: str) -> None:
    assert not ends(script)
    assert not counts(script)


@pytest.mark.parametrize(
    ("script", "call", "made"),
    [
        ('maven() {\n  mvn -B "$@"\n}\nmaven checkstyle:check', ("mvn", "checkstyle:check"), True),
        ("npx --no-install eslint .", ("eslint", "."), True),
        ("git ls-files -z | xargs -0 gofmt -l", ("gofmt", "-l"), True),
        ("/usr/bin/gitleaks git .", ("gitleaks", "git"), True),
        ("ci/test", ("ci/test",), True),
        ("test -f x", ("ci/test",), False),
        ("gitleaks detect", ("gitleaks", "git"), False),
        ("awk 'BEGIN { exit 1 }'", ("awk", "BEGIN*"), True),
        ('[ "$A" = x ] || exit 1', ("[", "$A"), True),
        ("publish() { :; }\npublish x", ("publish()", "x"), True),
        ("publish x", ("publish()", "x"), False),
    ],
)
def test_calls(script: str, call: tuple[str, ...], made: bool) -> None:
    assert any(command.counts and command.calls(*call) for command in read_script(script).commands) is made


@pytest.mark.parametrize(
    ("script", "shown"),
    [
        ("set +e", "set +e"),
        ("tool || true", "|| true"),
        ("exit 0\nx", "exit 0"),
        ("trap 'rm x; exit 0' EXIT", "trap 'rm x; exit 0' EXIT"),
        ('eval "$X"', 'eval "$X"'),
        (". x.sh", ". x.sh"),
    ],
)
def test_what_hides_failures_is_shown(script: str, shown: str) -> None:
    assert [weakness.text for weakness in read_script(script).weaknesses] == [shown]


HIDES_NOTHING = ["trap 'rm -f x' EXIT", "[ -d x ] || mkdir x", "tool || { echo no; exit 1; }", "set -e"]
ODD = ["", "'", "$((", "if", "\x00", "(" * 3000, "a() { a; }\na", "漢 | ]]", "<<X\n", "exit 99999999999999"]


@pytest.mark.parametrize("script", HIDES_NOTHING)
def test_what_hides_nothing_is_not(script: str) -> None:
    assert read_script(script).weaknesses == ()


@pytest.mark.parametrize("script", ODD)
def test_any_text_is_read(script: str) -> None:
    assert read_script(script).commands is not None
