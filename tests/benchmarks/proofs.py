"""How long proofs take: 1,000 services rendered and proven, again when nothing changed, one alone; and others' tools.

Prints and keeps one JSON document. `gitlab-ci-local` and `copier` are measured on the same machine in the same run,
each on ten files or repositories; where one can't be installed, its figure is missing and the reason is there.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from infra.core.settings import ROOT, load_settings
from pipelines.catalogue import Service, load_catalogue
from pipelines.check import Manner, catalogue_tasks, prove, prove_services
from pipelines.ledger import Ledger
from pipelines.render import Context
from tests.benchmarks.figure import conditions, install, letters, tell

KEPT = "proofs.json"
NUMBER = 1000
COPIER = "copier==9.19.1"


def main() -> None:
    """Measure, print, keep."""
    catalogue = load_catalogue()
    context = Context.of(catalogue, load_settings({}))
    services = synthetic(list(catalogue), NUMBER)
    figures: dict[str, Any] = {
        **conditions(),
        "services": NUMBER,
    }
    with tempfile.TemporaryDirectory(prefix="forgeline-bench-") as folder:
        cache = Path(folder)

        def check() -> None:
            manner = Manner(ledger=Ledger(cache), processes=os.cpu_count() or 1)
            assert prove_services(services, context, manner) == []

        figures["render_seconds"] = timed(lambda: catalogue_tasks(services, context))
        figures["render_and_prove_seconds"] = timed(check)
        figures["unchanged_seconds"] = timed(check)
        figures["processor_seconds"] = processor_seconds()
        (task,) = catalogue_tasks([catalogue.service("settlement")], context)
        figures["one_service_seconds"] = timed(lambda: prove([task], Manner()))
        figures["peak_mib_of_one_process"] = round(peak_mib())
    ten = catalogue_tasks(catalogue, context)
    figures["ten_files"] = {"forgeline_seconds": timed(lambda: prove(ten, Manner()))}
    compare(figures["ten_files"], "gitlab_ci_local", lambda: gitlab_ci_local([task.text for task in ten]))
    figures["ten_repositories"] = {"forgeline_seconds": timed(lambda: catalogue_tasks(catalogue, context))}
    compare(figures["ten_repositories"], "copier_update", copier_update)
    tell(figures, kept=KEPT)


def synthetic(base: list[Service], number: int) -> list[Service]:
    """`number` services made of those that are there, with names and ports of their own."""
    made = []
    for index in range(number):
        service = base[index % len(base)]
        suffix = letters(index)
        update = {"name": f"{service.name}-{suffix}", "repository": None, "port": 1024 + index}
        made.append(service.model_copy(update=update))
    return made


def timed(work: Callable[[], object]) -> float:
    """Seconds of the clock."""
    began = time.monotonic()
    work()
    return round(time.monotonic() - began, 2)


def processor_seconds() -> float:
    """Seconds of processors that this process and those that it started have used."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return round(sum(one.ru_utime + one.ru_stime for one in used), 1)


def peak_mib() -> float:
    """The largest of the processes, in MiB."""
    return max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) / 1024


def compare(figures: dict[str, Any], name: str, measure: Callable[[], float]) -> None:
    """Adds the figure of another tool and how many times ours it is, or why there is none."""
    try:
        figures[f"{name}_seconds"] = measure()
        figures["times_ours"] = round(figures[f"{name}_seconds"] / max(figures["forgeline_seconds"], 0.01), 1)
    except (OSError, subprocess.SubprocessError, IndexError) as error:
        figures[f"{name}_missing"] = f"{type(error).__name__}: {error}"[:300]


def gitlab_ci_local(texts: list[str]) -> float:
    """Seconds in which gitlab-ci-local lists the jobs of each file once. The oracle's test installs it."""
    cache = load_settings(os.environ).cache
    node = next((cache / "tools" / "node").glob("*/bin/node"))
    program = next((cache / "oracles").glob("*/node_modules/gitlab-ci-local/dist/index.js"))
    with tempfile.TemporaryDirectory() as folder:
        commit(Path(folder), {f"{index}.yml": text for index, text in enumerate(texts)})
        began = time.monotonic()
        for index in range(len(texts)):
            command = [str(node), str(program), "--list-json", "--file", f"{index}.yml"]
            subprocess.run(command, cwd=folder, check=True, capture_output=True, timeout=120)
        return round(time.monotonic() - began, 2)


def copier_update() -> float:
    """Seconds in which copier brings ten repositories from one version of our templates to the next."""
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        copier = install(COPIER, root / "venv") / "copier"
        template = root / "template"
        shutil.copytree(ROOT / "tests" / "golden" / "pipelines", template / "template")
        (template / "template" / "{{ _copier_conf.answers_file }}.jinja").write_text(
            "{{ _copier_answers|to_nice_yaml }}\n"
        )
        (template / "copier.yml").write_text("_subdirectory: template\n")
        commit(template, {})
        git(template, "tag", "1.0.0")
        for index in range(10):
            made = root / f"service-{index}"
            arguments = ["copy", "--defaults", "--vcs-ref=1.0.0", str(template), str(made)]
            subprocess.run([copier, *arguments], check=True, capture_output=True, timeout=120)
            commit(made, {})
        (template / "template" / "settlement.yml").write_text("settle: {script: make}\n")
        commit(template, {})
        git(template, "tag", "1.1.0")
        began = time.monotonic()
        for index in range(10):
            command = [copier, "update", "--defaults"]
            subprocess.run(command, cwd=root / f"service-{index}", check=True, capture_output=True, timeout=120)
        return round(time.monotonic() - began, 2)


def commit(folder: Path, files: dict[str, str]) -> None:
    """One commit with these files and whatever is there."""
    folder.mkdir(exist_ok=True)
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    if not (folder / ".git").exists():
        git(folder, "init", "-q", "-b", "main")
        git(folder, "remote", "add", "origin", "git@gitlab.example.com:trading/service.git")
    git(folder, "add", "-A")
    git(folder, "commit", "-q", "--allow-empty", "-m", "As measured")


def git(folder: Path, *arguments: str) -> None:
    """git with a name, and without anybody's signature."""
    identity = ["-c", "user.name=Forgeline", "-c", "user.email=forgeline@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *arguments], check=True, capture_output=True, timeout=60)


if __name__ == "__main__":
    main()
