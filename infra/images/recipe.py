"""The images: which there are, and what each is made of, the layers that change least first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from infra.core.document import nearest
from infra.core.error import BadInputError
from infra.images.debian import DebianPart
from infra.images.entry import link
from infra.images.environment import VENV, CheckoutPart, PythonPart, version
from infra.images.part import Part
from infra.images.tool import Copied, HomePart, ToolPart
from infra.images.trust import JAVA
from infra.toolchain.pin import load_pins

NAMESPACE = "forgeline"

BASE = DebianPart(name="base", base=True, packages=("ca-certificates", "libstdc++6"))
"""What is below every image."""

WORKBENCH = DebianPart(name="workbench", packages=(*BASE.packages, "curl", "git", "python3"))
"""What Forgeline and jobs of every language call."""

JOBS = "opt/jobs"
"""Under it each language's tools have a folder of their own, which a volume brings into the runner."""

PATH = ("/usr/local/bin", "/usr/bin", "/bin")
JOB_PATH = (
    f"/{VENV}/bin",
    f"/{JOBS}/bin",
    *(f"/{JOBS}/{language}/bin" for language in ("go", "java", "node")),
    "/opt/openbao",
    *PATH,
)
_PYTHON = {"PYTHONPYCACHEPREFIX": "/tmp/pycache", "PYTHONUNBUFFERED": "1"}  # noqa: S108 - the container's own
_TRUST = "lib/security/cacerts"


@dataclass(frozen=True, kw_only=True)
class Recipe:
    """One image. Without `version` the day is its version on which the base's mirror was last written."""

    name: str
    title: str
    version: str | None
    parts: tuple[Part, ...]
    server: str = ""
    """The server that runs in it and has its data under `/srv/SERVER`."""
    environment: Mapping[str, str] = field(default_factory=dict)
    stand_in: bool = False
    """Whether it stands in another product's place."""

    @property
    def layers(self) -> tuple[Part, ...]:
        """Every part, the base first, the empty folder for the server's data last."""
        home = (HomePart(server=self.server),) if self.server else ()
        below = () if self.parts == (BASE,) else (BASE,)
        return (*below, *self.parts, *home)

    def reference(self, day: str) -> str:
        """Name and tag; `day` is that of the base."""
        return f"{NAMESPACE}/{self.name}:{self.version or day}"


def _tool(tool: str, source: str, to: str) -> ToolPart:
    return ToolPart(name=tool, copied=(Copied(tool=tool, source=source, to=to),))


def _no_trust(path: PurePosixPath) -> bool:
    """Of a Java everything but the authorities that its maker trusts."""
    return str(path) != _TRUST


def _go(path: PurePosixPath) -> bool:
    """Of Go what building and testing needs: neither its own tests nor its documentation."""
    if path.parts[0] in {"api", "doc", "misc", "test"}:
        return False
    return not (path.name == "testdata" or path.name.endswith("_test.go"))


def _node(path: PurePosixPath) -> bool:
    """Of Node the program and npm: no headers, no manuals, nothing of the Python package that it came in."""
    return path.parts[0] in {"bin", "lib", "LICENSE"}


GO_TOOLS = ("gosec", "gotestsum", "gocover-cobertura", "staticcheck")
"""What reads Go code, of which a program knows nothing that is newer than the Go that built it."""

_JLINK = (
    # A JDK without what only making other JDKs needs, compressed: 75 MB instead of 260.
    f"mkdir -p /{JOBS}/java/bin && jlink --add-modules ALL-MODULE-PATH --compress=2 --strip-java-debug-attributes "
    f"--no-header-files --no-man-pages --output /{JOBS}/java/jdk",
    f"ln -sf /{JAVA} /{JOBS}/java/jdk/{_TRUST}",
    f"cp -rL /usr/share/maven /{JOBS}/java/maven",
    f"for name in java javac jar; do ln -s ../jdk/bin/$name /{JOBS}/java/bin/$name; done; "
    f"ln -s ../maven/bin/mvn /{JOBS}/java/bin/mvn",
)


