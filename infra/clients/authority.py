"""The private authority of a profile that has its own: its key is derived, so only certificates are on disk.

OpenBao's PKI engine runs it. Until OpenBao can be reached, which is through the proxy, the proxy shows a first
certificate that is signed here.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import cast

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from infra.clients.bootstrap import derive
from infra.core.document import write_text
from infra.core.secret import DerivedSecret, Form

AUTHORITY_KEY = DerivedSecret("tls-authority", Form.PEM)
PROXY_KEY = DerivedSecret("tls-proxy", Form.PEM)

AUTHORITY_DAYS = 3650
FIRST_DAYS = 30
"""For how long the first certificate is good: OpenBao's takes its place minutes later."""

ALLOWANCE = timedelta(minutes=5)
"""By how much another machine's clock may be behind."""


@dataclass(frozen=True)
class Authority:
    """The public part of the authority: certificates in PEM."""

    certificate: str
    first: str
    """The proxy's, until OpenBao has signed one."""


def ensure_authority(folder: Path, key: bytes, *, name: str, hosts: Sequence[str]) -> Authority:
    """The authority whose certificates are in `folder`, made where they are missing. `key` is the bootstrap key."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    root, first = folder / "ca.pem", folder / "first.pem"
    signer = _key(key, AUTHORITY_KEY)
    if not _is_of(root, signer):
        _write(root, _root(signer, name))
    if not _is_of(first, _key(key, PROXY_KEY), hosts):
        _write(first, _first(signer, _key(key, PROXY_KEY), root, hosts))
    return Authority(root.read_text(encoding="utf-8"), first.read_text(encoding="utf-8"))


def signing_request(key: str, hosts: Sequence[str]) -> str:
    """A request for a certificate of `hosts`, names or addresses, in PEM. `key` is the private key in PEM."""
    request = x509.CertificateSigningRequestBuilder().subject_name(_named(hosts[0]))
    request = request.add_extension(alternative_names(hosts), critical=False)
    return request.sign(_load(key), SHA256()).public_bytes(Encoding.PEM).decode()


def alternative_names(hosts: Sequence[str]) -> x509.SubjectAlternativeName:
    """The hosts as a certificate names them."""
    return x509.SubjectAlternativeName(
        [x509.IPAddress(ipaddress.ip_address(host)) if is_address(host) else x509.DNSName(host) for host in hosts]
    )


def is_address(host: str) -> bool:
    """Whether a host is an address, of IPv4 or IPv6, and not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def hosts_of(certificate: x509.Certificate) -> list[str]:
    """The names and addresses that a certificate is for, in order."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return sorted(str(name.value) for name in names)


def serial_of(certificate: x509.Certificate) -> str:
    """The serial number as OpenBao writes it: bytes without leading zeros, with colons between."""
    number = certificate.serial_number
    return number.to_bytes((number.bit_length() + 7) // 8).hex(":")


def fits(certificate: x509.Certificate, key: str) -> bool:
    """Whether the certificate is for this private key (PEM)."""
    return certificate.public_key() == _load(key).public_key()


def _key(key: bytes, secret: DerivedSecret) -> ec.EllipticCurvePrivateKey:
    return _load(derive(key, secret.purpose, secret.form).reveal())


def _load(pem: str) -> ec.EllipticCurvePrivateKey:
    return cast(ec.EllipticCurvePrivateKey, load_pem_private_key(pem.encode(), password=None))


def _is_of(file: Path, key: ec.EllipticCurvePrivateKey, hosts: Sequence[str] | None = None) -> bool:
    if not file.is_file():
        return False
    found = x509.load_pem_x509_certificate(file.read_bytes())
    good = found.not_valid_after_utc > datetime.now(UTC)
    return good and found.public_key() == key.public_key() and (hosts is None or hosts_of(found) == sorted(hosts))


def _root(signer: ec.EllipticCurvePrivateKey, name: str) -> x509.Certificate:
    usage = x509.KeyUsage(
        key_cert_sign=True, crl_sign=True, digital_signature=False, content_commitment=False, key_encipherment=False,
        data_encipherment=False, key_agreement=False, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    subject = _named(f"Forgeline {name} authority")
    return (
        _begun(subject, subject, signer.public_key(), AUTHORITY_DAYS)
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(usage, critical=True)
        .sign(signer, SHA256())
    )


def _first(
    signer: ec.EllipticCurvePrivateKey, own: ec.EllipticCurvePrivateKey, root: Path, hosts: Sequence[str]
) -> x509.Certificate:
    issuer = x509.load_pem_x509_certificate(root.read_bytes()).subject
    return (
        _begun(_named(hosts[0]), issuer, own.public_key(), FIRST_DAYS)
        .add_extension(alternative_names(hosts), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), critical=False)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(signer, SHA256())
    )


def _begun(subject: x509.Name, issuer: x509.Name, key: ec.EllipticCurvePublicKey, days: int) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - ALLOWANCE)
        .not_valid_after(now + timedelta(days=days))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
    )


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _write(path: Path, certificate: x509.Certificate) -> None:
    """Public, and whole or not at all."""
    write_text(path, certificate.public_bytes(Encoding.PEM).decode())
