"""Which authorities an image trusts: those that this machine trusts, for Java too."""

from __future__ import annotations

import base64
import hashlib
import re
import struct
from pathlib import Path

PEM = "etc/ssl/certs/ca-certificates.crt"
JAVA = "etc/ssl/certs/java/cacerts"
PASSWORD = "changeit"  # noqa: S105 - what every Java knows; it keeps nothing from anybody

OWN = Path("/usr/local/share/ca-certificates")
"""Where a Debian machine keeps the authorities that its administrator added (update-ca-certificates(8))."""

_CERTIFICATE = re.compile(r"-----BEGIN CERTIFICATE-----(.+?)-----END CERTIFICATE-----", re.DOTALL)
_MAGIC, _VERSION, _TRUSTED = 0xFEEDFEED, 2, 2


def own_authorities() -> list[Path]:
    """The certificates that this machine's administrator added."""
    return sorted(path for path in OWN.rglob("*.crt") if path.is_file())


def java_truststore(pem: str) -> bytes:
    """The certificates in `pem` as Java's own key store, always the same bytes: Java's tools write the time into it.

    Its form is that of OpenJDK's `sun.security.provider.JavaKeyStore`: magic, version, count, then for each entry tag,
    alias, time, type and certificate, and a SHA-1 sum over the password and all of it.
    """
    found = {base64.b64decode("".join(match[1].split())) for match in _CERTIFICATE.finditer(pem)}
    certificates = {hashlib.sha256(der).hexdigest(): der for der in found}
    body = struct.pack(">III", _MAGIC, _VERSION, len(certificates))
    for alias, der in sorted(certificates.items()):
        body += struct.pack(">I", _TRUSTED) + _utf(alias) + struct.pack(">Q", 0)
        body += _utf("X.509") + struct.pack(">I", len(der)) + der
    seal = hashlib.sha1(PASSWORD.encode("utf-16-be") + b"Mighty Aphrodite" + body, usedforsecurity=False)
    return body + seal.digest()


def _utf(word: str) -> bytes:
    data = word.encode("ascii")
    return struct.pack(">H", len(data)) + data
