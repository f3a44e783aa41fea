"""What the proxy shows: a certificate of OpenBao's PKI engine, or the profile's own, for its host, for long enough."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from cryptography import x509

from infra.clients.authority import hosts_of, serial_of
from infra.clients.openbao import OpenBao
from infra.clients.trust import bundle
from infra.core.settings import Settings
from infra.servers.openbao import PKI_MOUNT

SERVERS = ("gitlab", "nexus", "openbao")


def _shown(settings: Settings, server: str) -> x509.Certificate:
    address = (settings.profile.address, getattr(settings.profile.ports, server))
    return x509.load_pem_x509_certificate(ssl.get_server_certificate(address).encode())


@pytest.mark.parametrize("server", SERVERS)
def check_certificate_is_the_right_one(server: str, settings: Settings, openbao: OpenBao) -> None:
    shown, given = _shown(settings, server), settings.profile.certificate
    if given is not None:
        wanted = x509.load_pem_x509_certificates(settings.beside(given.chain).read_bytes())[0]
        assert shown == wanted, f"it is {serial_of(shown)}, and the profile gives {serial_of(wanted)}"
        return
    serial = serial_of(shown)
    assert openbao.read(f"{PKI_MOUNT}/cert/{serial}"), f"OpenBao has not signed the certificate {serial}"
    assert hosts_of(shown) == sorted(settings.hosts), f"it is for {hosts_of(shown)}"
    left = shown.not_valid_after_utc - datetime.now(UTC)
    assert left > timedelta(days=30), f"it ends in {left.days} days"


@pytest.mark.parametrize("server", SERVERS)
def check_only_those_who_trust_the_authority_believe_it(server: str, settings: Settings) -> None:
    url = f"https://{settings.hosts[0]}:{getattr(settings.profile.ports, server)}/"
    trusted = ssl.create_default_context(cafile=str(bundle(settings)))
    assert httpx.get(url, verify=trusted, trust_env=False, timeout=10).status_code < 500
    if settings.ca is not None:
        with pytest.raises(httpx.ConnectError, match="CERTIFICATE_VERIFY_FAILED"):
            httpx.get(url, trust_env=False, timeout=10)


@pytest.mark.parametrize("server", SERVERS)
def check_nothing_is_said_without_tls(server: str, settings: Settings) -> None:
    url = f"http://{settings.profile.address}:{getattr(settings.profile.ports, server)}/"
    answer = httpx.get(url, trust_env=False, timeout=10)
    assert answer.status_code == 400, f"{server} answers {answer.status_code} without TLS"
