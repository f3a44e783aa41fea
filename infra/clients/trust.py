"""Whom the clients trust: the system's certificate authorities, and beside them those of the profile.

Libraries and programs take one file of authorities in place of the system's, so both are put into one. It is named by
its content and kept beside the tools: never out of date, and no part of the state.
"""

from __future__ import annotations

import hashlib
import os
import ssl
from functools import cache
from pathlib import Path

import certifi

from infra.core.document import write_text
from infra.core.settings import Placement, Settings

_SYSTEM = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""Where systems keep their authorities in one file: Debian, Red Hat, SUSE, Alpine."""

VARIABLES = (
    *("SSL_CERT_FILE", "GIT_SSL_CAINFO", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS"),
    *("VAULT_CACERT", "BAO_CACERT"),
)
"""Variables by which programs are told of a file of authorities: Python and Go, git, curl, …"""


def bundle(settings: Settings) -> Path | None:
    """One file with everybody who is trusted; None in the lab, which speaks to loopback without TLS.

    Raises BadInputError for a `ca` that is no file of certificates.
    """
    if settings.profile.placement is Placement.LAB:
        return None
    if settings.ca is None or not settings.ca.is_file():
        # A profile's own file is there: only one that is yet to be made can be missing.
        return system()
    text = authorities(settings.ca)
    file = settings.cache / "trust" / f"{hashlib.sha256(text.encode()).hexdigest()[:32]}.pem"
    if not file.is_file():
        file.parent.mkdir(parents=True, exist_ok=True)
        write_text(file, text)
    return file


def authorities(ca: Path) -> str:
    """The system's authorities and those of `ca`, as PEM. Raises BadInputError for what is no file of certificates."""
    # Only a profile with authorities of its own needs the library.
    from infra.clients.certificate import certificates

    certificates(ca)
    both = [file.read_text(encoding="ascii", errors="ignore").strip() for file in (system(), ca)]
    return "\n".join([*both, ""])


def system() -> Path:
    """The system's authorities: `SSL_CERT_FILE` if it is set, else what the system has, else Mozilla's of certifi."""
    candidates = (os.environ.get("SSL_CERT_FILE", ""), ssl.get_default_verify_paths().cafile or "", *_SYSTEM)
    return next((Path(file) for file in candidates if file and Path(file).is_file()), Path(certifi.where()))


@cache
def context(trusted: Path | None) -> ssl.SSLContext | bool:
    """For httpx: who is trusted. Loading the certificates takes 20 ms of a processor, so it is done once."""
    return True if trusted is None else ssl.create_default_context(cafile=str(trusted))


def environment(settings: Settings) -> dict[str, str]:
    """What tells programs whom to trust; nothing in the lab."""
    trusted = bundle(settings)
    return {} if trusted is None else dict.fromkeys(VARIABLES, str(trusted))
