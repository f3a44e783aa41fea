"""The argument SERVICE of several commands: apart from them, so that no command loads another one for it."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem

from pipelines.catalogue import CATALOG


class ServiceName(click.types.StringParamType):
    """The name of a service of the catalogue, completed from its files."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """The services whose names begin so."""
        return [
            CompletionItem(path.stem) for path in sorted(CATALOG.glob("*.yaml")) if path.stem.startswith(incomplete)
        ]


SERVICE = ServiceName()
