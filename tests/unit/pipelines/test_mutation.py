"""Every gate of every service, deleted or weakened in every way that we can think of: each is caught.

A mutation changes the rendered text of one pipeline, as somebody would who wants past a gate. It is caught when any
rule finds something; the programs that look at shell text are left out, since these are not their matter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import pytest

from infra.core.settings import load_settings
from pipelines.catalogue import load_catalogue
from pipelines.check import Task, catalogue_tasks
from pipelines.render import Context
from pipelines.rules.duty import DUTIES, LANGUAGES, TOOTHLESS
from pipelines.rules.registry import RULES
from pipelines.standard import GATES, GATES_BEFORE_PUBLISH
from pipelines.subject import Subject

CATALOGUE = load_catalogue()
TASKS = {
    task.file.removesuffix(".yml"): task
    for task in catalogue_tasks(CATALOGUE, Context.of(CATALOGUE, load_settings({})))
}

QUICK = ("gate-missing", "gate-conditional", "rules-loosened", "gate-idle", "gate-hides-failure", "gate-report-missing")
"""Rules that need no compiled pipeline: asked first, since one finding is enough."""
FIRST_QUICK = sorted(RULES, key=lambda rule: rule.id not in QUICK)

Mutation = Callable[[str, str], str | None]
"""From a text and a gate to the text without it, or None where that can't be done to this gate."""


def block(text: str, job: str) -> tuple[int, int]:
    """Where a job's text begins and ends."""
    start = text.index(f"\n{job}:\n") + 1
    following = re.compile(r"^[a-zA-Z.]", re.M).search(text, start + 1)
    return start, following.start() if following else len(text)


def with_block(text: str, job: str, changed: Callable[[str], str | None]) -> str | None:
    start, end = block(text, job)
    new = changed(text[start:end])
    return None if new is None or new == text[start:end] else text[:start] + new + text[end:]


def key(lines: str) -> Mutation:
    """The gate with more keys, in the place of those that it has of that name."""
    name = lines.split(":")[0]

    def mutate(text: str, gate: str) -> str | None:
        def changed(job: str) -> str:
            head, _, rest = job.partition("\n")
            rest = re.sub(rf"^  {name}:.*\n(?:    .*\n| *\n(?=    ))*", "", rest, flags=re.M)
            return head + "\n" + "".join(f"  {line}\n" for line in lines.splitlines()) + rest

        return with_block(text, gate, changed)

    return mutate


def script(*lines: str) -> Mutation:
    """The gate with another script."""
    return key("script:\n" + "\n".join(f"  - {line}" for line in lines))


def before(line: str) -> Mutation:
    """The gate with a line in front of each of its script's first lines."""

    def mutate(text: str, gate: str) -> str | None:
        start = "  script:\n    - |\n"
        return with_block(text, gate, lambda job: job.replace(start, f"{start}      {line}\n"))

    return mutate


def tools(gate: str) -> set[str]:
    """How the lines begin in which the gate calls its tools."""
    names = {"mvn": "maven", "c8": "npx", "eslint": "npx", "cyclonedx-npm": "npx"}
    calls = [call for language in LANGUAGES for call in DUTIES[gate].all_calls(language)]
    return {names.get(call[0], call[0]).removesuffix("()") for call in calls} - {"[", "git", "awk", "gofmt"}


def tool_lines(job: str, gate: str) -> Iterator[tuple[int, int]]:
    """Where the commands are that call the gate's tools: first and last line, continued ones whole."""
    lines = job.splitlines()
    begins = tuple(name if "/" in name else f"{name} " for name in tools(gate))
    index = 0
    while index < len(lines):
        end = index
        while lines[end].endswith(("\\", "|", "||")):
            end += 1
        here = re.search(r"<<'(\w+)'", lines[end])
        if here:
            end = next(at for at in range(end + 1, len(lines)) if lines[at].strip() == here[1])
        if lines[index].startswith("      ") and lines[index].lstrip().startswith(begins):
            yield index, end
        index = end + 1


def tool(change: Callable[[str], str]) -> Mutation:
    """The gate with each command that calls its tool changed."""

    def mutate(text: str, gate: str) -> str | None:
        def changed(job: str) -> str | None:
            lines = job.splitlines(keepends=True)
            for first, end in reversed(list(tool_lines(job, gate))):
                command = "".join(lines[first : end + 1])
                if "<<'" in command:
                    head, _, tail = command.partition("\n")
                    lines[first : end + 1] = [change(head.strip()).join(["      ", "\n"]), tail]
                else:
                    lines[first : end + 1] = [f"      {change(command.strip())}\n"]
            return "".join(lines)

        return with_block(text, gate, changed)

    return mutate


def deleted(text: str, gate: str) -> str:
    start, end = block(text, gate)
    return text[:start] + text[end:]


