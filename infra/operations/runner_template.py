"""The runner of others: what jobs need on its machine, got there, and told to whoever registers it."""

from __future__ import annotations

from infra.clients import trust
from infra.core.error import BadInputError
from infra.operations.work import Work
from infra.servers import runner
from infra.servers.machine import this_machine
from infra.toolchain.toolchain import JOB_TOOLS


def runner_template(work: Work) -> str:
    """The template (TOML) with which a runner on this machine is registered; it has no secret in it.

    Tools that jobs find on their PATH are got first. Raises BadInputError where Forgeline has a runner of its own,
    ToolError for a tool that can't be had.
    """
    settings = work.settings
    if not settings.existing:
        raise BadInputError(
            "Forgeline registers and runs this profile's runner itself",
            where=str(settings.profile_file),
            fix="`forgeline status` shows it",
        )
    programs = {name: tool.path for name, tool in work.tools(JOB_TOOLS).items()}
    return runner.template({**this_machine(settings, programs).jobs, **trust.environment(settings)})
