"""What the profile has on the machine that configures it: nothing secret but the bootstrap key, read by nobody else."""

from __future__ import annotations

from typing import Any

from infra.core.settings import Settings


def check_state_folder_is_private(settings: Settings, machine: Any) -> None:
    folder = machine.file(str(settings.state))
    assert folder.is_directory, f"{settings.state} is not there"
    assert folder.mode == 0o700, f"{settings.state} has mode {folder.mode:o}, not 700"


def check_bootstrap_key_is_whole_and_private(settings: Settings, machine: Any) -> None:
    key = machine.file(str(settings.bootstrap_key))
    assert key.is_file, f"{settings.bootstrap_key} is not there"
    assert key.mode == 0o600, f"{settings.bootstrap_key} has mode {key.mode:o}, not 600"
    assert key.size == 32, f"{settings.bootstrap_key} has {key.size} bytes, not 32"


def check_no_private_key_is_in_the_state_folder(settings: Settings, machine: Any) -> None:
    found = machine.run("grep -rlI -e '-----BEGIN .*PRIVATE KEY' %s", str(settings.state))
    assert found.rc == 1, f"a private key is in {', '.join(found.stdout.split()) or settings.state}"
