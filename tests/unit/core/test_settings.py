"""A profile says where servers are; the environment moves state and caches."""

from pathlib import Path

import pytest

from infra.core.document import InvalidDocumentError
from infra.core.error import BadInputError
from infra.core.settings import IMAGE_PINS, ROOT, Night, load_settings

PROFILE = """\
name: trial
ports: {gitlab: 2001, openbao: 2002, openbao_cluster: 2003, nexus: 2004}
environment_port_offsets: {dev: 10000}
"""


def write(tmp_path: Path, text: str) -> str:
    file = tmp_path / "trial.yaml"
    file.write_text(text)
    return str(file)


def test_lab_is_the_default() -> None:
    settings = load_settings({"HOME": "/home/somebody"})
    assert settings.profile.name == "lab"
    assert settings.state == ROOT / ".forgeline" / "lab"
    assert settings.cache == Path("/home/somebody/.cache/forgeline")
    assert settings.catalog == ROOT / "pipelines" / "catalog"
    assert settings.templates == ROOT / "templates" / "pipelines"


def test_environment_moves_profile_state_and_cache(tmp_path: Path) -> None:
    settings = load_settings(
        {
            "FORGELINE_PROFILE": write(tmp_path, PROFILE),
            "FORGELINE_STATE": str(tmp_path / "state"),
            "XDG_CACHE_HOME": str(tmp_path / "cache"),
        }
    )
    assert settings.gitlab_url == "http://127.0.0.1:2001"
    assert settings.state == tmp_path / "state"
    assert settings.cache == tmp_path / "cache" / "forgeline"
    assert settings.service_port(8101, "dev") == 18101


def test_a_team_keeps_its_catalogue_and_templates_where_it_likes(tmp_path: Path) -> None:
    environ = {"FORGELINE_PROFILE": "lab", "FORGELINE_PIPELINES": str(tmp_path)}
    settings = load_settings(environ)
    assert settings.catalog == tmp_path / "catalog"
    assert settings.release_file == tmp_path / "release.yaml"
    assert settings.templates == ROOT / "templates" / "pipelines"
    assert settings.policy == ROOT / "pipelines" / "policy.yaml"
    (tmp_path / "templates").mkdir()
    (tmp_path / "policy.yaml").touch()
    settings = load_settings(environ)
    assert (settings.templates, settings.policy) == (tmp_path / "templates", tmp_path / "policy.yaml")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        pytest.param(("2004", "2001"), "share a port", id="same-port-twice"),
        pytest.param(("2004", "80"), "greater than or equal to 1024", id="privileged-port"),
        pytest.param(("nexus", "nexsus"), "is not a known key", id="misspelt-server"),
        pytest.param(("dev:", "test:"), "must have an entry 'dev'", id="no-dev"),
    ],
)
def test_bad_profile(tmp_path: Path, change: tuple[str, str], message: str) -> None:
    profile = write(tmp_path, PROFILE.replace(*change))
    with pytest.raises(InvalidDocumentError) as caught:
        load_settings({}, profile=profile)
    assert any(message in finding.message for finding in caught.value.findings)
    assert all(finding.line for finding in caught.value.findings)


def test_unknown_profile_names_the_nearest() -> None:
    with pytest.raises(BadInputError, match="did you mean 'lab'"):
        load_settings({}, profile="lap")


def test_each_service_has_its_minute_of_the_night() -> None:
    night = Night(begins=22, hours=4)
    crons = {name: night.cron(name) for name in ("settlement", "market-data", "order-gateway", "fund-valuation")}
    assert len(set(crons.values())) == len(crons)
    for name, cron in crons.items():
        minute, hour, *rest = cron.split()
        assert (int(minute) in range(60), int(hour) in {22, 23, 0, 1}, rest) == (True, True, ["*"] * 3)
        assert night.cron(name) == cron


EXISTING = """\
name: company
placement: existing
servers:
  gitlab: {url: "https://git.example.com/", token: "env:GITLAB_TOKEN", group: acme/delivery}
  nexus: {url: "https://nexus.example.com:8443", username: forgeline, password: "file:/etc/forgeline/nexus"}
  openbao: {url: "https://vault.example.com:8200", token: "env:VAULT_TOKEN"}
environment_port_offsets: {dev: 10000}
"""


