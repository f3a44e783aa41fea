"""OpenBao with Forgeline's secrets engine for Nexus, and a Nexus of a few lines."""

from __future__ import annotations

import base64
import json
import os
import secrets
import subprocess
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler

import hvac
import hvac.exceptions
import pytest

from infra.core.settings import load_settings
from infra.toolchain.download import file_sha256
from infra.toolchain.pin import GO_PROGRAMS, load_pins
from infra.toolchain.source import go_environment
from infra.toolchain.toolchain import Toolchain
from tests.loopback import serving
from tests.trial import free_ports

pytestmark = [pytest.mark.servers, pytest.mark.xdist_group(__name__)]

ADMIN = "admin-password-of-a-test"
OPERATOR = "operator-password-of-a-test"

POLICY = 'path "*" { capabilities = ["create", "read", "update", "delete", "list", "sudo"] }'

CONFIGURATION = """
storage "raft" {{
  path = "{folder}/data"
  node_id = "one"
  performance_multiplier = 1
}}
listener "tcp" {{
  address = "127.0.0.1:{port}"
  cluster_address = "127.0.0.1:{cluster_port}"
  tls_disable = true
}}
api_addr = "http://127.0.0.1:{port}"
cluster_addr = "http://127.0.0.1:{cluster_port}"
seal "static" {{
  current_key_id = "one"
  current_key = "file://{folder}/seal.key"
}}
plugin_directory = "{plugins}"
plugin_auto_register = true
plugin "secret" "nexus" {{
  command = "{plugin}"
  version = "v{version}"
  sha256sum = "{sha256}"
}}
initialize "operator" {{
  request "auth" {{
    operation = "update"
    path = "sys/auth/userpass"
    data = {{ type = "userpass" }}
  }}
  request "policy" {{
    operation = "update"
    path = "sys/policies/acl/operator"
    data = {{ policy = {policy} }}
  }}
  request "user" {{
    operation = "update"
    path = "auth/userpass/users/operator"
    data = {{ password = "{operator}", token_policies = ["operator"] }}
  }}
}}
"""


@pytest.fixture(scope="module")
def tools():
    return Toolchain.of(load_settings(os.environ), os.environ).ensure(["openbao", "nexus-secrets", "go"])


@pytest.fixture(scope="module")
def nexus() -> Iterator[tuple[dict[str, str], str]]:
    users: dict[str, str] = {}

    class Handler(BaseHTTPRequestHandler):
        def answer(self, status: int) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def allowed(self) -> bool:
            expected = "Basic " + base64.b64encode(f"admin:{ADMIN}".encode()).decode()
            return self.headers.get("Authorization") == expected

        def do_POST(self) -> None:
            user = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            if self.allowed():
                users[user["userId"]] = user["password"]
            self.answer(200 if self.allowed() else 401)

        def do_DELETE(self) -> None:
            gone = self.allowed() and users.pop(self.path.rpartition("/")[2], None)
            self.answer(204 if gone else 404)

        def log_message(self, *_: object) -> None:
            pass

    with serving(Handler) as address:
        yield users, address


@pytest.fixture(scope="module")
def bao(tools, tmp_path_factory):
    """A client that may do anything, and the server's log."""
    folder = tmp_path_factory.mktemp("openbao")
    (folder / "data").mkdir()
    (folder / "seal.key").write_bytes(secrets.token_bytes(32))
    port, cluster_port = free_ports(2)
    plugin = tools["nexus-secrets"].path
    (folder / "openbao.hcl").write_text(
        CONFIGURATION.format(
            folder=folder,
            port=port,
            cluster_port=cluster_port,
            plugins=plugin.parent,
            plugin=plugin.name,
            version=load_pins().tools["nexus-secrets"].version,
            sha256=file_sha256(plugin),
            operator=OPERATOR,
            policy=json.dumps(POLICY),
        )
    )
    log = folder / "log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [tools["openbao"].path, "server", f"-config={folder}/openbao.hcl"], stdout=output, stderr=output
        )
    client = hvac.Client(url=f"http://127.0.0.1:{port}")
    try:
        end = time.monotonic() + 40
        while True:
            try:
                client.auth.userpass.login("operator", OPERATOR)
                break
            except (OSError, hvac.exceptions.VaultError):
                assert server.poll() is None, log.read_text()
                assert time.monotonic() < end, log.read_text()
                time.sleep(0.2)
        client.sys.enable_secrets_engine("nexus", path="nexus")
        yield client, log
    finally:
        client.adapter.close()
        server.terminate()
        server.wait(20)


@pytest.fixture
def configured(bao, nexus):
    client, _ = bao
    client.write_data("nexus/config", data={"url": nexus[1], "username": "admin", "password": ADMIN})
    client.write_data("nexus/roles/publish-x", data={"roles": ["publish-x"]})
    return client


def test_a_user_is_made_and_deleted_with_its_lease(configured, nexus, bao):
    users, _ = nexus
    lease = configured.read("nexus/creds/publish-x")
    name, password = lease["data"]["username"], lease["data"]["password"]
    assert name.startswith("v-publish-x-")
    assert users[name] == password
    assert lease["lease_duration"] == 600
    assert configured.sys.renew_lease(lease["lease_id"])["lease_duration"] == 600
    configured.sys.revoke_lease(lease["lease_id"])
    until(lambda: name not in users)
    assert password not in bao[1].read_text()


def test_a_user_ends_when_its_time_is_up(configured, nexus):
    users, _ = nexus
    configured.write_data("nexus/roles/publish-x", data={"roles": ["publish-x"], "ttl": "1s", "max_ttl": "2s"})
    name = configured.read("nexus/creds/publish-x")["data"]["username"]
    assert name in users
    until(lambda: name not in users)


def test_what_was_written_is_read_back_without_the_password(configured, nexus):
    assert configured.read("nexus/config")["data"] == {"url": nexus[1], "username": "admin"}
    assert configured.read("nexus/roles/publish-x")["data"]["roles"] == ["publish-x"]
    assert configured.list("nexus/roles")["data"]["keys"] == ["publish-x"]


def test_a_wrong_password_is_an_error_that_does_not_tell_it(configured, nexus, bao):
    configured.write_data("nexus/config", data={"password": "wrong-password-of-a-test"})
    with pytest.raises(hvac.exceptions.VaultError, match="see the username and password in config") as caught:
        configured.read("nexus/creds/publish-x")
    assert "wrong-password-of-a-test" not in str(caught.value) + bao[1].read_text()


def test_its_own_tests_pass(tools):
    settings = load_settings(os.environ)
    go = str(tools["go"].path)
    done = subprocess.run(
        [go, "test", "-mod=readonly", "./..."],
        cwd=GO_PROGRAMS / "nexus-secrets",
        env=go_environment(os.environ, settings.cache, go),
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def until(condition):
    end = time.monotonic() + 15
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.1)
