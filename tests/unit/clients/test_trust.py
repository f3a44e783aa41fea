"""Who is trusted beside the system's authorities: proven by servers that nobody else vouches for."""

from __future__ import annotations

import datetime
import ssl
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from infra.clients import trust
from infra.clients.gitlab import GitLab, NoAnswerError
from infra.clients.nexus import NexusClient
from infra.clients.openbao import OpenBao
from infra.clients.repository import Repository
from infra.core.error import BadInputError, ServerError
from infra.core.secret import SecretValue
from infra.core.settings import load_settings


@dataclass
class Site:
    """A server with a certificate of its own making, which stands for a company's authority."""

    url: str
    ca: Path


class _Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.end_headers()
        self.wfile.write(b'{"initialized": true, "sealed": false, "version": "2", "username": "me", "id": 1}')

    def log_message(self, *_arguments: object) -> None:
        """Nobody reads it."""


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A company")])
    now = datetime.datetime.now(datetime.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(hours=1))
        .not_valid_after(now + datetime.timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    certificate_file, key_file = folder / "company.pem", folder / "company.key"
    certificate_file.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return certificate_file, key_file


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    ca, key = certificate(tmp_path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Answers)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(ca, key)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield Site(f"https://127.0.0.1:{server.server_port}", ca)
    server.shutdown()
    thread.join()
    server.server_close()


def profile(folder: Path, *more: str) -> str:
    file = folder / "company.yaml"
    lines = [
        "name: company",
        "placement: existing",
        "servers:",
        '  gitlab: {url: "https://127.0.0.1", token: "env:T"}',
        '  nexus: {url: "https://127.0.0.1", username: n, password: "env:T"}',
        '  openbao: {url: "https://127.0.0.1", token: "env:T"}',
        "environment_port_offsets: {dev: 1}",
        *more,
    ]
    file.write_text("\n".join(lines) + "\n")
    return str(file)


def bundle(site: Site, folder: Path) -> Path:
    environ = {"FORGELINE_CACHE": str(folder / "cache")}
    made = trust.bundle(load_settings(environ, profile=profile(folder, f"ca: {site.ca}")))
    assert made is not None
    return made


def test_both_the_systems_authorities_and_ours_are_in_the_bundle(site: Site, tmp_path: Path) -> None:
    made = bundle(site, tmp_path)
    assert made == bundle(site, tmp_path)
    count = made.read_text().count("BEGIN CERTIFICATE")
    assert count == trust.system().read_text(encoding="ascii", errors="ignore").count("BEGIN CERTIFICATE") + 1
    assert made.read_text().endswith(site.ca.read_text())


def test_the_lab_needs_nobody(tmp_path: Path) -> None:
    assert trust.bundle(load_settings({"FORGELINE_STATE": str(tmp_path)})) is None
    assert trust.environment(load_settings({"FORGELINE_STATE": str(tmp_path)})) == {}


def test_without_authorities_of_its_own_the_system_is_trusted(tmp_path: Path) -> None:
    settings = load_settings({}, profile=profile(tmp_path))
    assert trust.bundle(settings) == trust.system()
    assert set(trust.environment(settings).values()) == {str(trust.system())}


def test_what_holds_no_certificate_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("nothing")
    with pytest.raises(BadInputError, match="not a file of certificates") as caught:
        trust.bundle(load_settings({}, profile=profile(tmp_path, "ca: ca.pem")))
    assert caught.value.where == str(tmp_path / "ca.pem")


def test_gitlab(site: Site, tmp_path: Path) -> None:
    with pytest.raises(NoAnswerError, match="SSLError"):
        GitLab(site.url, SecretValue("x")).api.auth()
    client = GitLab(site.url, SecretValue("x"), trusted=bundle(site, tmp_path))
    client.api.auth()
    client.close()


def test_nexus(site: Site, tmp_path: Path) -> None:
    stranger = NexusClient(site.url, username="n", password=lambda: SecretValue("x"))
    assert not stranger.answers()
    with pytest.raises(ServerError, match="does not answer"):
        stranger.version()
    stranger.close()
    client = NexusClient(site.url, username="n", password=lambda: SecretValue("x"), trusted=bundle(site, tmp_path))
    assert client.answers()
    client.close()


def test_openbao(site: Site, tmp_path: Path) -> None:
    stranger = OpenBao(site.url, key=lambda: b"")
    assert stranger.health() is None
    stranger.close()
    client = OpenBao(site.url, key=lambda: b"", trusted=bundle(site, tmp_path))
    assert (client.health() or {})["version"] == "2"
    client.close()


def test_git(site: Site, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path / "r")], check=True)
    for trusted in (None, bundle(site, tmp_path)):
        repository = Repository(tmp_path / "r", "here", trusted)
        with pytest.raises(BadInputError) as caught:
            repository._git("ls-remote", f"{site.url}/x.git")
        # The site has no repository: whom git trusts, it gets to ask for it.
        assert ("certificate" in caught.value.detail) is (trusted is None)
