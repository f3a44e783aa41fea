"""Runs the plain `pulumi` command on the same stacks.

It sets where the state is and what opens it. For what runs the program it is the language host too, so that nothing but
the engine is needed; `pulumi-language-python` on the PATH would do the same with Pulumi.yaml.
"""

from __future__ import annotations

import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

from infra.clients.bootstrap import derive, read_key
from infra.core.error import BadInputError, ToolError
from infra.core.settings import Settings
from infra.operations.plain_program import declare
from infra.programs.language_host import language_host
from infra.programs.session import PASSPHRASE
from infra.toolchain.toolchain import Toolchain

PROJECT = Path(__file__).parent / "project"

RUNS_THE_PROGRAM = {"preview", "up", "refresh", "destroy"}


def run(settings: Settings, arguments: Sequence[str], environ: Mapping[str, str]) -> int:
    """The exit code of `pulumi` with these arguments. Raises ForgelineError before there is anything to run."""
    tool = Toolchain.of(settings, environ).find("pulumi")
    if tool is None:
        raise ToolError("there is no Pulumi engine", fix="run `forgeline up`, which gets it")
    folder = settings.data("pulumi")
    environment = {
        **environ,
        # The provider's process finds the same stack.
        "FORGELINE_PROFILE": str(settings.profile_file),
        "FORGELINE_STATE": str(settings.state),
        "FORGELINE_CACHE": str(settings.cache),
        "PULUMI_HOME": str(folder / "home"),
        "PULUMI_BACKEND_URL": folder.as_uri(),
        "PULUMI_CONFIG_PASSPHRASE": derive(read_key(settings.bootstrap_key), PASSPHRASE).reveal(),
        "PULUMI_SKIP_UPDATE_CHECK": "true",
    }
    command = [str(tool.path), *arguments]
    with language_host(lambda: declare(settings, environ)) as address:
        if arguments and arguments[0] in RUNS_THE_PROGRAM:
            command += [f"--client={address}", f"--config-file={folder / 'work' / _settings_file(arguments)}"]
        return subprocess.run(command, cwd=PROJECT, env=environment, check=False).returncode


def _settings_file(arguments: Sequence[str]) -> str:
    """The stack's settings, which `forgeline` keeps beside its state: they hold the salt of the passphrase."""
    for place, argument in enumerate(arguments):
        if argument in {"--stack", "-s"} and place + 1 < len(arguments):
            return f"Pulumi.{arguments[place + 1]}.yaml"
        if argument.startswith("--stack="):
            return f"Pulumi.{argument.removeprefix('--stack=')}.yaml"
    raise BadInputError("which stack?", fix="say --stack foundation, --stack platform or --stack service-NAME")
