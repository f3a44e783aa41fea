"""Shell text as commands: which programs a script calls, and whether their failure ends the job.

The grammar is tree-sitter's; the meaning is bash's under `set -eo pipefail`, as GitLab's runner runs a script: a failed
command ends it, unless its result is asked for (`||`, `&&`, `if`, `!`), nobody waits for it (`&`) or it is in something
that may not run at all. What is not understood counts as not ending the job.
"""

from __future__ import annotations

from dataclasses import replace
from enum import Enum
from functools import lru_cache
from typing import Final

import tree_sitter

from pipelines.shell.command import Command, Fetched, Script, Weakness
from pipelines.shell.fetching import fetcher, fetcher_inside, runner
from pipelines.shell.node import (
    first_line,
    functions,
    is_failure,
    leaves,
    leaves_well,
    parse,
    row,
    same_program,
    switches_off,
    tested,
    text_of,
    trap_hides,
    word,
    words_of,
)

_TRANSPARENT: Final = frozenset({"program", "compound_statement", "do_group", "subshell"})
_DEPTH_LIMIT: Final = 200
_UNREADABLE: Final = frozenset({"eval", "source", "."})
"""These run text that is not to be seen here, which may do anything."""


class Weight(Enum):
    """What a command's failure does."""

    ENDS = "ends the job"
    DECIDES = "decides what is asked about it, and that ends the job"
    NOTHING = "nothing"


@lru_cache(maxsize=4096)
def read_script(text: str) -> Script:
    """The commands of a script that a runner's bash runs, in their order; functions where they are called."""
    reader = _Reader(parse(text))
    return Script(commands=tuple(reader.commands), weaknesses=tuple(reader.weaknesses), fetched=tuple(reader.fetched))


