"""`python -m infra.lab.gitlab serve` and `… bootstrap`: the embedded GitLab's two commands."""

from __future__ import annotations

import json
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click
from pydantic import ValidationError

from infra.core.error import BadInputError, ForgelineError

if TYPE_CHECKING:
    from infra.lab.gitlab.instance import Settings


@click.group()
def main() -> None:
    """The embedded GitLab of Forgeline's lab. It is a stand-in, not GitLab."""
    os.umask(0o077)


@main.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of the data, mode 0700.")
@click.option(
    "--host",
    default="127.0.0.1",
    show_default=True,
    help="Address to listen on: loopback, or that of an inner network behind a TLS proxy.",
)
@click.option("--port", type=click.IntRange(1, 65535), required=True, help="TCP port.")
@click.option("--external-url", required=True, help="Address that clients use; it goes into links and tokens.")
def serve(data: Path, host: str, port: int, external_url: str) -> None:
    """Serve until SIGTERM or SIGINT; what runs is finished first, for ten seconds at most."""
    import uvicorn

    from infra.lab.gitlab.app import build

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    loopback = host.startswith("127.") or host in ("::1", "localhost")
    if not loopback and not external_url.startswith("https://"):
        fix = "use 127.0.0.1: the stand-in has no TLS; or a proxy that has, and an https address for clients"
        raise BadInputError(f"{host} is not a loopback address", fix=fix)
    config = uvicorn.Config(
        build(_settings(data, external_url)),
        host=host,
        port=port,
        loop="asyncio",
        # h11, in Python, took a fifth of all that the server does under load.
        http="httptools",
        ws="none",
        access_log=False,
        log_config=None,
        server_header=False,
        timeout_graceful_shutdown=10,
        timeout_keep_alive=75,
    )
    uvicorn.Server(config).run()


@main.command()
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Folder of the data.")
def bootstrap(data: Path) -> None:
    """Make or update the administrator that standard input describes: {"username", "password", "token"}."""
    from infra.lab.gitlab.bootstrap import Administrator
    from infra.lab.gitlab.bootstrap import bootstrap as give
    from infra.lab.gitlab.instance import Instance

    try:
        administrator = Administrator.model_validate_json(sys.stdin.read())
    except ValidationError as error:
        # The error's own text would repeat the input, which holds secrets.
        places = sorted({".".join(map(str, each["loc"])) or "JSON" for each in error.errors(include_input=False)})
        raise BadInputError(
            f"standard input is not valid: {', '.join(places)}",
            where="bootstrap",
            fix='give {"username", "password" (8 characters), "token" (20 characters)}',
        ) from None
    instance = Instance(_settings(data, "http://localhost"))
    instance.store.create()
    with instance.store.write() as session:
        changed = give(session, administrator)
    instance.store.close()
    click.echo(json.dumps({"changed": changed}))


def _settings(data: Path, external_url: str) -> Settings:
    from infra.lab.gitlab.instance import Settings

    return Settings(data=data.resolve(), external_url=external_url.rstrip("/"))


def run() -> int:
    """Run a command. The one place that prints an error; the result is the process's exit code."""
    try:
        main(standalone_mode=False)
    except ForgelineError as error:
        click.echo(str(error), err=True)
        return error.exit_code
    except click.ClickException as error:
        error.show()
        return BadInputError.exit_code
    except (click.Abort, KeyboardInterrupt):
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(run())
