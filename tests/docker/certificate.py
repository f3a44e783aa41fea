"""Certificates for tests: authorities of one's own, one below another if need be, and what they sign."""

from __future__ import annotations

import datetime
from collections.abc import Sequence
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infra.clients.authority import alternative_names

HOUR = datetime.timedelta(hours=1)
BOTH = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]


class Authority:
    """A certificate authority, its own root unless it is `below` another."""

    def __init__(self, name: str, *, below: Self | None = None, lasts: datetime.timedelta = 48 * HOUR) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        signer = below or self
        self._certificate = (
            _builder(self._name, signer._name, self._key, lasts=lasts)
            .add_extension(x509.BasicConstraints(ca=True, path_length=0 if below else 1), critical=True)
            .sign(signer._key, SHA256())
        )

    @property
    def pem(self) -> str:
        """Its own certificate."""
        return self._certificate.public_bytes(Encoding.PEM).decode()

    def sign(
        self, hosts: Sequence[str], *, begins: datetime.timedelta = -HOUR, lasts: datetime.timedelta = 48 * HOUR
    ) -> tuple[str, str]:
        """A new certificate for both sides, of these names and addresses, and its key, in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "either side")])
        signed = (
            _builder(name, self._name, key, begins=begins, lasts=lasts)
            .add_extension(alternative_names(hosts), critical=False)
            .add_extension(x509.ExtendedKeyUsage(BOTH), critical=False)
            .sign(self._key, SHA256())
        )
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return signed.public_bytes(Encoding.PEM).decode(), pem.decode()

    def write(self, folder: Path) -> Path:
        """`ca.pem`, and `cert.pem` and `key.pem` signed by it for 127.0.0.1; answers the folder."""
        folder.mkdir(parents=True, exist_ok=True)
        certificate, key = self.sign(["127.0.0.1"])
        (folder / "ca.pem").write_text(self.pem)
        (folder / "cert.pem").write_text(certificate)
        (folder / "key.pem").write_text(key)
        return folder


def _builder(
    subject: x509.Name,
    issuer: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    *,
    begins: datetime.timedelta = -HOUR,
    lasts: datetime.timedelta = 48 * HOUR,
) -> x509.CertificateBuilder:
    start = datetime.datetime.now(datetime.UTC) + begins
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + lasts)
    )
