from __future__ import annotations

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.images.trust import PASSWORD, java_truststore


def authority(name: str) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(datetime(2026, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=9000))
        .sign(key, hashes.SHA256())
    )
    return made.public_bytes(serialization.Encoding.PEM).decode()


def test_the_same_authorities_make_the_same_bytes() -> None:
    one, other = authority("one"), authority("other")
    assert java_truststore(one + other) == java_truststore(f"# a comment\n{other}\n{one}{one}")
    assert java_truststore(one) != java_truststore(one + other)


@pytest.mark.servers
def test_java_reads_it_and_checks_its_sum(tmp_path: Path) -> None:
    keytool = shutil.which("keytool")
    if keytool is None:
        pytest.skip("there is no Java on this machine")
    store = tmp_path / "cacerts"
    store.write_bytes(java_truststore(authority("one") + authority("other")))
    command = [keytool, "-list", "-v", "-keystore", str(store), "-storepass", PASSWORD]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "Your keystore contains 2 entries" in told
    assert "Owner: CN=other" in told
    store.write_bytes(store.read_bytes()[:-1] + b"x")
    assert subprocess.run(command, capture_output=True, text=True, check=False).returncode != 0
