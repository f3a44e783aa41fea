"""Regular expressions of RE2's syntax, compared with Python's where both agree."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.language.pattern import Pattern, PatternError, slashed


@pytest.mark.parametrize(
    ("source", "text", "found"),
    [
        ("a|b", "xb", True),
        ("^(?:ab|cd)$", "cd", True),
        ("^a{2,3}$", "aaa", True),
        ("^a{2,3}$", "aaaa", False),
        ("^a{2}$", "aaa", False),
        ("^a{2,}$", "aaaaa", True),
        ("a{,2}", "a{,2}", True),
        ("^[a-c_-]+$", "a-b_c", True),
        ("^[^a-c]+$", "xyz", True),
        ("^[^a-c]+$", "xay", False),
        ("^[]a]+$", "]a", True),
        ("^[[:alpha:][:digit:]]+$", "ab12", True),
        ("^[[:^alpha:]]+$", "ab", False),
        (r"^[\w.]+$", "a.b", True),
        (r"\bmain\b", "on main now", True),
        (r"\bmain\b", "domain", False),
        (r"\Amain\z", "main", True),
        (r"^a.c$", "a\nc", False),
        ("(?s)^a.c$", "a\nc", True),
        ("(?i)MAIN", "main", True),
        ("(?i:M)AIN", "mAIN", True),
        ("(?i:M)AIN", "main", False),
        ("(?P<name>x)(?<other>y)", "xy", True),
        ("main$", "main\n", False),
        (r"\x41\x{42}", "AB", True),
        (r"^\$\{a\}$", "${a}", True),
        ("(a*)*", "", True),
        ("^(|a)+$", "aaa", True),
        ("a??b", "b", True),
        ("", "anything", True),
    ],
)
def test_search(source: str, text: str, found: bool) -> None:
    assert Pattern(source).search(text) is found


@pytest.mark.parametrize(
    "source",
    [
        *("(", ")", "a)", "[", "[a", "[b-a]", "*", "a**", "(?=a)", "(?!a)", "(?<=a)", r"(a)\1", r"\k<a>", "\\"),
        *("(?P<1>a)", "[[:nope:]]", "a{3,2}", "a{1001}", r"\p{Greek}", r"\x{110000}"),
        *("((((a{100}){100}){100}){100})", "(" * 500 + ")" * 500, "(((){1000}){1000}){1000}"),
    ],
)
def test_refused(source: str) -> None:
    with pytest.raises(PatternError):
        Pattern(source)


@pytest.mark.parametrize("text", ["main", "/main", "main/", "/main/x", ""])
def test_not_slashed(text: str) -> None:
    with pytest.raises(PatternError):
        slashed(text)


_ATOMS = st.sampled_from(["a", "b", ".", "[ab]", "[^a]", r"\w", r"\d", "^", "$", r"\b"])


def _quantified(part: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.one_of(
        st.tuples(part, st.sampled_from(["*", "+", "?", "{1,2}", "*?"])).map(lambda pair: f"(?:{pair[0]}){pair[1]}"),
        st.lists(part, min_size=1, max_size=3).map("".join),
        st.lists(part, min_size=1, max_size=3).map(lambda parts: "(" + "|".join(parts) + ")"),
    )


@given(source=st.recursive(_ATOMS, _quantified, max_leaves=6), text=st.text(alphabet="ab1 ", max_size=8))
def test_agrees_with_python(source: str, text: str) -> None:
    assert Pattern(source).search(text) == (re.search(source, text, re.ASCII) is not None)