def deleted_everywhere(text: str, gate: str) -> str:
    """The gate and every word of it in `needs`; who needed only it now needs nothing."""
    text = deleted(text, gate)
    text = re.sub(rf"    - job: {gate}\n(?:      .*\n)*", "", text)
    return re.sub(r"  needs:\n(?!    -)", "  needs: []\n", text).replace(f"needs: [{gate}]", "needs: []")


def bridged(text: str, gate: str) -> str:
    """The gate away, and who needed it now needs what it needed."""
    own = re.search(r"^  needs:(.*\n(?:    .*\n)*)", text[slice(*block(text, gate))], re.M)
    needed = re.findall(r"- job: (\S+)", own[1]) or re.findall(r"\[(\S+)\]", own[1]) if own else []
    text = deleted(text, gate)
    if not needed:
        return deleted_everywhere(text + f"\n{gate}:\n", gate)
    text = text.replace(f"- job: {gate}\n", f"- job: {needed[0]}\n")
    return text.replace(f"needs: [{gate}]", f"needs: [{needed[0]}]")


def renamed(text: str, gate: str) -> str:
    return text.replace(f"\n{gate}:\n", f"\n{gate}-old:\n").replace(f"job: {gate}\n", f"job: {gate}-old\n")


def not_needed(text: str, gate: str) -> str | None:
    """Nobody waits for the gate."""
    changed = re.sub(rf"    - job: {gate}\n(?:      .*\n)*", "", text)
    return re.sub(r"  needs:\n(?!    -)", "  needs: []\n", changed).replace(f"needs: [{gate}]", "needs: []")


def needed_optionally(text: str, gate: str) -> str:
    text = text.replace(f"    - job: {gate}\n", f"    - job: {gate}\n      optional: true\n")
    return text.replace(f"needs: [{gate}]", f"needs: [{{job: {gate}, optional: true}}]")


def without_reports(text: str, gate: str) -> str | None:
    if not DUTIES[gate].paths and not DUTIES[gate].reports:
        return None
    return with_block(text, gate, lambda job: re.sub(r"^  artifacts:\n(?:    .*\n)*", "", job, flags=re.M))


def passed_by(text: str, gate: str) -> str:
    """A second way to production, which needs everything but the gate."""
    others = "".join(f"    - job: {other}\n      artifacts: false\n" for other in GATES if other != gate)
    job = (
        f"\nhotfix:\n  stage: deploy-production\n  needs:\n{others}  rules:\n    - if: $CI_COMMIT_REF_PROTECTED == "
        '"true" && $CI_COMMIT_TAG\n  environment: production\n  script:\n    - forgeline deploy x --environment '
        'production --version "$VERSION"\n'
    )
    return text + job


def only_early(mutation: Mutation) -> Mutation:
    """A mutation of gates that have no rules of their own."""
    return lambda text, gate: mutation(text, gate) if gate in GATES_BEFORE_PUBLISH else None


def only_ruled(line: str) -> Mutation:
    """A mutation of the last rule of gates that have some."""

    def mutate(text: str, gate: str) -> str | None:
        def changed(job: str) -> str | None:
            rules = re.search(r"^  rules:\n(?:    .*\n)*", job, re.M)
            if rules is None:
                return None
            name = line.split(":")[0]
            kept = re.sub(rf"^      {name}: (?!never).*\n", "", rules[0], flags=re.M)
            return job.replace(rules[0], f"{kept}      {line}\n")

        return with_block(text, gate, changed)

    return mutate


def toothless(text: str, gate: str) -> str | None:
    """The first option of the table that fits the gate's tool."""
    names = {"maven": "mvn"}

    def changed(job: str) -> str | None:
        for name in sorted(tools(gate)):
            options = TOOTHLESS.get(names.get(name, name), ())
            if options and f"      {name} " in job:
                return job.replace(f"      {name} ", f"      {name} {options[0].rstrip('*')} ")
        return None

    return with_block(text, gate, changed)


def for_a_variable(text: str, gate: str) -> str | None:
    """The first rule that lets the gate run asks for what anybody may set."""
    condition = re.compile(r"^    - if: .*\n(?!      when: never)", re.M)
    return with_block(text, gate, lambda job: condition.sub("    - if: $NOW\n", job, count=1))


def shadowed(text: str, gate: str) -> str | None:
    """The gate's tools are functions that do nothing. A function can't have the name of a path."""
    names = sorted(name for name in tools(gate) - {"publish"} if "/" not in name and f"      {name} " in text)
    return before("; ".join(f"{name}() {{ :; }}" for name in names))(text, gate) if names else None


def without_files(text: str, gate: str) -> str | None:
    return key("variables: {GIT_STRATEGY: none}")(text, gate) if DUTIES[gate].reads_source else None


