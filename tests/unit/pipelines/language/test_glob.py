"""Globs as Ruby's File.fnmatch takes them with FNM_PATHNAME, FNM_DOTMATCH and FNM_EXTGLOB."""

from __future__ import annotations

import pytest

from pipelines.language.glob import matches, matches_any


@pytest.mark.parametrize(
    ("glob", "path", "matched"),
    [
        ("Dockerfile", "Dockerfile", True),
        ("Dockerfile", "docker/Dockerfile", False),
        ("*.py", "a.py", True),
        ("*.py", "src/a.py", False),
        ("*.py", ".hidden.py", True),
        ("src/*", "src/a", True),
        ("src/*", "src/a/b", False),
        ("src/**", "src/a/b", False),
        ("src/**/*", "src/a", True),
        ("src/**/*", "src/a/b/c", True),
        ("**/*.py", "a.py", True),
        ("**/*.py", "x/y/a.py", True),
        ("**/test/*.py", "a/b/test/x.py", True),
        ("a?c", "abc", True),
        ("a?c", "a/c", False),
        ("[ab].txt", "a.txt", True),
        ("[!ab].txt", "a.txt", False),
        ("[a-c].txt", "b.txt", True),
        ("*.{rb,py}", "x.py", True),
        ("*.{rb,py}", "x.go", False),
        ("{src,lib}/**/*.py", "lib/a/b.py", True),
        ("a{b", "a{b", True),
        ("a[b", "a[b", True),
        ("\\*.py", "*.py", True),
        ("\\*.py", "a.py", False),
        ("a+b.py", "a+b.py", True),
        ("a.py", "axpy", False),
        ("*" * 5000, "a", False),
        ("{" * 200 + "}" * 200, "a", False),
    ],
)
def test_matches(glob: str, path: str, matched: bool) -> None:
    assert matches(glob, path) is matched


def test_too_many_comparisons_count_as_a_match() -> None:
    paths = [f"file{number}" for number in range(300)]
    assert not matches_any(["nothing"], paths, 300)
    assert matches_any(["nothing"], paths, 299)
