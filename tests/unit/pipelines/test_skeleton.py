"""Skeletons: every service of the catalogue and a new one of each language, as text and as running processes."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from infra.core.error import BadInputError
from infra.core.settings import ROOT
from pipelines.catalogue import Language, load_catalogue
from pipelines.skeleton import code_owners, go_module, java_package, python_package, render_skeleton
from tests.service_process import ServiceProcess, build, running
from tests.trial import free_ports

TEMPLATES = ROOT / "templates" / "services"
LANGUAGES = [str(language) for language in Language]
LONGEST = "a-service-with-the-longest-name-there-is"

TEN = {
    "client-reporting",
    "compliance-monitor",
    "execution-router",
    "fund-valuation",
    "market-data",
    "order-gateway",
    "order-management",
    "position-keeping",
    "pre-trade-risk",
    "settlement",
}


@dataclass(frozen=True, kw_only=True)
class Described:
    """What a skeleton needs to know of a service."""

    name: str
    language: str
    description: str = "A new service"
    tier: str = "normal"
    owners: tuple[str, ...] = ("team-a",)
    port: int = 8190
    dependencies: tuple[str, ...] = ()
    base_group: str = ""


CATALOGUE = [
    Described(
        name=service.name,
        language=str(service.language),
        description=service.description,
        tier=str(service.tier),
        owners=service.owners,
        port=service.port,
        dependencies=service.dependencies,
    )
    for service in load_catalogue()
]
NEW = [Described(name=LONGEST, language=language) for language in LANGUAGES]
ALL = pytest.mark.parametrize("service", CATALOGUE + NEW, ids=lambda service: f"{service.language}:{service.name}")


def test_catalogue_model_is_taken_as_it_is() -> None:
    service = load_catalogue().service("market-data")
    assert render_skeleton(service)["go.mod"].startswith("module forgeline.internal/trading/market-data\n")


def test_the_ten_have_domains_of_their_own() -> None:
    own = {path.name for path in (TEMPLATES / "domain").iterdir()} - {"_default"}
    assert own == TEN
    for service in CATALOGUE:
        if service.name in TEN:
            assert (TEMPLATES / "domain" / service.name / service.language).is_dir(), service.name


@ALL
def test_files_are_complete(service: Described) -> None:
    files = render_skeleton(service)
    assert {"README.md", "CODEOWNERS", ".gitignore", ".editorconfig"} <= set(files)
    assert list(files) == sorted(files)
    for path, text in files.items():
        assert not path.endswith(".j2"), path
        assert not {"SERVICE", "PYTHON_PACKAGE", "JAVA_PACKAGE"} & set(path.split("/")), path
        assert not Path(path).is_absolute(), path
        assert ".." not in Path(path).parts, path
        for mark in ("{{", "{%", "{#", "JAVA_PACKAGE", "PYTHON_PACKAGE"):
            assert mark not in text, (path, mark)
        assert text.endswith("\n"), path
        assert not text.endswith("\n\n"), path
        assert not any(line != line.rstrip() for line in text.splitlines()), path


@ALL
def test_rendering_is_deterministic(service: Described) -> None:
    assert list(render_skeleton(service).items()) == list(render_skeleton(service).items())


@ALL
def test_service_is_described(service: Described) -> None:
    files = render_skeleton(service)
    assert files["README.md"].startswith(f"# {service.name}\n\n{service.description}\n")
    assert files["CODEOWNERS"].splitlines()[-1] == "* " + " ".join(f"@teams/{owner}" for owner in service.owners)
    assert any(f'"{service.port}"' in text for path, text in files.items() if "README" not in path)


@pytest.mark.parametrize(
    ("language", "path"),
    [
        ("generic", "src/domain.py"),
        ("go", f"cmd/{LONGEST}/main.go"),
        ("java", f"src/main/java/com/forgeline/trading/{LONGEST.replace('-', '')}/Application.java"),
        ("node", "src/domain/notional.js"),
        ("python", f"src/{LONGEST.replace('-', '_')}/__main__.py"),
    ],
)
def test_new_service_has_the_default_domain(language: str, path: str) -> None:
    files = render_skeleton(Described(name=LONGEST, language=language))
    assert path in files
    assert "POST /notional" in files["README.md"]


def test_domain_of_another_language_is_not_taken() -> None:
    files = render_skeleton(Described(name="market-data", language="python"))
    assert "src/market_data/notional.py" in files
    assert "POST /notional" in files["README.md"]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize(
    "name",
    [
        "",
        "Market",
        "market_data",
        "market--data",
        "-market",
        "market-",
        "1market",
        "märket",
        "mаrket",  # noqa: RUF001 - a Cyrillic letter that looks like a Latin one
        "../../etc",
        "a/b",
        "a;rm -rf",
        "$(id)",
        "`id`",
        "{{ 7 * 7 }}",
        "{% raw %}",
        'a"b',
        "a\nb",
        "a\n",
        "a" * 41,
    ],
)
def test_bad_name_is_refused(language: str, name: str) -> None:
    with pytest.raises(BadInputError, match="is not a service's name"):
        render_skeleton(Described(name=name, language=language))


@pytest.mark.parametrize(
    ("language", "name"),
    [
        ("python", "class"),
        ("python", "http"),
        ("python", "json"),
        ("python", "pytest"),
        ("java", "new"),
        ("java", "pack-age"),
        ("go", "vendor"),
    ],
)
def test_reserved_name_is_refused_in_its_language_only(language: str, name: str) -> None:
    with pytest.raises(BadInputError, match="has a meaning of its own") as caught:
        render_skeleton(Described(name=name, language=language))
    assert f"{name}-service" in caught.value.fix
    render_skeleton(Described(name=name, language="node"))


@pytest.mark.parametrize("language", ["cobol", "", "../go", "_default", "common"])
def test_unknown_language_is_refused(language: str) -> None:
    with pytest.raises(BadInputError, match="there is no skeleton for"):
        render_skeleton(Described(name="orders", language=language))


@pytest.mark.parametrize("description", ["two\nlines", "bell\a", "line\u2028separator", "right-to-left \u202e"])
def test_description_is_one_printable_line(description: str) -> None:
    with pytest.raises(BadInputError, match="one line of printable text"):
        render_skeleton(Described(name="orders", language="go", description=description))


@pytest.mark.parametrize("owner", ["", "two words", "a\n* @everyone", "{{ x }}", "@@a"])
def test_owner_is_a_team(owner: str) -> None:
    with pytest.raises(BadInputError, match="is not a team's name"):
        render_skeleton(Described(name="orders", language="go", owners=(owner,)))


def test_description_is_text_everywhere() -> None:
    description = """A & B <c> "d" 'e' {{ name }} {% x %} \\ é ]]>"""
    java = render_skeleton(Described(name="orders", language="java", description=description))
    assert "<description>A &amp; B &lt;c&gt;" in java["pom.xml"]
    node = render_skeleton(Described(name="orders", language="node", description=description))
    assert json.loads(node["package.json"])["description"] == description
    python = render_skeleton(Described(name="orders", language="python", description=description))
    tomllib = pytest.importorskip("tomllib")
    assert tomllib.loads(python["pyproject.toml"])["project"]["description"] == description


def test_names_are_derived() -> None:
    assert python_package("market-data") == "market_data"
    assert java_package("pre-trade-risk") == "com.forgeline.trading.pretraderisk"
    assert go_module("market-data") == "forgeline.internal/trading/market-data"
    assert code_owners(["risk", "@core"]) == "@teams/risk @teams/core"
    assert code_owners(["risk"], "acme/delivery") == "@acme/delivery/teams/risk"


def test_locks_have_hashes_and_no_addresses() -> None:
    python = render_skeleton(Described(name="orders", language="python"))["requirements-dev.lock"]
    assert "--hash=sha256:" in python
    node = render_skeleton(Described(name="orders", language="node"))["package-lock.json"]
    packages = json.loads(node)["packages"]
    assert all("integrity" in package for path, package in packages.items() if path)
    for text in (python, node):
        assert "://" not in text
        assert "resolved" not in text


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A checkout with a copy of the templates, to be broken."""
    shutil.copytree(TEMPLATES, tmp_path / "templates" / "services")
    return tmp_path