MUTATIONS: dict[str, Mutation] = {
    "deleted": deleted,
    "deleted everywhere": deleted_everywhere,
    "bridged": bridged,
    "hidden": lambda text, gate: text.replace(f"\n{gate}:\n", f"\n.{gate}:\n"),
    "renamed": renamed,
    "not needed": not_needed,
    "needed optionally": needed_optionally,
    "passed by": passed_by,
    "may fail": key("allow_failure: true"),
    "may fail with some codes": key("allow_failure:\n  exit_codes: [1, 2]"),
    "manual": only_early(key("when: manual")),
    "manual and blocking": only_early(key("when: manual\nallow_failure: false")),
    "delayed": only_early(key("when: delayed\nstart_in: 1 week")),
    "on failure": only_early(key("when: on_failure")),
    "always": only_early(key("when: always")),
    "never": key("rules:\n  - when: never"),
    "on one branch": key("rules:\n  - if: $CI_COMMIT_BRANCH == 'nobody'"),
    "unless skipped": only_early(key("rules:\n  - if: $SKIP\n    when: never\n  - when: on_success")),
    "if changed": only_early(key("rules:\n  - changes: [src/**/*]")),
    "if there": only_early(key("rules:\n  - exists: [nothing.txt]")),
    "may fail if asked": only_early(key("rules:\n  - if: $HOTFIX\n    allow_failure: true\n  - when: on_success")),
    "only": only_early(key("only: [tags]")),
    "except": only_early(key("except: [schedules]")),
    "rule may fail": only_ruled("allow_failure: true"),
    "rule always": only_ruled("when: always"),
    "rule other needs": only_ruled("needs: []"),
    "rule variables": only_ruled("variables: {VERSION: 1.0.0}"),
    "rule for a variable": for_a_variable,
    "script true": script('"true"'),
    "script echo": script("echo nothing to do"),
    "script exit": script("exit 0"),
    "script remark": script('"# later"'),
    "triggers instead": key("trigger: other/project"),
    "set +e": before("set +e"),
    "set +o errexit": before("set +o errexit"),
    "exit 0 first": before("exit 0"),
    "exec first": before("exec true"),
    "trap on exit": before("trap 'exit 0' EXIT"),
    "trap on error": before("trap 'exit 0' ERR"),
    "eval": before('eval "$EXTRA"'),
    "sourced": before(". ci/extra.sh"),
    "other path": before('PATH="$PWD/bin:$PATH"'),
    "|| true": tool(lambda command: f"{command} || true"),
    "|| :": tool(lambda command: f"{command} || :"),
    "|| echo": tool(lambda command: f"{command} || echo ignored"),
    "|| exit 0": tool(lambda command: f"{command} || exit 0"),
    "&& true": tool(lambda command: f"{command} && true"),
    "in the background": tool(lambda command: f"{command} &"),
    "negated": tool(lambda command: f"! {command}"),
    "remark": tool(lambda command: "# " + command.replace("\n", "\n# ")),
    "echoed": tool(lambda command: f"echo {command}"),
    "never run": tool(lambda command: f"if false; then {command}; fi"),
    "asked about": tool(lambda command: f"if {command}; then :; fi"),
    "in a function": tool(lambda command: f"later() {{ {command}; }}"),
    "help": tool(lambda command: command.replace(" ", " --help ", 1) if " " in command else f"{command} --help"),
    "shadowed": lambda text, gate: (
        before("; ".join(f"{name}() {{ :; }}" for name in sorted(tools(gate)) if "/" not in name))(text, gate)
        if any("/" not in name for name in tools(gate)) and "ci/" not in text[slice(*block(text, gate))]
        else None
    ),
    "toothless": toothless,
    "afterwards": lambda text, gate: with_block(
        text, gate, lambda job: job.replace("  script:\n", "  script: ['true']\n  after_script:\n")
    ),
    "without reports": without_reports,
    "without files": without_files,
    "startup file": key("variables: {BASH_ENV: ci/env.sh}"),
}


def caught(task: Task, text: str) -> list[str]:
    """The rules that find something, up to the first."""
    subject = Subject(file=task.file, text=text, standard=True, expected=task.expected)
    for rule in FIRST_QUICK:
        if any(True for _ in rule.find(subject)):
            return [rule.id]
    return []


@pytest.mark.parametrize("service", sorted(TASKS))
def test_no_gate_can_be_weakened(service: str) -> None:
    task = TASKS[service]
    assert caught(task, task.text) == []
    tried: dict[str, int] = dict.fromkeys(MUTATIONS, 0)
    missed = []
    for gate in GATES:
        for name, mutation in MUTATIONS.items():
            text = mutation(task.text, gate)
            if text is None or text == task.text:
                continue
            tried[name] += 1
            if not caught(task, text):
                missed.append(f"{gate}: {name}")
    assert missed == []
    assert [name for name, number in tried.items() if number == 0] == [], "mutations that change nothing any more"
    assert sum(tried.values()) > 500


@pytest.mark.parametrize("service", sorted(TASKS))
def test_the_coverage_floor_can_not_be_lowered(service: str) -> None:
    task = TASKS[service]
    assert task.expected is not None
    for floor in (0, 1, task.expected.floor - 1):
        lower = re.sub(r"found \+ 0 >= \d+", f"found + 0 >= {floor}", task.text)
        assert caught(task, lower) == ["coverage-floor"]
