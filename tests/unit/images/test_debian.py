from __future__ import annotations

import pytest

from infra.images.debian import tidy
from infra.images.entry import Entry, folder, text

PASSWD = text("etc/passwd", "root:x:0:0:root:/root:/bin/bash\n")
GROUP = text("etc/group", "root:x:0:\n")


def tidied(*entries: Entry, time: int = 500) -> dict[str, Entry]:
    return tidy({entry.path: entry for entry in (PASSWD, GROUP, *entries)}, time)


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("usr/bin/bash", True),
        ("usr/share/doc/bash/copyright", True),
        ("usr/share/doc/bash/examples/copyright", True),
        ("usr/share/doc/bash/changelog.gz", False),
        ("usr/share/man/man1/bash.1.gz", False),
        ("usr/share/manual/x", True),
        ("usr/share/locale/de/LC_MESSAGES/x.mo", False),
        ("var/lib/apt/lists/x_Packages", False),
        ("var/lib/dpkg/status", True),
        ("var/lib/dpkg/status-old", False),
        ("var/log/dpkg.log", False),
        ("etc/apt/sources.list", False),
        ("etc/resolv.conf", False),
        ("dev/null", False),
        ("usr/lib/python3.11/__pycache__/os.pyc", False),
        ("usr/lib/python3.11/os.py", True),
    ],
)
def test_what_nobody_reads_in_a_container_is_left_out(path: str, kept: bool) -> None:
    assert (path in tidied(text(path, ""))) == kept


def test_the_folders_themselves_stay() -> None:
    assert {"tmp", "run", "var/log"} <= set(tidied(folder("tmp", mode=0o1777), folder("run"), folder("var/log")))


def test_the_user_is_there() -> None:
    found = tidied()
    assert found["etc/passwd"].read().decode().splitlines()[-1].startswith("forgeline:x:10001:10001:")
    assert found["etc/group"].read().decode().splitlines() == ["root:x:0:", "forgeline:x:10001:"]


def test_no_program_makes_a_user_another_one() -> None:
    assert tidied(text("usr/bin/su", "", mode=0o4755))["usr/bin/su"].mode == 0o755
    assert tidied(folder("tmp", mode=0o1777))["tmp"].mode == 0o1777


def test_nothing_is_younger_than_the_mirror() -> None:
    young, old = Entry(path="a", time=501), Entry(path="b", time=3)
    found = tidied(young, old)
    assert (found["a"].time, found["b"].time, found["etc/passwd"].time) == (500, 3, 500)


def test_java_is_given_the_authorities() -> None:
    pem = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"
    assert tidied(text("etc/ssl/certs/ca-certificates.crt", pem))["etc/ssl/certs/java/cacerts"].size > 20
    assert "etc/ssl/certs/java/cacerts" not in tidied()
