"""What can be wrong with an address behind SSH before anybody is asked. Real logins are in tests/docker."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.clients.ssh_tunnel import READY, SshTunnel
from infra.core.error import BadInputError, ExitCode, ServerError


@pytest.mark.parametrize(
    "address", ["ssh://", "ssh://me:word@host", "ssh://host:0", "ssh://host:70000", "tcp://host:1"]
)
def test_an_address_of_another_form_is_refused(address: str) -> None:
    with pytest.raises(BadInputError, match="no address") as caught:
        SshTunnel.to(address)
    assert caught.value.exit_code is ExitCode.BAD_INPUT
    assert caught.value.where == "DOCKER_HOST"
    assert "word" not in str(caught.value).replace("password", "")


def test_a_machine_without_ssh_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(ServerError, match="no `ssh`") as caught:
        SshTunnel.to("ssh://me@host.test")
    assert "openssh-client" in caught.value.fix


def test_what_a_login_prints_of_its_own_is_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text(f"#!/bin/sh\nprintf 'welcome\\n{READY.decode()}\\n'\nexec cat\n")
    ssh.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    tunnel = SshTunnel.to("ssh://me@host.test")
    folder = Path(tunnel.host.removeprefix("unix://")).parent
    assert folder.is_dir()
    tunnel.close()
    assert not folder.exists()
