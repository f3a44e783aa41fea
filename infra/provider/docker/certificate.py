"""A certificate that OpenBao's PKI engine signed, as a file in a container that shows it.

The key is derived and is in the container already. Signing anew, where the hosts changed or the end is near, needs
nothing but another run.
"""

from __future__ import annotations

import ssl
import time
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from docker.models.containers import Container as Running
from pydantic import Field

from infra.clients.authority import fits, hosts_of, is_address, serial_of, signing_request
from infra.clients.container import ContainerFiles
from infra.core.error import ServerError
from infra.core.server import ConfigFile
from infra.provider.connection import Connections
from infra.provider.docker.container_file import put_files
from infra.provider.docker.container_input import Container
from infra.provider.docker.container_run import find
from infra.provider.kind import DIFFERS, Fields, Found, Inputs, Kind, Names, nothing_to_delete

EARLY = timedelta(days=30)
"""How long before its end a certificate is not good any more."""

PATIENCE = 20.0
"""Seconds in which the container must show the new certificate."""


class Certificate(Inputs):
    """The certificate at `path` in `container`, which is started again when it gets another one."""

    container: str
    path: str
    mount: str
    """Of OpenBao's PKI engine."""
    role: str
    key: str
    """A reference to the private key: `derived:PURPOSE#pem`."""
    hosts: Names = Field(min_length=1)
    """Names and addresses that it is for."""
    days: int = Field(default=397, ge=1)
    shown_at: str
    """`ADDRESS:PORT` where the container shows it."""
    user: str
    """`UID:GID` of the file."""
    good: bool = True
    """Whether it is valid for another 30 days. Not to be chosen, only to be seen."""


def _read(connections: Connections, wanted: Certificate) -> Found | None:
    container = find(connections, wanted.container)
    text = None if container is None else ContainerFiles(container).read(wanted.path)
    if text is None:
        return None
    try:
        certificate = x509.load_pem_x509_certificate(text.encode())
    except ValueError:
        return None
    asked = {name: getattr(wanted, name, None) for name in ("role", "key", "shown_at", "user", "days")}
    mount, key = getattr(wanted, "mount", ""), asked["key"]
    known = connections.openbao().read(f"{mount}/cert/{serial_of(certificate)}")
    same = key is not None and fits(certificate, connections.secret(key).reveal())
    return Found(
        fields={
            **asked,
            "container": wanted.container,
            "path": wanted.path,
            "mount": mount if known else DIFFERS,
            "key": key if same else DIFFERS,
            "hosts": hosts_of(certificate),
            "good": certificate.not_valid_after_utc - EARLY > datetime.now(UTC),
        },
        computed={"serial_number": serial_of(certificate)},
    )


def _write(connections: Connections, wanted: Certificate) -> Fields:
    container = find(connections, wanted.container)
    if container is None:
        raise ServerError("there is no such container", where=wanted.container, fix="`forgeline up` makes it")
    request = signing_request(connections.secret(wanted.key).reveal(), wanted.hosts)
    signed = connections.openbao().write(
        f"{wanted.mount}/sign/{wanted.role}",
        {"csr": request, "ttl": f"{wanted.days * 24}h", "exclude_cn_from_sans": True, **_sans(wanted.hosts)},
    )
    text = str(signed["certificate"]).strip() + "\n"
    file = ConfigFile(path=wanted.path, content=text, mode=0o644).model_dump(mode="json")
    put_files(connections, container, Container(name=wanted.container, image="", user=wanted.user, files=[file]))
    certificate = x509.load_pem_x509_certificate(text.encode())
    _show(container, wanted, certificate)
    return {"serial_number": serial_of(certificate)}


def _sans(hosts: list[str]) -> dict[str, Any]:
    """What OpenBao's own fields say; it takes them from the request too, where the role lets it."""
    addresses = [host for host in hosts if is_address(host)]
    names = [host for host in hosts if host not in addresses]
    return {"common_name": hosts[0], "ip_sans": ",".join(addresses), "alt_names": ",".join(names)}


def _show(container: Running, wanted: Certificate, certificate: x509.Certificate) -> None:
    """Starts the container again and returns when it shows the certificate."""
    container.restart(timeout=5)
    address, _, port = wanted.shown_at.rpartition(":")
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline:
        try:
            shown = ssl.get_server_certificate((address, int(port)), timeout=5)
        except (TimeoutError, OSError, ssl.SSLError):
            shown = ""
        if shown and x509.load_pem_x509_certificate(shown.encode()) == certificate:
            return
        time.sleep(0.1)
    raise ServerError(
        f"does not show its new certificate at {wanted.shown_at}",
        where=f"container {wanted.container}",
        fix=f"docker logs {wanted.container}",
    )


CERTIFICATE = Kind(
    type_name="forgeline:docker:Certificate",
    inputs=Certificate,
    key=("container", "path"),
    computed={"serial_number": str},
    write_only=frozenset({"role", "days", "shown_at", "user"}),
    read=_read,
    create=_write,
    update=lambda connections, _old, wanted: _write(connections, wanted),
    delete=nothing_to_delete,
)