def recipes() -> tuple[Recipe, ...]:
    """Every image that is built, the base first."""
    pins = load_pins().tools
    forgeline = (WORKBENCH, PythonPart(), CheckoutPart())
    return (
        Recipe(name="base", title="What every image of Forgeline is made on", version=None, parts=(BASE,)),
        Recipe(
            name="openbao",
            title="OpenBao, with the secrets engine for users of Nexus",
            version=pins["openbao"].version,
            server="openbao",
            parts=(
                _tool("openbao", "bin/bao", "opt/openbao/bao"),
                _tool("nexus-secrets", "bin/openbao-plugin-secrets-nexus", "opt/nexus-secrets/nexus-secrets"),
            ),
        ),
        Recipe(
            name="nexus",
            title="Sonatype Nexus Repository",
            version=pins["nexus"].version,
            server="nexus",
            environment={"JAVA_HOME": "/opt/java"},
            parts=(
                ToolPart(
                    name="java",
                    copied=(Copied(tool="java", source=".", to="opt/java", keep=_no_trust),),
                    links=(link(f"opt/java/{_TRUST}", f"/{JAVA}"),),
                ),
                _tool("nexus", ".", "opt/nexus"),
            ),
        ),
        Recipe(
            name="gitlab-standin",
            title="Forgeline's stand-in for GitLab: not GitLab, for trying and testing only",
            version=version(),
            server="gitlab",
            stand_in=True,
            environment={"PATH": ":".join((f"/{VENV}/bin", *PATH)), **_PYTHON},
            parts=forgeline,
        ),
        Recipe(
            name="proxy",
            title="Caddy, the TLS reverse proxy in front of the servers",
            version=pins["caddy"].version,
            server="proxy",
            parts=(_tool("caddy", "bin/caddy", "opt/caddy/caddy"),),
        ),
        Recipe(
            name="runner",
            title="GitLab Runner, with what jobs of every language call",
            version=pins["gitlab-runner"].version,
            server="runner",
            environment={"PATH": ":".join(JOB_PATH), "JAVA_HOME": f"/{JOBS}/java/jdk", **_PYTHON},
            parts=(
                WORKBENCH,
                _tool("gitlab-runner", "bin/gitlab-runner", "opt/gitlab-runner/gitlab-runner"),
                _tool("gitleaks", "bin/gitleaks", f"{JOBS}/bin/gitleaks"),
                *forgeline[1:],
            ),
        ),
        Recipe(
            name="jobs-go",
            title="What jobs of Go services call",
            version=pins["go"].version,
            parts=(
                ToolPart(name="go", copied=(Copied(tool="go", source=".", to=f"{JOBS}/go", keep=_go),)),
                ToolPart(
                    name="go-tools",
                    copied=tuple(
                        Copied(tool=name, source=f"bin/{name}", to=f"{JOBS}/go/bin/{name}") for name in GO_TOOLS
                    ),
                ),
            ),
        ),
        Recipe(
            name="jobs-java",
            title="What jobs of Java services call: a JDK and Maven",
            version="17",
            parts=(
                DebianPart(
                    name="jdk",
                    packages=(*BASE.packages, "maven", "openjdk-17-jdk-headless"),
                    commands=_JLINK,
                    only=f"{JOBS}/java",
                ),
            ),
        ),
        Recipe(
            name="jobs-node",
            title="What jobs of Node services call",
            version=pins["node"].version,
            parts=(ToolPart(name="node", copied=(Copied(tool="node", source=".", to=f"{JOBS}/node", keep=_node),)),),
        ),
    )


def chosen(names: tuple[str, ...]) -> tuple[Recipe, ...]:
    """The images of these names, in the order in which they are built; all where none is named.

    Raises BadInputError for a name that no image has.
    """
    known = {recipe.name: recipe for recipe in recipes()}
    for name in names:
        if name not in known:
            raise BadInputError(f"there is no image {name!r}", fix=nearest(name, known))
    return tuple(recipe for recipe in known.values() if not names or recipe.name in names)
