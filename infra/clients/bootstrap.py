"""The one secret on disk: 32 random bytes, from which what is needed before OpenBao answers is derived."""

from __future__ import annotations

import base64
import os
import secrets
import stat
import string
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from infra.core.error import BadInputError
from infra.core.secret import Form, SecretValue

KEY_BYTES = 32
_P256_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""The number of points that the curve's generator makes (FIPS 186-4, D.1.2.3)."""
_ALPHABET = string.ascii_letters + string.digits


def ensure_key(path: Path) -> bool:
    """Make the key once, mode 0600, on disk for good when this returns. Returns whether it was made now.

    The file appears under its name only when it is whole: a run that is killed leaves no half key.
    """
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.parent.chmod(0o700)
    if path.exists():
        read_key(path)
        return False
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(KEY_BYTES))
            file.flush()
            os.fsync(file.fileno())
        # A link, not a rename: of two runs at once the first one's key stays.
        os.link(draft, path)
    except FileExistsError:
        return False
    finally:
        draft.unlink()
    folder = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
    return True


def read_key(path: Path) -> bytes:
    """The key's bytes. Raises BadInputError if it is not there, is damaged, or can be read by others."""
    try:
        status = path.stat()
        key = path.read_bytes()
    except OSError as error:
        raise BadInputError(
            f"can't be read: {error.strerror}", where=str(path), fix="`forgeline up` makes it, for a new stack"
        ) from error
    if len(key) != KEY_BYTES:
        raise BadInputError(f"has {len(key)} bytes, not {KEY_BYTES}", where=str(path), fix="bring the right key back")
    if stat.S_IMODE(status.st_mode) & 0o077:
        mode = oct(stat.S_IMODE(status.st_mode))
        raise BadInputError(f"others may read it (mode {mode})", where=str(path), fix=f"chmod 600 {path}")
    return key


def derive(key: bytes, purpose: str, form: Form = Form.TEXT) -> SecretValue:
    """A secret for one purpose, always the same for the same key: HKDF-SHA256, 32 bytes, in one of the forms."""
    derived = HKDF(algorithm=SHA256(), length=32, salt=None, info=f"forgeline/{purpose}".encode()).derive(key)
    match form:
        case Form.TEXT:
            return SecretValue(base64.urlsafe_b64encode(derived).rstrip(b"=").decode())
        case Form.HEX:
            return SecretValue(derived.hex())
        case Form.PEM:
            written = _private_key(derived).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
            return SecretValue(written.decode())


def _private_key(derived: bytes) -> ec.EllipticCurvePrivateKey:
    # Almost every number of 32 bytes is below the curve's order; the few others are brought below it.
    return ec.derive_private_key(int.from_bytes(derived) % _P256_ORDER or 1, ec.SECP256R1())


def random_secret(length: int = 32) -> str:
    """Letters and digits with about 5.95 bits each."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