def test_missing_variable_is_an_error(checkout: Path) -> None:
    (checkout / "templates/services/go/bad.txt.j2").write_text("{{ nmae }}")
    with pytest.raises(BadInputError, match="'nmae' is undefined") as caught:
        render_skeleton(Described(name="orders", language="go"), root=checkout)
    assert caught.value.where == "go/bad.txt.j2"


@pytest.mark.parametrize(
    "text",
    [
        "{{ ''.__class__.__mro__ }}",
        "{{ owners.__class__ }}",
        "{% include '../../secret' %}",
        "{{ name.format.__globals__ }}",
    ],
)
def test_templates_are_in_a_sandbox(checkout: Path, text: str) -> None:
    (checkout / "secret").write_text("secret")
    (checkout / "templates/services/go/bad.txt.j2").write_text(text)
    with pytest.raises(BadInputError):
        render_skeleton(Described(name="orders", language="go"), root=checkout)


def test_broken_template_is_named_with_its_line(checkout: Path) -> None:
    (checkout / "templates/services/go/bad.txt.j2").write_text("fine\n{% if %}\n")
    with pytest.raises(BadInputError) as caught:
        render_skeleton(Described(name="orders", language="go"), root=checkout)
    assert caught.value.where == "go/bad.txt.j2:2"


def test_two_templates_for_one_file_are_an_error(checkout: Path) -> None:
    (checkout / "templates/services/go/README.md.j2").write_text("mine\n")
    with pytest.raises(BadInputError, match=r"README.md is made by another template too"):
        render_skeleton(Described(name="orders", language="go"), root=checkout)


# From here on: the skeletons as processes.

