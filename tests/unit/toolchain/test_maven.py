from __future__ import annotations

import zipfile

import pytest

from infra.core.error import BadInputError
from infra.core.settings import load_settings
from infra.toolchain.maven import maven_upstream, mirrors_central

POM = '<project xmlns="http://maven.apache.org/POM/4.0.0"><repositories><repository><id>central</id>{}</repository></repositories></project>'


@pytest.fixture
def settings(tmp_path):
    return load_settings({"HOME": str(tmp_path), "FORGELINE_CACHE": str(tmp_path / "cache")})


def with_maven(tmp_path, address="https://super.example/maven2"):
    home = tmp_path / "maven"
    (home / "lib").mkdir(parents=True)
    (home / "bin").mkdir()
    (home / "conf").mkdir()
    (home / "bin" / "mvn").write_text("#!/bin/sh\nexit 1\n")
    (home / "bin" / "mvn").chmod(0o755)
    with zipfile.ZipFile(home / "lib" / "maven-model-builder-3.9.jar", "w") as jar:
        jar.writestr("org/apache/maven/model/pom-4.0.0.xml", POM.format(f"<url>{address}</url>"))
    (tmp_path / "path").mkdir()
    (tmp_path / "path" / "mvn").symlink_to(home / "bin" / "mvn")
    return {"HOME": str(tmp_path / "user"), "PATH": str(tmp_path / "path")}


def user_settings(tmp_path, body):
    file = tmp_path / "user" / ".m2" / "settings.xml"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f'<settings xmlns="http://maven.apache.org/SETTINGS/1.2.0">{body}</settings>')


def mirror(of, url, extra=""):
    return f"<mirrors><mirror><mirrorOf>{of}</mirrorOf><url>{url}</url>{extra}</mirror></mirrors>"


def test_the_profile_comes_first(tmp_path, settings):
    upstreams = settings.profile.upstreams.model_copy(update={"maven": "https://profile.example/m"})
    settings = settings.model_copy(update={"profile": settings.profile.model_copy(update={"upstreams": upstreams})})
    environ = {**with_maven(tmp_path), "FORGELINE_MAVEN_UPSTREAM": "https://variable.example/m"}
    assert maven_upstream(environ, settings) == "https://profile.example/m/"


def test_then_the_variable(tmp_path, settings):
    environ = {**with_maven(tmp_path), "FORGELINE_MAVEN_UPSTREAM": "https://variable.example/m/"}
    assert maven_upstream(environ, settings) == "https://variable.example/m/"


def test_then_the_mirror_in_the_settings(tmp_path, settings):
    environ = {**with_maven(tmp_path), "MIRROR": "mirror.example"}
    user_settings(tmp_path, mirror("external:*", "http://${env.MIRROR}/m"))
    assert maven_upstream(environ, settings) == "http://mirror.example/m/"


def test_mavens_own_settings_count_too(tmp_path, settings):
    environ = with_maven(tmp_path)
    (tmp_path / "maven" / "conf" / "settings.xml").write_text(
        f"<settings>{mirror('central', 'http://global.example')}</settings>"
    )
    assert maven_upstream(environ, settings) == "http://global.example/"


@pytest.mark.parametrize(
    ("active", "expected"),
    [
        pytest.param("<activeProfiles><activeProfile>p</activeProfile></activeProfiles>", "company", id="active"),
        pytest.param("", "super", id="not active"),
    ],
)
def test_a_repository_in_place_of_central(tmp_path, settings, active, expected):
    environ = with_maven(tmp_path)
    repository = "<repositories><repository><id>central</id><url>https://company.example/maven2</url></repository></repositories>"
    user_settings(tmp_path, f"<profiles><profile><id>p</id>{repository}</profile></profiles>{active}")
    assert maven_upstream(environ, settings) == f"https://{expected}.example/maven2/"


@pytest.mark.parametrize(
    "body",
    [
        pytest.param("", id="empty settings"),
        pytest.param(mirror("company-only", "http://mirror.example"), id="a mirror of something else"),
        pytest.param(mirror("external:http:*", "http://0.0.0.0/", "<blocked>true</blocked>"), id="Maven's blocker"),
        pytest.param(mirror("*", "http://mirror.example", "<blocked>true</blocked>"), id="a blocked mirror"),
    ],
)
def test_then_what_maven_itself_knows(tmp_path, settings, body):
    environ = with_maven(tmp_path)
    user_settings(tmp_path, body)
    assert maven_upstream(environ, settings) == "https://super.example/maven2/"


def test_a_version_managers_stand_in_is_asked(tmp_path, settings):
    environ = with_maven(tmp_path)
    shim = tmp_path / "path" / "mvn"
    shim.unlink()
    shim.write_text(f"#!/bin/sh\necho 'Maven home: {tmp_path}/maven'\n")
    shim.chmod(0o755)
    assert maven_upstream(environ, settings) == "https://super.example/maven2/"


def test_nothing_that_says_it_is_an_error_with_a_remedy(tmp_path, settings):
    with pytest.raises(BadInputError) as caught:
        maven_upstream({"PATH": str(tmp_path)}, settings)
    assert "upstreams.maven" in caught.value.fix


@pytest.mark.parametrize("address", ["ftp://host/m", "https://me:secret@host/m", "host"])
def test_an_address_that_will_not_do(tmp_path, settings, address):
    with pytest.raises(BadInputError, match="must be http") as caught:
        maven_upstream({"FORGELINE_MAVEN_UPSTREAM": address}, settings)
    assert "secret" not in str(caught.value)


def test_broken_settings_are_named(tmp_path, settings):
    environ = with_maven(tmp_path)
    user_settings(tmp_path, "<mirrors>")
    with pytest.raises(BadInputError, match="not valid XML") as caught:
        maven_upstream(environ, settings)
    assert caught.value.where.endswith(".m2/settings.xml")


@pytest.mark.parametrize(
    ("pattern", "covers"),
    [("central", True), ("*", True), ("external:*", True), ("*,!central", False), ("a, central", True), ("a,b", False)],
)
def test_mirror_patterns(pattern, covers):
    assert mirrors_central(pattern) is covers
