"""What building the Java services needs of this machine: a JDK and Maven, which only its package manager has."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from infra.core.error import ToolError
from infra.toolchain.pin import SystemPin
from infra.toolchain.system import find_system

JAVAC = SystemPin(command="javac", arguments=["-version"], pattern=r"javac ([0-9.]+)", minimum="17")
MAVEN = SystemPin(command="mvn", arguments=["--version"], pattern=r"Apache Maven ([0-9.]+)", minimum="3.6.3")

_PACKAGES = {"javac": "openjdk-17-jdk-headless", "mvn": "maven"}


@dataclass(frozen=True, kw_only=True)
class JavaDevelopment:
    """A JDK and a Maven that can build the Java services."""

    java_home: Path
    javac_version: str
    maven: Path
    maven_version: str


def java_development(environ: Mapping[str, str]) -> JavaDevelopment:
    """The JDK (17 or newer) and the Maven of this machine.

    Raises ToolError that names what is missing and the command that installs it. Starts a Java machine: about 0.5 s.
    """
    javac, maven = find_system(JAVAC, environ), find_system(MAVEN, environ)
    if javac is None or maven is None:
        missing = [_PACKAGES[pin.command] for pin, found in ((JAVAC, javac), (MAVEN, maven)) if found is None]
        raise ToolError(
            f"the Java services can't be built here: {' and '.join(missing)} is missing or too old",
            fix=install_command(missing, environ),
        )
    return JavaDevelopment(
        java_home=javac.path.resolve().parent.parent,
        javac_version=javac.version,
        maven=maven.path,
        maven_version=maven.version,
    )


def install_command(packages: list[str], environ: Mapping[str, str]) -> str:
    """The command that installs Debian's packages, or words where there is no apt-get."""
    if shutil.which("apt-get", path=environ.get("PATH", "")):
        return f"sudo apt-get install -y --no-install-recommends {' '.join(packages)}"
    return "install a JDK (17 or newer) and Maven with this system's package manager"