class _Reader:
    def __init__(self, root: tree_sitter.Node) -> None:
        self._functions = {text_of(node.child_by_field_name("name")): node for node in functions(root)}
        self._calling: list[str] = []
        self._strict = True
        self.commands: list[Command] = []
        self.weaknesses: list[Weakness] = []
        self.fetched: list[Fetched] = []
        self._walk(root, Weight.ENDS)

    def _walk(self, node: tree_sitter.Node, weight: Weight, depth: int = 0) -> None:
        if depth > _DEPTH_LIMIT:
            return
        known = {
            "command": self._command,
            "for_statement": self._for,
            "if_statement": self._if,
            "list": self._list,
            "pipeline": self._pipeline,
            "redirected_statement": self._redirected,
            "test_command": self._test,
            "variable_assignment": self._substitutions,
            "variable_assignments": self._substitutions,
            **dict.fromkeys(_TRANSPARENT, self._statements),
        }
        if node.type in known:
            known[node.type](node, weight, depth)
        elif node.type != "function_definition":
            for child in node.named_children:
                self._walk(child, Weight.NOTHING, depth + 1)

    def _redirected(self, node: tree_sitter.Node, weight: Weight, depth: int) -> None:
        body = node.child_by_field_name("body")
        for child in node.named_children:
            self._walk(child, weight if child == body else Weight.NOTHING, depth + 1)

    def _for(self, node: tree_sitter.Node, weight: Weight, depth: int) -> None:
        for child in node.named_children:
            self._walk(child, weight if child.type == "do_group" else Weight.NOTHING, depth + 1)

    def _statements(self, node: tree_sitter.Node, weight: Weight, depth: int) -> None:
        """One after another. Asked for as a whole, only the last one decides; behind an `exit` nothing runs."""
        children = [child for child in node.children if child.is_named and child.type != "comment"]
        background = {child.prev_named_sibling for child in node.children if child.type == "&"}
        for index, child in enumerate(children):
            own = weight
            if weight is Weight.DECIDES and index < len(children) - 1:
                own = Weight.NOTHING
            if child in background or not self._strict:
                own = Weight.NOTHING
            self._walk(child, own, depth + 1)
            if weight is not Weight.NOTHING and leaves(child):
                if leaves_well(child):
                    self.weaknesses.append(Weakness(text=first_line(child), line=row(child)))
                weight = Weight.NOTHING

    def _list(self, node: tree_sitter.Node, weight: Weight, depth: int) -> None:
        left, right = node.named_children[0], node.named_children[-1]
        operator = next((child.type for child in node.children if child.type in ("&&", "||")), "")
        asked = Weight.NOTHING
        then = Weight.NOTHING
        if weight is not Weight.NOTHING and operator == "||":
            if self._fails(right) or same_program(left, right):
                asked = Weight.DECIDES
            elif left.type != "test_command":
                self.weaknesses.append(Weakness(text=f"|| {first_line(right)}", line=row(right)))
        elif weight is Weight.DECIDES:
            asked = then = Weight.DECIDES
        elif weight is Weight.ENDS and operator == "&&" and left.type == "variable_assignment":
            asked, then = weight, weight
        self._walk(left, asked, depth + 1)
        self._walk(right, then, depth + 1)

    def _if(self, node: tree_sitter.Node, weight: Weight, depth: int) -> None:
        """`if ! tool; then …; fail; fi` is a tool whose failure ends the job."""
        condition = node.child_by_field_name("condition")
        body = [child for child in node.named_children if child != condition and child.type != "comment"]
        inner = [child for child in body if child.type not in ("else_clause", "elif_clause")]
        for child in node.named_children:
            negated = child == condition and child.type == "negated_command"
            if weight is not Weight.NOTHING and negated and inner and self._fails(inner[-1]):
                for part in child.named_children:
                    self._walk(part, Weight.DECIDES, depth + 1)
            else:
                self._walk(child, Weight.NOTHING, depth + 1)

    def _command(self, node: tree_sitter.Node, weight: Weight, depth: int) -> None:
        words = words_of(node)
        for child in node.named_children:
            self._substitutions(child, Weight.NOTHING, depth)
        if not words:
            return
        runs = runner(words)
        if runs and (by := fetcher_inside(node)):
            self.fetched.append(Fetched(by=by, to=runs, line=row(node)))
        counts = weight is not Weight.NOTHING
        function = self._functions.get(words[0])
        self.commands.append(Command(words=words, line=row(node), counts=counts, function=function is not None))
        self._settings(words, node)
        if function is not None and words[0] not in self._calling:
            self._calling.append(words[0])
            first = len(self.commands)
            body = function.child_by_field_name("body")
            if body is not None:
                self._walk(body, weight, depth + 1)
            self.commands[first:] = [_with_arguments(one, words[1:]) for one in self.commands[first:]]
            self._calling.pop()

    def _pipeline(self, node: tree_sitter.Node, weight: Weight, depth: int) -> None:
        """With `pipefail` each part counts."""
        by = ""
        for child in node.named_children:
            self._walk(child, weight, depth + 1)
            command = child.child_by_field_name("body") if child.type == "redirected_statement" else child
            words = words_of(command) if command is not None and command.type == "command" else ()
            if by and (to := runner(words, piped=True)):
                self.fetched.append(Fetched(by=by, to=to, line=row(child)))
            by = by or fetcher(words)

    def _test(self, node: tree_sitter.Node, weight: Weight, depth: int) -> None:
        inside = tuple(word(child) for child in tested(node))
        self._substitutions(node, Weight.NOTHING, depth)
        self.commands.append(Command(words=("[", *inside), line=row(node), counts=weight is not Weight.NOTHING))

    def _substitutions(self, node: tree_sitter.Node, weight: Weight, depth: int) -> None:
        """Commands in `$(…)`, whose failure is the failure of an assignment that is nothing else."""
        if depth > _DEPTH_LIMIT:
            return
        if node.type in ("command_substitution", "process_substitution"):
            for child in node.named_children:
                self._walk(child, weight if node.type == "command_substitution" else Weight.NOTHING, depth + 1)
            return
        for child in node.named_children:
            self._substitutions(child, weight, depth + 1)

    def _settings(self, words: tuple[str, ...], node: tree_sitter.Node) -> None:
        """What makes all that follows harmless: `set +e`, a trap that exits well."""
        if words[0] in _UNREADABLE:
            self.weaknesses.append(Weakness(text=first_line(node), line=row(node)))
        unset = words[0] == "set" and any(switches_off(words, index) for index in range(1, len(words)))
        trapped = words[0] == "trap" and len(words) > 1 and trap_hides(words)
        if unset or trapped:
            self._strict = False
            self.weaknesses.append(Weakness(text=first_line(node), line=row(node)))

    def _fails(self, node: tree_sitter.Node, depth: int = 0) -> bool:
        """Whether `node` surely ends with a failure."""
        if depth > _DEPTH_LIMIT:
            return False
        last: tree_sitter.Node | None = None
        words = words_of(node) if node.type == "command" else ()
        if node.type in ("compound_statement", "subshell"):
            last = next((child for child in reversed(node.named_children) if child.type != "comment"), None)
        elif node.type == "redirected_statement":
            last = node.child_by_field_name("body")
        elif words and words[0] in self._functions:
            last = self._functions[words[0]].child_by_field_name("body")
        if last is not None:
            return self._fails(last, depth + 1)
        return words == ("false",) or (words[:1] in (("exit",), ("return",)) and is_failure(words[1:]))


def _with_arguments(command: Command, arguments: tuple[str, ...]) -> Command:
    """A command of a function's body that is called with these arguments: `"$@"` is all of them."""
    if "$@" not in command.words:
        return command
    at = command.words.index("$@")
    words = (*command.words[:at], *arguments, *command.words[at + 1 :])
    return replace(command, words=words)
