"""Playbooks run by ansible-runner: nothing secret in files, arguments or the environment, nothing left behind.

ansible-runner writes the environment and the variables that it is given into files beside its artifacts. So secrets go
in another way: the playbook asks for them (`vars_prompt`) and ansible-runner types the answer.
"""

from __future__ import annotations

import re
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from infra.clients.supervisor.configuration import MARKER
from infra.clients.trust import VARIABLES
from infra.core.error import ToolError
from infra.core.secret import SecretValue
from infra.core.settings import ROOT

PLAYBOOKS: Final = ROOT / "playbooks"

_KEPT: Final = (
    *("HOME", "PATH", "LANG", "TZ", "TMPDIR", "SSL_CERT_FILE", "SSL_CERT_DIR", "NO_PROXY", "no_proxy"),
    *VARIABLES,
    MARKER,
)
"""What of the caller's environment a playbook sees; all else may be secret.

The marker says to which lab a deployment belongs: without it, `down` would leave behind what a killed job had begun.
"""


@dataclass(frozen=True, kw_only=True)
class PlaybookRun:
    """What a playbook that succeeded did."""

    changed: tuple[str, ...]
    """Names of the tasks that changed something."""


def run_playbook(
    name: str,
    *,
    variables: Mapping[str, Any],
    prompts: Mapping[str, SecretValue],
    folder: Path,
    environ: Mapping[str, str],
    on_task: Callable[[str], None] = lambda _task: None,
    timeout: int = 600,
) -> PlaybookRun:
    """Run `playbooks/NAME.yml` on this machine, with the answers to its prompts, in a temporary folder below `folder`.

    `on_task` gets the name of each task that starts; `timeout` is in seconds.
    Raises ToolError with the message of the last task that failed.
    """
    from ansible_runner import Runner, RunnerConfig  # heavy: half a second

    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    private = Path(tempfile.mkdtemp(prefix="run-", dir=folder))
    watcher = _Watcher(on_task)
    try:
        config = RunnerConfig(
            private_data_dir=str(private),
            project_dir=str(PLAYBOOKS),
            playbook=f"{name}.yml",
            inventory="localhost,",
            extravars={
                **variables,
                "ansible_connection": "local",
                "ansible_python_interpreter": sys.executable,
            },
            passwords={rf"{re.escape(prompt)}:\s*$": value.reveal() for prompt, value in prompts.items()},
            suppress_env_files=True,
            suppress_output_file=True,
            suppress_ansible_output=True,
            quiet=True,
            timeout=timeout,
            ident=name,
        )
        config.prepare()
        config.env = _environment(config.env, environ, private)
        runner = Runner(config, event_handler=watcher.handle)
        status, _code = runner.run()
    finally:
        shutil.rmtree(private, ignore_errors=True)
    if status == "timeout":
        raise ToolError(f"playbook {name} did not end within {timeout} s", where=watcher.task)
    if status != "successful":
        raise ToolError(watcher.message or f"playbook {name} ended with status {status}", where=watcher.where(name))
    return PlaybookRun(changed=tuple(watcher.changed))


class _Watcher:
    """Keeps what the events of a run say that its caller wants to know."""

    def __init__(self, on_task: Callable[[str], None]) -> None:
        self._on_task = on_task
        self.task = ""
        self.message = ""
        self.failed_task = ""
        self.changed: list[str] = []

    def where(self, playbook: str) -> str:
        """The place of the failure."""
        return f"playbook {playbook}, task {self.failed_task!r}" if self.failed_task else f"playbook {playbook}"

    def handle(self, event: dict[str, Any]) -> bool:
        """Called for each event. False: nothing of it is written to a file."""
        data = event.get("event_data", {})
        match event.get("event"):
            case "playbook_on_task_start":
                self.task = str(data.get("name", ""))
                self._on_task(self.task)
            case "runner_on_ok":
                if data.get("res", {}).get("changed") and not data.get("res", {}).get("results"):
                    self.changed.append(str(data.get("task", "")))
            case "runner_item_on_ok":
                if data.get("res", {}).get("changed"):
                    self.changed.append(str(data.get("task", "")))
            case "runner_on_failed" | "runner_on_unreachable" if not data.get("ignore_errors"):
                self.failed_task = str(data.get("task", ""))
                self.message = str(data.get("res", {}).get("msg", "")).strip()
            case "error" | "verbose" if not self.failed_task and "ERROR" in str(event.get("stdout", "")):
                self.message = str(event["stdout"]).strip()
        return False


def _environment(prepared: Mapping[str, str], environ: Mapping[str, str], private: Path) -> dict[str, str]:
    """Ansible's environment: what ansible-runner adds, and of the caller's only what is known to be harmless."""
    added = {key: value for key, value in prepared.items() if key.startswith(("ANSIBLE_", "AWX_", "RUNNER_"))}
    added |= {key: prepared[key] for key in ("PYTHONPATH",) if key in prepared}
    kept = {key: environ[key] for key in _KEPT if key in environ}
    path = f"{Path(sys.executable).parent}:{environ.get('PATH', '/usr/bin:/bin')}"
    own = {
        "LC_ALL": "C.UTF-8",
        "ANSIBLE_HOME": str(private / "ansible"),
        "ANSIBLE_LOCAL_TEMP": str(private / "ansible" / "tmp"),
        "ANSIBLE_REMOTE_TEMP": str(private / "ansible" / "tmp"),
        "ANSIBLE_PIPELINING": "1",
        "ANSIBLE_NOCOLOR": "1",
        "ANSIBLE_INVENTORY_ENABLED": "host_list",
        "ANSIBLE_LOCALHOST_WARNING": "0",
        "ANSIBLE_COLLECTIONS_PATH": str(private / "collections"),
    }
    return kept | added | own | {"PATH": path}
