"""What the profile `docker` is made of: its authority, its servers, and the images that they run."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import closing

from infra.clients.authority import PROXY_KEY, Authority, ensure_authority
from infra.clients.bootstrap import ensure_key, read_key
from infra.clients.certificate import GivenCertificate, read_certificate
from infra.clients.container_engine import ContainerEngine
from infra.clients.trust import bundle, system
from infra.core.document import read_text
from infra.core.error import BadInputError
from infra.core.progress import Phases
from infra.core.secret import GivenSecret
from infra.core.server import Server
from infra.core.settings import Settings
from infra.images.recipe import JOBS, Recipe, recipes
from infra.operations.images import Images, State
from infra.programs.container import Image
from infra.programs.docker import Trust, containers, docker_servers
from infra.programs.foundation import Foundation
from infra.programs.plan import Change, Op, Plan
from infra.servers.container import PROGRAMS, runner_name
from infra.servers.proxy import Shown

TOOLS = "jobs-"
"""How the names of images begin that bring tools for jobs."""

STACK = "images"
"""What a preview calls what is done before the first stack."""

UNBUILT = "unbuilt"
"""Instead of an id, in a preview."""

Identifiers = Mapping[str, str]
"""The engine's id of each image by its name."""


def servers(settings: Settings) -> tuple[Server, ...]:
    """The servers of the profile."""
    return docker_servers(settings, _trust(settings))


def references() -> tuple[str, ...]:
    """The images that the profile's containers are made of."""
    return tuple(recipe.reference("") for recipe in _recipes())


def build(settings: Settings, environ: Mapping[str, str], phases: Phases) -> Identifiers:
    """Build what is missing of the images, or is no longer what this checkout makes. Raises as `Images.build` does."""
    views = Images(settings, environ).build(_names(), phases)
    return {view.reference: str(view.identifier) for view in views}


def preview(settings: Settings, environ: Mapping[str, str]) -> tuple[Plan, Identifiers]:
    """What `build` would do, each image with the layers that would be made. Raises ServerError if no engine answers."""
    views = Images(settings, environ).show(_names())
    changes = tuple(
        Change(stack=STACK, op=Op.CREATE, kind="image", name=view.reference, fields=view.unbuilt)
        for view in views
        if view.state is not State.BUILT
    )
    return Plan(stack=STACK, changes=changes), {view.reference: view.identifier or UNBUILT for view in views}


def present(environ: Mapping[str, str]) -> Identifiers:
    """The images as the engine has them. Raises BadInputError naming those that it doesn't have."""
    with closing(ContainerEngine.of(environ)) as engine:
        found = engine.identifiers(references())
    missing = [name for name in references() if name not in found]
    if missing:
        raise BadInputError(
            f"not on the container engine: {', '.join(missing)}",
            where=engine.host,
            fix="build them with `forgeline images build` (`forgeline up` does it too), or load them into the engine",
        )
    return found


def foundation(settings: Settings, identifiers: Identifiers) -> Foundation:
    """The servers, with what their containers need beside their descriptions."""
    trust = _trust(settings)
    images = {recipe.name: _image(recipe, identifiers) for recipe in _recipes()}
    brought = {f"/{JOBS}/{name.removeprefix(TOOLS)}": image for name, image in images.items() if name.startswith(TOOLS)}
    # Jobs sign in to OpenBao with its own program.
    brought[str(PROGRAMS["openbao"].parent)] = images["openbao"]
    return Foundation(
        servers=docker_servers(settings, trust),
        runner_description=runner_name(settings),
        containers=containers(
            settings,
            {recipe.server: images[recipe.name] for recipe in _recipes() if recipe.server},
            brought,
            shown=trust.shown,
        ),
    )


def _recipes() -> tuple[Recipe, ...]:
    return tuple(recipe for recipe in recipes() if recipe.server or recipe.name.startswith(TOOLS))


def _names() -> tuple[str, ...]:
    return tuple(recipe.name for recipe in _recipes())


def _image(recipe: Recipe, identifiers: Identifiers) -> Image:
    name = recipe.reference("")
    return Image(name=name, identifier=identifiers[name])


def given_certificate(settings: Settings) -> GivenCertificate | None:
    """The certificate that the profile gives the proxy, checked; None without one. Raises BadInputError."""
    given = settings.profile.certificate
    if given is None:
        return None
    return read_certificate(
        settings.beside(given.chain),
        GivenSecret.parse(given.key),
        host=settings.hosts[0],
        trusted=bundle(settings) or system(),
    )


def _trust(settings: Settings) -> Trust:
    authority = _authority(settings)
    given, own = given_certificate(settings), settings.profile.certificate
    if given is None or own is None:
        shown = Shown(certificate=authority.first, key=str(PROXY_KEY))
        return Trust(authority=authority.certificate, shown=shown, trusted=authority.certificate)
    return Trust(
        authority=authority.certificate,
        shown=Shown(certificate=given.chain, key=own.key, lasting=True),
        trusted=read_text(settings.ca) if settings.ca else "",
    )


def _authority(settings: Settings) -> Authority:
    """The profile's own, made with the bootstrap key where one of them is missing."""
    ensure_key(settings.bootstrap_key)
    key = read_key(settings.bootstrap_key)
    return ensure_authority(settings.state / "tls", key, name=settings.profile.name, hosts=settings.hosts)
