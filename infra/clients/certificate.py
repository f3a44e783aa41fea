"""A certificate that somebody else's authority signed: checked before anything is made with it."""

from __future__ import annotations

import ipaddress
import os
import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.hazmat.primitives.serialization import load_pem_private_key
from cryptography.utils import CryptographyDeprecationWarning

from infra.clients.authority import hosts_of, is_address
from infra.clients.given import read_given
from infra.core.error import BadInputError
from infra.core.secret import GivenSecret


@dataclass(frozen=True, kw_only=True)
class GivenCertificate:
    """The certificate with those between it and its authority, in PEM, and until when it is good."""

    chain: str
    ends: datetime


def read_certificate(
    file: Path, key: GivenSecret, *, host: str, trusted: Path, environ: Mapping[str, str] = os.environ
) -> GivenCertificate:
    """The certificate in `file` with its key, for a server that is called `host`.

    `trusted` is the file of the authorities that the clients trust. Raises BadInputError for what would not do.
    """
    chain = certificates(file)
    first = chain[0]
    if first.public_key() != _key(key, environ).public_key():
        raise BadInputError(
            "is not for the key that stands beside it",
            where=str(file),
            fix=f"give the key that it was requested with in `certificate.key` (now {key}); in the file it comes first",
        )
    for number, one in enumerate(chain, 1):
        if not one.not_valid_before_utc <= datetime.now(UTC) < one.not_valid_after_utc:
            which = "" if one is first else f"in its certificate {number} "
            when = f"from {one.not_valid_before_utc:%Y-%m-%d} to {one.not_valid_after_utc:%Y-%m-%d}"
            raise BadInputError(
                f"{which}is good {when} only", where=str(file), fix="have another signed, and put it there"
            )
    if not is_for(first, host):
        raise BadInputError(
            f"is for {', '.join(hosts_of(first)) or 'nobody'}, and the servers are called {host}",
            where=str(file),
            fix=f"have one signed with {host} among its alternative names, or set `host` to a name that it has",
        )
    _check_trust(chain, file, trusted)
    ends = min(one.not_valid_after_utc for one in chain)
    return GivenCertificate(chain=file.read_text(encoding="ascii").strip() + "\n", ends=ends)


def is_for(certificate: x509.Certificate, host: str) -> bool:
    """Whether the certificate names the host, a name or an address (RFC 6125: a star stands for one label)."""
    if is_address(host):
        return str(ipaddress.ip_address(host)) in hosts_of(certificate)
    star = f"*.{host.partition('.')[2]}"
    return any(name.lower() in {host, star} for name in hosts_of(certificate))


def certificates(file: Path) -> list[x509.Certificate]:
    """Those in a PEM file. Raises BadInputError where there are none."""
    try:
        return x509.load_pem_x509_certificates(file.read_bytes())
    except OSError as error:
        raise BadInputError(f"can't be read: {error.strerror}", where=str(file)) from error
    except ValueError as error:
        raise BadInputError(
            "is not a file of certificates", where=str(file), fix="give PEM: -----BEGIN CERTIFICATE----- and on"
        ) from error


def _key(key: GivenSecret, environ: Mapping[str, str]) -> PrivateKeyTypes:
    value = read_given(key, environ).reveal()
    try:
        return load_pem_private_key(value.encode(), password=None)
    except TypeError:
        what, fix = "has a passphrase, which nobody is there to type", "take it off: openssl pkey -in KEY -out KEY"
    except ValueError:
        what, fix = "is not a private key", "give PEM: -----BEGIN PRIVATE KEY----- and on"
    # Outside of the handlers: what the library says may show a part of the key.
    raise BadInputError(what, where=str(key), fix=fix)


def _check_trust(chain: list[x509.Certificate], file: Path, trusted: Path) -> None:
    for number, (one, next_one) in enumerate(pairwise(chain), 1):
        if not _signed(one, next_one):
            raise BadInputError(
                f"its certificate {number + 1} did not sign the one before it",
                where=str(file),
                fix="put the server's certificate first, and after each the one that signed it",
            )
    last = chain[-1]
    with warnings.catch_warnings():
        # Old roots that systems still trust break rules of today's: that is nothing for a person to mend.
        warnings.simplefilter("ignore", CryptographyDeprecationWarning)
        authorities = x509.load_pem_x509_certificates(trusted.read_bytes())
    if last not in authorities and not any(_signed(last, one) for one in authorities):
        raise BadInputError(
            f"nobody here trusts its authority: {last.issuer.rfc4514_string()}",
            where=str(file),
            fix="give the authority's own certificate in the profile's `ca`, and what is between in the chain",
        )


def _signed(one: x509.Certificate, by: x509.Certificate) -> bool:
    try:
        one.verify_directly_issued_by(by)
    except (ValueError, TypeError, InvalidSignature):
        return False
    return True