def test_addresses_follow_the_placement(tmp_path: Path) -> None:
    given = load_settings({}, profile=write(tmp_path, EXISTING))
    assert (given.gitlab_url, given.nexus_url, given.openbao_url) == (
        "https://git.example.com",
        "https://nexus.example.com:8443",
        "https://vault.example.com:8200",
    )
    assert (given.existing, given.ca, given.environment_address) == (True, None, "127.0.0.1")
    text = PROFILE + "placement: docker\naddress: 172.31.250.1\nenvironment_address: 172.31.250.20\n"
    docker = load_settings({"FORGELINE_STATE": str(tmp_path)}, profile=write(tmp_path, text))
    assert (docker.gitlab_url, docker.openbao_url) == ("https://172.31.250.1:2001", "https://172.31.250.1:2002")
    assert (docker.ca, docker.environment_address) == (tmp_path / "tls" / "ca.pem", "172.31.250.20")


def test_authorities_are_a_file_beside_the_profile(tmp_path: Path) -> None:
    (tmp_path / "company.pem").touch()
    assert load_settings({}, profile=write(tmp_path, EXISTING + "ca: company.pem\n")).ca == tmp_path / "company.pem"


@pytest.mark.parametrize(
    ("change", "line", "message", "fix"),
    [
        pytest.param(('"env:GITLAB_TOKEN"', "glpat-1"), 4, "where the secret is kept", "env:VARIABLE", id="value"),
        pytest.param(("https://git", "http://git"), 4, "anybody on the way can read", "https://", id="in-the-clear"),
        pytest.param(("https://git", "https://me:pw@git"), 4, "has a user or password", "take it out", id="password"),
        pytest.param(("https://vault.example.com", "vault"), 6, "not the address", "https://HOST", id="no-scheme"),
        pytest.param(("env:VAULT_TOKEN", "vault:kv/a#b"), 6, "needed to sign in", "env:", id="vault-in-vault"),
        pytest.param((', token: "env:VAULT_TOKEN"', ""), 6, "one way to sign in", "give token", id="no-sign-in"),
        pytest.param(("name: company", "name: company\nports: {}"), 2, "ports: means", "lab or docker", id="ports"),
        pytest.param(("placement: existing", "placement: lab"), 3, "servers: means nothing", "existing", id="lab"),
        pytest.param(("name: company", "name: company\nca: no.pem"), 2, "there is no file", "PEM", id="no-ca"),
    ],
)  # fmt: skip
def test_an_error_of_a_profile_says_where_and_what_to_do(
    tmp_path: Path, change: tuple[str, str], line: int, message: str, fix: str
) -> None:
    profile = write(tmp_path, EXISTING.replace(*change))
    with pytest.raises(InvalidDocumentError) as caught:
        load_settings({}, profile=profile)
    (finding,) = caught.value.findings
    assert (finding.file, finding.line) == (profile, line)
    assert message in finding.message
    assert fix in finding.fix
    assert "glpat-1" not in f"{caught.value}{caught.value.__cause__}"


def test_existing_servers_have_addresses(tmp_path: Path) -> None:
    profile = write(tmp_path, "name: company\nplacement: existing\nenvironment_port_offsets: {dev: 1}\n")
    with pytest.raises(InvalidDocumentError, match="servers: is missing") as caught:
        load_settings({}, profile=profile)
    assert (caught.value.findings[0].line, "existing.example.yaml" in caught.value.fix) == (2, True)


@pytest.mark.parametrize("folder", ["/srv/advisories", "../advisories", "advisories"])
def test_jobs_in_containers_find_only_advisories_that_are_in_their_image(tmp_path: Path, folder: str) -> None:
    text = "name: containers\nplacement: docker\nadvisories: FOLDER\nenvironment_port_offsets: {dev: 1}\n"
    with pytest.raises(InvalidDocumentError) as caught:
        load_settings({"FORGELINE_PROFILE": str(write(tmp_path, text.replace("FOLDER", folder)))})
    assert caught.value.findings[0].line == 3
    assert "infra/" in caught.value.fix
    fine = write(tmp_path, text.replace("FOLDER", "infra/profiles/advisories"))
    assert load_settings({"FORGELINE_PROFILE": str(fine)}).profile.advisories == Path("infra/profiles/advisories")


