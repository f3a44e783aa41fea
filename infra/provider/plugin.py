"""The provider as a plug-in executable, for the plain `pulumi` command: settings from the environment, as always."""

from __future__ import annotations

import os
import sys

from infra.core.error import ForgelineError
from infra.core.settings import load_settings
from infra.provider.careful import provider_of
from infra.provider.connection import Connections
from infra.provider.server import serve_plugin


def main() -> int:
    """Serves until it is ended; the exit code."""
    try:
        settings = load_settings(os.environ)
    except ForgelineError as error:
        sys.stderr.write(f"{error}\n")
        return int(error.exit_code)
    serve_plugin(provider_of(settings, Connections.of(settings)))
    return 0


if __name__ == "__main__":
    sys.exit(main())