DOMAIN_CALLS: dict[str, tuple[str, str, str]] = {
    "generic": ("/notional", '{"price":"101.25","quantity":300}', "30375.00"),
    "go": ("/notional", '{"price":"101.25","quantity":300}', "30375.00"),
    "java": ("/notional", '{"price":"101.25","quantity":300}', "30375.00"),
    "node": ("/notional", '{"price":"101.25","quantity":300}', "30375.0000"),
    "python": ("/notional", '{"price":"101.25","quantity":300}', "30375.00"),
}


@pytest.fixture(params=LANGUAGES)
def service(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, ServiceProcess]]:
    """A new service of each language that needs another, built and started."""
    language = str(request.param)
    command = build(Described(name=LONGEST, language=language, dependencies=("market-data",)), tmp_path)
    ports = free_ports(2)
    with running(LONGEST, command, tmp_path, ports[0], {"MARKET_DATA_URL": f"http://127.0.0.1:{ports[1]}"}) as process:
        yield language, process


@pytest.mark.servers
def test_service_runs(service: tuple[str, ServiceProcess]) -> None:
    language, process = service
    assert process.call("/health") == (200, {"status": "ok", "service": LONGEST, "version": "1.2.3"})
    assert process.call("/version") == (200, {"name": LONGEST, "version": "1.2.3"})
    path, body, expected = DOMAIN_CALLS[language]
    assert process.call(path, body) == (200, {"notional": expected})
    for bad in ("{}", "{", "[]", '{"price":101.25,"quantity":300}', '{"price":"1","quantity":1,"more":1}'):
        status, answer = process.call(path, bad)
        assert (status, list(answer)) == (400, ["error"]), bad
    assert process.call("/nowhere")[0] == 404
    assert process.call(path)[0] == 405
    reason = "market-data does not answer: no connection"
    assert process.call("/ready") == (503, {"status": "not ready", "dependencies": {"market-data": reason}})
    process.process.send_signal(signal.SIGTERM)
    assert process.process.wait(timeout=15) == 0
    lines = process.lines()
    assert {line["service"] for line in lines} == {LONGEST}
    assert [line["msg"] for line in lines][-2:] == ["stopping", "stopped"]


SAMPLE = re.compile(r'([a-z_]+)(?:\{((?:[a-z_]+="(?:[^"\\\n]|\\["\\n])*",?)*)\})? ([0-9.+eE-]+)')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def samples(text: str) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """Prometheus' text format 0.0.4, strictly: name and labels to value; no sample twice, none without its type."""
    found: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    kinds: dict[str, str] = {}
    assert text.endswith("\n")
    for line in text.splitlines():
        if line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name not in kinds
            kinds[name] = kind
        elif not line.startswith("# HELP "):
            match = SAMPLE.fullmatch(line)
            assert match is not None, line
            name, labels = match[1], frozenset(LABEL.findall(match[2] or ""))
            family = re.sub("_(bucket|sum|count)$", "", name)
            assert kinds.get(name) in {"counter", "gauge"} or kinds.get(family) == "histogram", line
            assert (name, labels) not in found, line
            found[name, labels] = float(match[3])
    return found


@pytest.mark.servers
def test_service_is_measured(service: tuple[str, ServiceProcess]) -> None:
    language, process = service
    for path in ("/health", "/health", "/a", "/b"):
        process.exchange(path)
    _, _, headers = process.exchange("/version", headers={"X-Request-ID": "abc-1"})
    assert headers["x-request-id"] == "abc-1"
    status, text, headers = process.exchange("/metrics")
    assert (status, headers["content-type"]) == (200, "text/plain; version=0.0.4; charset=utf-8")
    found = samples(text)
    info = {("service", LONGEST), ("version", "1.2.3"), ("language", language)}
    assert found["build_info", frozenset(info)] == 1
    assert abs(found["process_start_time_seconds", frozenset()] - time.time()) < 600
    # Looking whether it runs has asked for its health before.
    health = {("method", "GET"), ("route", "/health")}
    assert found["http_requests_total", frozenset(health | {("status", "200")})] >= 3
    unknown = {("method", "other"), ("route", "none"), ("status", "404")}
    assert found["http_requests_total", frozenset(unknown)] == 2
    total = found["http_request_duration_seconds_count", frozenset(health)]
    assert found["http_request_duration_seconds_bucket", frozenset(health | {("le", "+Inf")})] == total
    assert 0 < found["http_request_duration_seconds_sum", frozenset(health)] < 60
    assert {line.get("request_id") for line in process.lines() if line.get("path") == "/version"} == {"abc-1"}


@pytest.mark.servers
@pytest.mark.parametrize("language", LANGUAGES)
def test_service_without_the_address_of_a_dependency_does_not_start(language: str, tmp_path: Path) -> None:
    command = build(Described(name=LONGEST, language=language, dependencies=("market-data",)), tmp_path)
    environment = {name: value for name, value in os.environ.items() if name != "MARKET_DATA_URL"}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, stdout=subprocess.PIPE, text=True, timeout=60, check=False
    )
    assert done.returncode == 2
    (line,) = done.stdout.splitlines()
    assert json.loads(line)["error"].startswith("MARKET_DATA_URL must be the address of market-data, such as http://")
