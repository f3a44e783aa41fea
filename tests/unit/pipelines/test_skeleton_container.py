"""The skeletons' Dockerfiles, held to what makes an image small, reproducible and harmless."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

from pipelines.catalogue import load_catalogue
from pipelines.skeleton import render_skeleton

CATALOGUE = load_catalogue()
LANGUAGES = ("generic", "go", "java", "node", "python")
SECRET = re.compile(r"(?i)pass(word)?|secret|token|credential|api_?key")


def instructions(text: str) -> list[tuple[str, str]]:
    """Each instruction and what follows it, continued lines joined; comments left out."""
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith("#")]
    joined = "\n".join(lines).replace("\\\n", " ")
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in joined.splitlines()]


def faults(text: str) -> Iterator[str]:
    """What is wrong with a Dockerfile."""
    found = instructions(text)
    starts = [index for index, (word, _) in enumerate(found) if word == "FROM"]
    if len(starts) < 2:
        yield "one stage: what builds is in the image"
    defaults = dict(rest.split("=", 1) for word, rest in found[: starts[0]] if word == "ARG" and "=" in rest)
    for index in starts:
        image = re.fullmatch(r"\$\{(\w+)\}( AS \w+)?", found[index][1])
        if image is None or image[1] not in defaults:
            yield "an image that can't be chosen by an argument"
    for image_name in defaults.values():
        if "/" in image_name or ":" not in image_name or image_name.endswith(":latest"):
            yield f"{image_name}: an image of a registry, or without a version"
    last = found[starts[-1] :]
    users = [rest for word, rest in last if word == "USER"]
    if not users or not re.fullmatch(r"[1-9][0-9]*:[1-9][0-9]*", users[-1]):
        yield "runs as root, or as a user whose number nobody can check"
    if not any(word == "ENTRYPOINT" and _is_list(rest) for word, rest in last):
        yield "a shell stands between the service and its signals"
    if any(word == "COPY" and not rest.startswith("--from=") for word, rest in last):
        yield "the image has files that were not built"
    for word, rest in found:
        if word == "ADD":
            yield "ADD fetches and unpacks"
        if word in {"ARG", "ENV"} and SECRET.search(rest):
            yield "a secret would stay in the image's history"


def _is_list(text: str) -> bool:
    try:
        return isinstance(json.loads(text), list)
    except ValueError:
        return False


def dockerfile(language: str) -> str:
    service = CATALOGUE.service("market-data").model_copy(update={"name": "quotes", "language": language})
    return render_skeleton(service)["Dockerfile"]


@pytest.mark.parametrize("language", LANGUAGES)
def test_an_image_is_small_and_harmless(language: str) -> None:
    text = dockerfile(language)
    assert list(faults(text)) == []
    assert ("EXPOSE", "8101") in instructions(text)
    assert ("ENV", "HOST=0.0.0.0") in instructions(text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_copied_is_there_and_not_ignored(language: str) -> None:
    service = CATALOGUE.service("market-data").model_copy(update={"name": "quotes", "language": language})
    files = render_skeleton(service)
    ignored = [line for line in files[".dockerignore"].splitlines() if line and not line.startswith("#")]
    assert {".git/", ".env*"} <= set(ignored)
    for word, rest in instructions(files["Dockerfile"]):
        if word == "COPY" and not rest.startswith("--from="):
            for source in rest.split(" ")[:-1]:
                assert source == "." or any(path == source or path.startswith(f"{source}/") for path in files), source
                assert f"{source}/" not in ignored


@pytest.mark.parametrize(
    ("old", "new", "fault"),
    [
        ("FROM ${RUN_IMAGE}\n", "", "one stage"),
        ("FROM ${RUN_IMAGE}", "FROM debian:bookworm", "can't be chosen"),
        ("RUN_IMAGE=debian:bookworm-slim", "RUN_IMAGE=debian:latest", "without a version"),
        ("RUN_IMAGE=debian:bookworm-slim", "RUN_IMAGE=registry.example/debian:12", "of a registry"),
        ("USER 65532:65532", "USER root", "runs as root"),
        ("USER 65532:65532", "USER 0:0", "runs as root"),
        ("USER 65532:65532\n", "", "runs as root"),
        ('ENTRYPOINT ["/usr/local/bin/quotes"]', "ENTRYPOINT /usr/local/bin/quotes", "a shell stands between"),
        ("ENV HOST", "COPY . .\nENV HOST", "not built"),
        ("COPY . .", "ADD . .", "ADD fetches"),
        ("ARG VERSION", "ARG NEXUS_PASSWORD\nARG VERSION", "a secret"),
    ],
)
def test_a_bad_one_is_found(old: str, new: str, fault: str) -> None:
    text = dockerfile("go")
    assert old in text
    assert any(fault in found for found in faults(text.replace(old, new)))
