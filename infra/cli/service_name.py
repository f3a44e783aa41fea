"""The argument SERVICE of several commands: apart from them, so that no command loads another one for it."""

from __future__ import annotations

import os

import click
from click.shell_completion import CompletionItem

from infra.core.error import ForgelineError
from infra.core.settings import load_settings


class ServiceName(click.types.StringParamType):
    """The name of a service of the catalogue, completed from its files."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:  # noqa: ARG002 - click's signature
        """The services whose names begin so; none where the settings can't be read: a prompt is no place for errors."""
        try:
            catalog = load_settings(os.environ, profile=ctx.find_root().params.get("profile")).catalog
        except ForgelineError:
            return []
        names = sorted(path.stem for path in catalog.glob("*.yaml"))
        return [CompletionItem(name) for name in names if name.startswith(incomplete)]


SERVICE = ServiceName()
