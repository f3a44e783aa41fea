"""An engine elsewhere: behind TLS with certificates of a private authority, and behind SSH. Both ends are real."""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
import pytest

from infra.clients.container_engine import ContainerEngine
from infra.core.error import ServerError
from infra.provider.connection import Connections
from infra.provider.docker.volume import VOLUME, Volume
from infra.provider.provider import bring_about
from tests.docker.certificate import Authority
from tests.docker.daemon import ensure_installed
from tests.trial import free_ports

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group("tests.docker.test_kind")]


def makes_a_volume(remote: ContainerEngine, here: ContainerEngine, name: str) -> None:
    """What is made there is seen here: both are the same engine."""
    connections, described = Connections(engine=lambda: remote), Volume(name=name)
    bring_about(VOLUME, connections, described)
    assert name in {volume.name for volume in here.client.volumes.list()}
    VOLUME.delete(connections, described)


# TLS


def over_tls(port: int, certificates: Path) -> dict[str, str]:
    return {
        "DOCKER_HOST": f"tcp://127.0.0.1:{port}",
        "DOCKER_TLS_VERIFY": "1",
        "DOCKER_CERT_PATH": str(certificates),
    }


def test_an_engine_behind_tls_is_used(
    engine: ContainerEngine, tls_port: int, certificates: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # What a company's machine has for its other traffic.
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(Authority("a company's").write(tmp_path) / "ca.pem"))
    remote = ContainerEngine.of(over_tls(tls_port, certificates))
    makes_a_volume(remote, engine, "by-tls")
    remote.close()


def strange_engine(tmp_path: Path, certificates: Path) -> Path:
    """The client trusts another authority than the one that signed the engine's certificate."""
    shutil.copytree(certificates, tmp_path / "c")
    shutil.copy(Authority("another").write(tmp_path / "other") / "ca.pem", tmp_path / "c" / "ca.pem")
    return tmp_path / "c"


def strange_client(tmp_path: Path, certificates: Path) -> Path:
    """The client's certificate is of another authority than the one that the engine trusts."""
    folder = Authority("another").write(tmp_path / "c")
    shutil.copy(certificates / "ca.pem", folder / "ca.pem")
    return folder


def no_certificates(tmp_path: Path, _certificates: Path) -> Path:
    return tmp_path


@pytest.mark.parametrize(
    ("arrange", "what", "fix"),
    [
        (strange_engine, "the engine's certificate is not trusted", "DOCKER_CERT_PATH/ca.pem"),
        (strange_client, "the engine does not accept this machine's certificate", "cert.pem and key.pem"),
        (no_certificates, "the engine's certificates can't be read", "DOCKER_CERT_PATH"),
    ],
    ids=["strange engine", "strange client", "no certificates"],
)
def test_certificates_that_do_not_fit_are_told_with_a_remedy(
    host: str, tls_port: int, certificates: Path, tmp_path: Path, arrange: object, what: str, fix: str
) -> None:
    assert host
    assert callable(arrange)
    with pytest.raises(ServerError, match=what) as caught:
        ContainerEngine.of(over_tls(tls_port, arrange(tmp_path, certificates)))
    assert fix in caught.value.fix
    assert str(tls_port) in caught.value.where


def test_an_engine_behind_tls_that_is_asked_without_is_told(host: str, tls_port: int) -> None:
    assert host
    with pytest.raises(ServerError, match="speaks TLS only") as caught:
        ContainerEngine.of({"DOCKER_HOST": f"tcp://127.0.0.1:{tls_port}"})
    assert "DOCKER_TLS_VERIFY=1" in caught.value.fix


# SSH


@dataclass(frozen=True, kw_only=True)
class Login:
    """A login at a real sshd on loopback, and the files that decide whether this machine gets in."""

    port: int
    folder: Path

    @property
    def known_hosts(self) -> Path:
        return self.folder / "known_hosts"

    @property
    def key(self) -> Path:
        return self.folder / "id"


