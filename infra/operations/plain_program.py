"""The stacks as a plain Pulumi program: the name of the stack that `pulumi` selected says which one.

`forgeline` itself does not come this way: it calls the same programs in its own process.
"""

from __future__ import annotations

import os
from collections.abc import Mapping

import pulumi

from infra.core.error import BadInputError
from infra.core.settings import Settings, load_settings
from infra.operations import desired
from infra.programs.gate import OPEN
from infra.toolchain.toolchain import Toolchain, needed
from pipelines.catalogue import Catalogue


def main() -> None:
    """Declares what belongs to the stack that `pulumi` selected, with the settings of this environment."""
    declare(load_settings(os.environ), os.environ)


def declare(settings: Settings, environ: Mapping[str, str]) -> None:
    """Declares what belongs to the stack that `pulumi` selected. Raises BadInputError for an unknown name."""
    tools = Toolchain.of(settings, environ).ensure(needed(settings))
    stacks = {stack.name: stack for stack in desired.stacks(settings, Catalogue.of(settings), tools, environ)}
    name = pulumi.get_stack()
    if name not in stacks:
        raise BadInputError(f"there is no stack {name!r}", fix=f"one of: {', '.join(stacks)}")
    stacks[name].program(OPEN)