@pytest.mark.parametrize(
    ("images", "says"),
    [
        ("{from: offical}", "official"),
        ("{registry: 'mirror:5000'}", "registry"),
        ("{from: official, registry: 'https://mirror'}", "registry"),
        ("{from: official, registry: 'mirror:5000/'}", "registry"),
        ("{from: official, registry: 'user:word@mirror'}", "registry"),
    ],
    ids=["no origin", "a registry for images built here", "an address", "a slash too many", "credentials"],
)
def test_images_that_can_not_be_had_are_told(tmp_path: Path, images: str, says: str) -> None:
    with pytest.raises(InvalidDocumentError) as caught:
        load_settings({"FORGELINE_PROFILE": write(tmp_path, f"{PROFILE}placement: docker\nimages: {images}\n")})
    assert says in str(caught.value)
    assert caught.value.findings[0].line == 5


def test_images_mean_nothing_to_processes(tmp_path: Path) -> None:
    with pytest.raises(InvalidDocumentError, match="images"):
        load_settings({"FORGELINE_PROFILE": write(tmp_path, f"{PROFILE}images: {{from: official}}\n")})


def test_official_images_are_asked_for_in_the_registry_that_the_profile_names(tmp_path: Path) -> None:
    text = f"{PROFILE}placement: docker\nimages: {{from: official, registry: 'mirror:5000/of/vendors'}}\n"
    settings = load_settings({"FORGELINE_PROFILE": write(tmp_path, text)})
    assert settings.profile.images.reference("gitlab/gitlab-ce", "1") == "mirror:5000/of/vendors/gitlab/gitlab-ce:1"
    shipped = load_settings({"FORGELINE_PROFILE": "docker-official"})
    assert shipped.profile.images.reference("caddy", "2") == "caddy:2"


def test_the_pins_beside_the_profile_go_before_those_of_the_checkout(tmp_path: Path) -> None:
    settings = load_settings({"FORGELINE_PROFILE": write(tmp_path, PROFILE)})
    assert settings.image_pins == IMAGE_PINS
    own = tmp_path / "trial.pins.yaml"
    own.write_text("")
    assert settings.image_pins == own


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("ca: ca.pem", "signed by the profile's own authority"),
        ("certificate: {chain: chain.pem, key: 'vault:a/b#key'}", "certificate.key: is kept in Vault"),
        ("certificate: {chain: chain.pem, key: '-----BEGIN PRIVATE KEY-----'}", "does not name where"),
        ("host: 10.0.0.1", "host: "),
        ("host: https://delivery.example.com", "host: "),
    ],
)
def test_a_certificate_is_given_whole_and_its_key_by_a_reference(tmp_path: Path, line: str, what: str) -> None:
    (tmp_path / "ca.pem").write_text("theirs\n")
    text = f"name: containers\nplacement: docker\n{line}\nenvironment_port_offsets: {{dev: 1}}\n"
    with pytest.raises(InvalidDocumentError) as caught:
        load_settings({"FORGELINE_PROFILE": str(write(tmp_path, text))})
    (finding,) = caught.value.findings
    assert finding.line == 3
    assert what in finding.message
    assert "BEGIN" not in f"{finding.message}{finding.fix}"


def test_a_name_is_in_the_addresses_of_the_servers(tmp_path: Path) -> None:
    text = "name: containers\nplacement: docker\naddress: 172.31.250.1\nhost: delivery.example.com\n"
    profile = write(tmp_path, f"{text}environment_port_offsets: {{dev: 1}}\n")
    settings = load_settings({"FORGELINE_PROFILE": str(profile)})
    assert settings.gitlab_url == "https://delivery.example.com:8929"
    assert settings.hosts == ("delivery.example.com", "172.31.250.1")
    assert settings.environment_address == "172.31.250.1"
