"""The private authority: made once, always of the same key, and what it signs is believed by those who trust it."""

from __future__ import annotations

import ssl
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from infra.clients import authority
from infra.clients.authority import PROXY_KEY, ensure_authority, fits, hosts_of, serial_of, signing_request
from infra.clients.bootstrap import derive

KEY = bytes(range(32))
HOSTS = ("172.31.250.1", "forge.example.com", "fd00::7")


def test_it_is_made_once(tmp_path: Path) -> None:
    first = ensure_authority(tmp_path, KEY, name="docker", hosts=HOSTS)
    assert ensure_authority(tmp_path, KEY, name="docker", hosts=HOSTS) == first


def test_nothing_secret_is_on_disk(tmp_path: Path) -> None:
    ensure_authority(tmp_path, KEY, name="docker", hosts=HOSTS)
    texts = [file.read_text() for file in tmp_path.iterdir()]
    assert len(texts) == 2
    assert not any("PRIVATE" in text for text in texts)


@pytest.mark.parametrize(
    ("key", "hosts", "authority_stays"),
    [(bytes(32), HOSTS, False), (KEY, ("172.31.250.2",), True)],
    ids=["another bootstrap key", "another address"],
)
def test_what_does_not_fit_any_more_is_made_anew(
    tmp_path: Path, key: bytes, hosts: tuple[str, ...], authority_stays: bool
) -> None:
    old = ensure_authority(tmp_path, KEY, name="docker", hosts=HOSTS)
    new = ensure_authority(tmp_path, key, name="docker", hosts=hosts)
    assert (new.certificate == old.certificate) is authority_stays
    assert new.first != old.first


def test_a_first_certificate_that_has_ended_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(authority, "FIRST_DAYS", 0)
    old = ensure_authority(tmp_path, KEY, name="docker", hosts=HOSTS)
    assert x509.load_pem_x509_certificate(old.first.encode()).not_valid_after_utc <= datetime.now(UTC)
    monkeypatch.undo()
    new = ensure_authority(tmp_path, KEY, name="docker", hosts=HOSTS)
    good = x509.load_pem_x509_certificate(new.first.encode())
    assert good.not_valid_after_utc > datetime.now(UTC) + timedelta(days=1)


def test_openssl_believes_the_first_certificate_and_no_other_authority(tmp_path: Path) -> None:
    ensure_authority(tmp_path / "own", KEY, name="docker", hosts=HOSTS)
    ensure_authority(tmp_path / "other", bytes(32), name="docker", hosts=HOSTS)

    def verified(ca: Path) -> bool:
        command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_ip", HOSTS[0]]
        told = subprocess.run([*command, "-CAfile", str(ca), str(tmp_path / "own" / "first.pem")], check=False)
        return told.returncode == 0

    assert verified(tmp_path / "own" / "ca.pem")
    assert not verified(tmp_path / "other" / "ca.pem")
    ssl.create_default_context(cafile=str(tmp_path / "own" / "ca.pem"))


def test_a_request_is_for_the_hosts_and_of_the_key() -> None:
    key = derive(KEY, PROXY_KEY.purpose, PROXY_KEY.form).reveal()
    request = x509.load_pem_x509_csr(signing_request(key, HOSTS).encode())
    assert request.is_signature_valid
    assert request.public_key() == load_pem_private_key(key.encode(), None).public_key()


def test_a_certificate_tells_its_hosts_and_its_key(tmp_path: Path) -> None:
    made = ensure_authority(tmp_path, KEY, name="docker", hosts=HOSTS)
    first = x509.load_pem_x509_certificate(made.first.encode())
    assert hosts_of(first) == sorted(HOSTS)
    assert fits(first, derive(KEY, PROXY_KEY.purpose, PROXY_KEY.form).reveal())
    assert not fits(first, derive(bytes(32), PROXY_KEY.purpose, PROXY_KEY.form).reveal())


@pytest.mark.parametrize(("number", "written"), [(0x0A0B, "0a:0b"), (0x38A941, "38:a9:41"), (0x100, "01:00")])
def test_a_serial_number_is_written_as_openbao_does(number: int, written: str) -> None:
    class Numbered:
        serial_number = number

    assert serial_of(Numbered()) == written  # type: ignore[arg-type]
