"""A certificate of somebody else's: what would not do is refused before anything is made, and says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

from infra.clients.certificate import GivenCertificate, read_certificate
from infra.core.error import BadInputError
from infra.core.secret import GivenSecret
from tests.docker.certificate import HOUR, Authority

HOST = "delivery.example.com"
ROOT = Authority("the company's")
BETWEEN = Authority("the company's second", below=ROOT)


@dataclass
class Ground:
    """The files of a certificate."""

    folder: Path

    def put(self, certificate: str, key: str, *, trusted: str = "") -> None:
        (self.folder / "chain.pem").write_text(certificate)
        (self.folder / "key.pem").write_text(key)
        (self.folder / "key.pem").chmod(0o600)
        (self.folder / "trusted.pem").write_text(trusted or ROOT.pem)

    def read(self, host: str = HOST) -> GivenCertificate:
        key = GivenSecret.parse(f"file:{self.folder / 'key.pem'}")
        return read_certificate(self.folder / "chain.pem", key, host=host, trusted=self.folder / "trusted.pem")


@pytest.fixture
def ground(tmp_path: Path) -> Ground:
    return Ground(tmp_path)


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        ([HOST], HOST),
        (["other.example.com", "*.example.com"], HOST),
        (["172.31.250.1"], "172.31.250.1"),
        (["fd00::1"], "fd00:0::1"),
    ],
)
def test_a_certificate_for_the_host_will_do(ground: Ground, hosts: list[str], host: str) -> None:
    certificate, key = BETWEEN.sign(hosts)
    ground.put(certificate + BETWEEN.pem, key)
    found = ground.read(host)
    assert found.chain == certificate + BETWEEN.pem
    assert found.ends.isoformat() > "2026"


@pytest.mark.parametrize(
    ("hosts", "host"),
    [
        (["other.example.com"], HOST),
        (["*.com"], HOST),
        (["*.delivery.example.com"], HOST),
        (["*"], HOST),
        (["172.31.250.1"], "172.31.250.10"),
        ([HOST], "172.31.250.1"),
    ],
)
def test_one_for_others_is_refused(ground: Ground, hosts: list[str], host: str) -> None:
    ground.put(*ROOT.sign(hosts))
    with pytest.raises(BadInputError, match="the servers are called") as caught:
        ground.read(host)
    assert hosts[0] in str(caught.value)
    assert str(ground.folder / "chain.pem") in caught.value.where


def test_it_ends_with_the_first_of_its_chain_that_does(ground: Ground) -> None:
    between = Authority("the company's short one", below=ROOT, lasts=24 * HOUR)
    certificate, key = between.sign([HOST])
    ground.put(certificate + between.pem, key)
    both = x509.load_pem_x509_certificates((certificate + between.pem).encode())
    assert both[1].not_valid_after_utc < both[0].not_valid_after_utc
    assert ground.read().ends == both[1].not_valid_after_utc


def another_key(ground: Ground) -> None:
    ground.put(ROOT.sign([HOST])[0], ROOT.sign([HOST])[1])


def over(ground: Ground) -> None:
    ground.put(*ROOT.sign([HOST], begins=-48 * HOUR, lasts=47 * HOUR))


def not_yet(ground: Ground) -> None:
    ground.put(*ROOT.sign([HOST], begins=HOUR))


def over_between(ground: Ground) -> None:
    between = Authority("the company's last", below=ROOT, lasts=HOUR / 2)
    certificate, key = between.sign([HOST])
    ground.put(certificate + between.pem, key)


def unknown_authority(ground: Ground) -> None:
    ground.put(*Authority("nobody's").sign([HOST]))


def without_what_is_between(ground: Ground) -> None:
    ground.put(*BETWEEN.sign([HOST]))


def with_another_between(ground: Ground) -> None:
    certificate, key = BETWEEN.sign([HOST])
    ground.put(certificate + Authority("another", below=ROOT).pem, key)


def no_certificate(ground: Ground) -> None:
    ground.put("nothing\n", ROOT.sign([HOST])[1])


def no_key(ground: Ground) -> None:
    ground.put(ROOT.sign([HOST])[0], "-----BEGIN PRIVATE KEY-----\nbm90aGluZw==\n-----END PRIVATE KEY-----\n")


def with_a_passphrase(ground: Ground) -> None:
    certificate, key = ROOT.sign([HOST])
    loaded = load_pem_private_key(key.encode(), password=None)
    locked = loaded.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"secret"))
    ground.put(certificate, locked.decode())


def open_to_others(ground: Ground) -> None:
    ground.put(*ROOT.sign([HOST]))
    (ground.folder / "key.pem").chmod(0o644)


def not_there(ground: Ground) -> None:
    ground.put(*ROOT.sign([HOST]))
    (ground.folder / "chain.pem").unlink()


@pytest.mark.parametrize(
    ("put", "what", "file"),
    [
        (another_key, "is not for the key", "chain.pem"),
        (over, "is good from", "chain.pem"),
        (not_yet, "is good from", "chain.pem"),
        (over_between, "in its certificate 2 is good from", "chain.pem"),
        (unknown_authority, "nobody here trusts its authority: CN=nobody's", "chain.pem"),
        (without_what_is_between, "nobody here trusts its authority: CN=the company's second", "chain.pem"),
        (with_another_between, "certificate 2 did not sign the one before", "chain.pem"),
        (no_certificate, "is not a file of certificates", "chain.pem"),
        (no_key, "is not a private key", "key.pem"),
        (with_a_passphrase, "has a passphrase", "key.pem"),
        (open_to_others, "others may read it", "key.pem"),
        (not_there, "can't be read", "chain.pem"),
    ],
    ids=lambda value: value.__name__ if callable(value) else "",
)
def test_what_would_not_do_is_told(ground: Ground, put: Callable[[Ground], None], what: str, file: str) -> None:
    put(ground)
    with pytest.raises(BadInputError, match=what) as caught:
        ground.read()
    assert str(ground.folder / file) in caught.value.where
    assert "PRIVATE KEY-----" not in f"{caught.value.what}{caught.value.detail}"
