"""Adding a language is one value, one template and one skeleton: done here in a temporary folder."""

from __future__ import annotations

import shutil
from enum import StrEnum
from pathlib import Path

import pytest

from infra.core.error import BadInputError
from infra.core.settings import ROOT, load_settings
from pipelines.catalogue import Service, load_catalogue
from pipelines.check import check_pipelines
from pipelines.render import Context, render_pipeline
from pipelines.skeleton import render_skeleton
from pipelines.standard import STAGES
from pipelines.subject import Subject
from pipelines.template import Templates


class NewLanguage(StrEnum):
    RUST = "rust"


class NewService(Service):
    """What `Service` would be with one more value of `Language`."""

    language: NewLanguage  # type: ignore[assignment]


TEMPLATE = """\
{% extends "base.yml.j2" %}
{% import "shell.j2" as shell with context %}
{% import "job.j2" as job with context %}
{% block tools %}
need cargo
at_least Rust {{ service.language_version | sh }} "$(rustc --version | cut -d ' ' -f 2)"
{% endblock %}
{% block language_job %}
{{ job.language_job() }}
  before_script:
    - {% filter literal(6) %}
{{ shell.version() }}
{{ shell.cache_folder() }}
export CARGO_HOME="$cache/cargo"
{% endfilter %}
{% endblock %}
{% block build %}
cargo build --release --locked
install -D target/release/{{ service.name }} dist/{{ service.name }}
{% endblock %}
{% block unit_test %}
cargo test --locked
{% endblock %}
{% block coverage %}
coverage="$(cat coverage.txt)"
{% endblock %}
{% block reports %}
      junit: report.xml
{% endblock %}
{% block lint %}
cargo clippy --locked -- -D warnings
{% endblock %}
{% block sast_report %}sast.json{% endblock %}
{% block sast %}
cargo geiger --output-format Json > sast.json
{% endblock %}
{% block sbom %}
cargo cyclonedx --format json --override-filename sbom.cdx
{% endblock %}
"""


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    return tmp_path


@pytest.fixture
def service() -> Service:
    described = load_catalogue().service("market-data").model_dump()
    return NewService.model_validate({**described, "name": "quotes", "language": "rust", "language_version": "1.91"})


def test_a_language_is_a_template(checkout: Path, service: Service) -> None:
    context = Context.of(load_catalogue(), load_settings({}))
    folder = checkout / "templates" / "pipelines"
    with pytest.raises(BadInputError, match="rust"):
        render_pipeline(service, context, Templates(folder))
    (folder / "rust.yml.j2").write_text(TEMPLATE, encoding="utf-8")
    text = render_pipeline(service, context, Templates(folder))
    assert check_pipelines({"quotes.yml": text}) == []
    subject = Subject(file="quotes.yml", text=text)
    assert list(subject.jobs) == [job for names in STAGES.values() for job in names]
    assert "cargo build --release --locked" in subject.script("build").text


def test_a_language_is_a_skeleton(checkout: Path, service: Service) -> None:
    with pytest.raises(BadInputError, match="there is no skeleton for 'rust'"):
        render_skeleton(service, root=checkout)
    for place in ("rust", "domain/_default/rust"):
        (checkout / "templates" / "services" / place / "src").mkdir(parents=True)
    skeleton = checkout / "templates" / "services" / "rust"
    (skeleton / "README.part.j2").write_text("`cargo run`\n", encoding="utf-8")
    (skeleton / "Cargo.toml.j2").write_text('[package]\nname = "{{ name }}"\n', encoding="utf-8")
    files = render_skeleton(service, root=checkout)
    assert files["Cargo.toml"] == '[package]\nname = "quotes"\n'
    assert {"README.md", "CODEOWNERS", "integration/checks.json"} <= set(files)