def make_key(path: Path) -> str:
    """A new key pair; answers the public half."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True, timeout=30)
    return path.with_suffix(".pub").read_text()


@pytest.fixture
def login(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Login]:
    """An sshd that lets `id` in, and an `ssh` that uses it and knows the host's key."""
    sshd = ensure_installed("sshd", "openssh-server")
    real = ensure_installed("ssh", "openssh-client")
    (port,) = free_ports(1)
    it = Login(port=port, folder=tmp_path)
    host_key = make_key(tmp_path / "host")
    it.known_hosts.write_text(f"[127.0.0.1]:{port} {host_key}")
    (tmp_path / "authorized").write_text(make_key(it.key))
    (tmp_path / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1:{port}\nHostKey {tmp_path}/host\nAuthorizedKeysFile {tmp_path}/authorized\n"
        f"PidFile none\nStrictModes no\nUsePAM no\nPasswordAuthentication no\nPermitRootLogin yes\n"
    )
    (tmp_path / "ssh_config").write_text(
        f"IdentityFile {it.key}\nIdentitiesOnly yes\nIdentityAgent none\nUserKnownHostsFile {it.known_hosts}\n"
        "GlobalKnownHostsFile /dev/null\n"
    )
    wrapper = tmp_path / "bin" / "ssh"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\nexec {real} -F {tmp_path}/ssh_config "$@"\n')
    wrapper.chmod(0o755)
    monkeypatch.setenv("PATH", f"{wrapper.parent}:/usr/bin:/bin")
    Path("/run/sshd").mkdir(exist_ok=True)
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([sshd, "-D", "-e", "-f", tmp_path / "sshd_config"], stdout=log, stderr=log)
    try:
        deadline = time.monotonic() + 20
        while "listening" not in (tmp_path / "log").read_text() and time.monotonic() < deadline:
            assert process.poll() is None, (tmp_path / "log").read_text()
            time.sleep(0.05)
        yield it
    finally:
        process.terminate()
        process.wait(timeout=20)


def address(login: Login, host: str) -> dict[str, str]:
    return {"DOCKER_HOST": f"ssh://root@127.0.0.1:{login.port}{host.removeprefix('unix://')}"}


def own_ssh() -> list[psutil.Process]:
    return [child for child in psutil.Process().children(recursive=True) if child.name() == "ssh"]


def test_an_engine_behind_ssh_is_used(engine: ContainerEngine, host: str, login: Login) -> None:
    remote = ContainerEngine.of({**address(login, host), "DOCKER_TLS_VERIFY": "1"})
    assert len(own_ssh()) == 1
    makes_a_volume(remote, engine, "by-ssh")
    remote.close()
    assert own_ssh() == [], "the way there must end with its use"


def no_known_host(login: Login) -> None:
    login.known_hosts.write_text("")


def another_key(login: Login) -> None:
    login.key.unlink()
    make_key(login.key)


@pytest.mark.parametrize(
    ("arrange", "what", "fix"),
    [
        (no_known_host, "does not know the other's key", "accept it once"),
        (another_key, "lets nobody in", "ssh-copy-id"),
    ],
    ids=["unknown host", "strange key"],
)
def test_a_login_that_fails_is_told_with_a_remedy(
    host: str, login: Login, arrange: object, what: str, fix: str
) -> None:
    assert callable(arrange)
    arrange(login)
    with pytest.raises(ServerError, match=what) as caught:
        ContainerEngine.of(address(login, host))
    assert fix in caught.value.fix
    assert f"ssh -p {login.port} root@127.0.0.1 true" in caught.value.fix
    assert own_ssh() == []


def test_no_engine_behind_ssh_is_told(login: Login) -> None:
    with pytest.raises(ServerError, match="no container engine answers"):
        ContainerEngine.of(address(login, "unix:///nowhere/docker.sock"))
    assert own_ssh() == []


def test_nobody_behind_ssh_is_told(login: Login) -> None:
    (silent,) = free_ports(1)
    with pytest.raises(ServerError, match="no way to the engine's machine") as caught:
        ContainerEngine.of({"DOCKER_HOST": f"ssh://root@127.0.0.1:{silent}"})
    assert "refused" in caught.value.detail
