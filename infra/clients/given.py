"""Secrets that were there before Forgeline, read where the profile says that they are kept."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from pathlib import Path

from infra.core.error import BadInputError
from infra.core.secret import GivenSecret, Keeper, SecretValue

PEM = "-----BEGIN "
"""How a key begins that is written in lines."""


def read_given(secret: GivenSecret, environ: Mapping[str, str] = os.environ) -> SecretValue:
    """The value of a variable or a file. Raises BadInputError where it is not there, is empty, or others may read it.

    What Vault keeps is read by `OpenBao.resolve`.
    """
    if secret.keeper is Keeper.ENVIRONMENT:
        value = environ.get(secret.place, "").strip()
        if not value:
            raise BadInputError("the variable is not set", where=str(secret), fix=f"export {secret.place}")
        return SecretValue(value)
    if secret.keeper is Keeper.FILE:
        return _of_file(secret)
    raise BadInputError("is kept in Vault, which is not asked here", where=str(secret))


def _of_file(secret: GivenSecret) -> SecretValue:
    file = Path(secret.place).expanduser()
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        if mode & 0o077:
            raise BadInputError(f"others may read it (mode {mode:o})", where=str(secret), fix=f"chmod 600 {file}")
        value = file.read_text(encoding="utf-8").strip()
    except OSError as error:
        raise BadInputError(
            f"can't be read: {error.strerror}", where=str(secret), fix="put the secret there, with mode 600"
        ) from error
    except UnicodeDecodeError:
        # The chain would show bytes of it.
        raise BadInputError("is not text", where=str(secret), fix="put the secret there, and nothing else") from None
    if not value or ("\n" in value and not value.startswith(PEM)):
        raise BadInputError(
            "does not hold just one line", where=str(secret), fix="put the secret there, and nothing else"
        )
    return SecretValue(value)
