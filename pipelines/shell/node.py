"""Nodes of tree-sitter's bash grammar: the words of a command, and small questions about statements."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import tree_sitter
import tree_sitter_bash

_LANGUAGE: Final = tree_sitter.Language(tree_sitter_bash.language())


def parse(text: str) -> tree_sitter.Node:
    """The root node of a script."""
    return tree_sitter.Parser(_LANGUAGE).parse(text.encode("utf-8", "replace")).root_node


def functions(root: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    waiting = [root]
    while waiting:
        node = waiting.pop()
        if node.type == "function_definition" and node.child_by_field_name("name") is not None:
            yield node
        waiting += node.named_children


def words_of(node: tree_sitter.Node) -> tuple[str, ...]:
    kept = [child for child in node.named_children if child.type not in ("variable_assignment", "comment")]
    return tuple(word(child) for child in kept if "redirect" not in child.type)


def word(node: tree_sitter.Node) -> str:
    text = text_of(node)
    for quote in ('"', "'"):
        if len(text) > 1 and text[0] == text[-1] == quote:
            return text[1:-1]
    return text.replace('"', "").replace("'", "") if node.type in ("concatenation", "command_name") else text


def tested(node: tree_sitter.Node) -> Iterator[tree_sitter.Node]:
    for child in node.named_children:
        if child.type in ("unary_expression", "binary_expression", "negation_expression", "parenthesized_expression"):
            yield from tested(child)
        else:
            yield child


def leaves(node: tree_sitter.Node) -> bool:
    """Whether nothing runs behind `node`."""
    words = words_of(node) if node.type == "command" else ()
    return bool(words) and (words[0] in ("exit", "return") or (words[0] == "exec" and len(words) > 1))


def leaves_well(node: tree_sitter.Node) -> bool:
    """Whether what ends the script here may end it well."""
    words = words_of(node)
    return words[0] == "exec" or not is_failure(words[1:])


def is_failure(arguments: tuple[str, ...]) -> bool:
    """Whether `exit` with these arguments is a failure for sure."""
    return len(arguments) == 1 and re.fullmatch("[0-9]{1,9}", arguments[0]) is not None and int(arguments[0]) % 256 != 0


def same_program(left: tree_sitter.Node, right: tree_sitter.Node) -> bool:
    """Whether both are calls of one program: the second tells people what the first wrote for machines."""
    first, second = (words_of(node) if node.type == "command" else () for node in (left, right))
    return bool(first) and bool(second) and first[0] == second[0] and set(second[1:]) <= set(first[1:])


def switches_off(words: tuple[str, ...], index: int) -> bool:
    word = words[index]
    if word == "+o":
        return words[index + 1 : index + 2] in (("errexit",), ("pipefail",))
    return word.startswith("+") and "e" in word


def trap_hides(words: tuple[str, ...]) -> bool:
    signals = set(words[2:])
    ends = bool(signals & {"EXIT", "0", "ERR"})
    return ends and any(part.strip().startswith(("exit", "return")) for part in words[1].split(";"))


def text_of(node: tree_sitter.Node | None) -> str:
    return (node.text or b"").decode("utf-8", "replace") if node is not None else ""


def first_line(node: tree_sitter.Node) -> str:
    return text_of(node).partition("\n")[0][:60]


def row(node: tree_sitter.Node) -> int:
    return node.start_point[0] + 1
