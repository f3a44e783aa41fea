"""The commands that the documentation shows are there."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from infra.cli.main import forgeline
from infra.core.settings import ROOT

PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
TARGETS = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


def commands(text: str) -> list[list[str]]:
    """Each command line of the text's shell blocks, and each `forgeline …` or `make …` in the running text."""
    blocks = re.findall(r"```sh\n(.*?)```", text, re.S)
    lines = [line for block in blocks for line in block.splitlines()]
    lines += re.findall(r"`((?:forgeline|make) [^`\n]+)`", re.sub(r"```.*?```", "", text, flags=re.S))
    return [words for line in lines if (words := shlex.split(line, comments=True))]


def problem(words: list[str]) -> str:
    """What is wrong with a command, or nothing."""
    program, *arguments = words
    if program == "make":
        unknown = [word for word in arguments if "=" not in word and word not in TARGETS]
        return f"no make target {unknown}" if unknown else ""
    if Path(program).name != "forgeline":
        return f"{program} is not a command of this project"
    command: click.Command = forgeline
    context = click.Context(command)
    rest = iter(arguments)
    for word in rest:
        if command.context_settings.get("ignore_unknown_options"):
            return ""  # what follows is another program's
        if word.startswith("-"):
            known = {option: one for one in command.params for option in (*one.opts, *one.secondary_opts)}
            if word not in {*known, "--help"}:
                return f"{' '.join(words)}: no option {word}"
            if word in known and not getattr(known[word], "is_flag", False):
                next(rest, None)  # its value
        elif isinstance(command, click.Group) and word.islower():
            found = command.get_command(context, word)
            if found is None:
                return f"{' '.join(words)}: no command {word}"
            command = found
    return ""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_command_is_there(page: Path) -> None:
    assert [text for words in commands(page.read_text()) if (text := problem(words))] == []


def test_the_readme_names_the_two_commands() -> None:
    assert {("make", "up"), ("make", "test")} <= {tuple(words) for words in commands((ROOT / "README.md").read_text())}


@pytest.mark.parametrize(
    "line",
    [
        "make uo",
        "forgeline staus",
        "forgeline pipelines rnu --all",
        "forgeline up --refersh",
        "forgeline services --tier core updaet",
    ],
)
def test_a_wrong_command_is_caught(line: str) -> None:
    assert problem(shlex.split(line))
