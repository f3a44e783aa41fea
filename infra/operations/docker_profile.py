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
from infra.images.official import OfficialImages
from infra.images.recipe import JOBS, Recipe, recipes
from infra.operations.check import Check, Verdict, fine
from infra.operations.images import Images, State
from infra.programs.container import Brought, Image
from infra.programs.docker import Trust, containers, docker_servers
from infra.programs.foundation import RUNNER, Foundation
from infra.programs.plan import Change, Op, Plan
from infra.servers.container import PROGRAMS, runner_name
from infra.servers.official import OFFICIAL, RUNNER_PROGRAMS
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
    return _servers(settings, _trust(settings))


def references(settings: Settings) -> tuple[str, ...]:
    """The images, of those that the profile's containers are made of, that are built here."""
    return tuple(recipe.reference("") for recipe in _recipes(settings))


def build(settings: Settings, environ: Mapping[str, str], phases: Phases) -> Identifiers:
    """Build what is missing of the images, or is no longer what this checkout makes. Raises as `Images.build` does."""
    check_pins(settings)
    views = Images(settings, environ).build(_names(settings), phases)
    return {view.reference: str(view.identifier) for view in views}


def preview(settings: Settings, environ: Mapping[str, str]) -> tuple[Plan, Identifiers]:
    """What `build` would do, each image with the layers that would be made. Raises ServerError if no engine answers."""
    check_pins(settings)
    views = Images(settings, environ).show(_names(settings))
    changes = tuple(
        Change(stack=STACK, op=Op.CREATE, kind="image", name=view.reference, fields=view.unbuilt)
        for view in views
        if view.state is not State.BUILT
    )
    return Plan(stack=STACK, changes=changes), {view.reference: view.identifier or UNBUILT for view in views}


def present(settings: Settings, environ: Mapping[str, str]) -> Identifiers:
    """The images as the engine has them. Raises BadInputError naming those that it doesn't have."""
    check_pins(settings)
    wanted = references(settings)
    with closing(ContainerEngine.of(environ)) as engine:
        found = engine.identifiers(wanted)
    missing = [name for name in wanted if name not in found]
    if missing:
        raise BadInputError(
            f"not on the container engine: {', '.join(missing)}",
            where=engine.host,
            fix="build them with `forgeline images build` (`forgeline up` does it too), or load them into the engine",
        )
    return found


def check_pins(settings: Settings) -> None:
    """Raises BadInputError where the profile runs official images, and no digest says which one of them is."""
    pins = _pins(settings)
    if pins is not None:
        pins.check(settings.image_pins, pins.images)


def examine_pins(settings: Settings) -> list[Check]:
    """Whether it is known which official images are run; none where all are built here."""
    pins = _pins(settings)
    if pins is None:
        return []
    try:
        pins.check(settings.image_pins, pins.images)
    except BadInputError as error:
        return [Check(name="official images", verdict=Verdict.WARNING, found=error.what, fix=error.fix)]
    return [fine("official images", f"all {len(pins.images)} are pinned in {settings.image_pins.name}")]


def foundation(settings: Settings, identifiers: Identifiers) -> Foundation:
    """The servers, with what their containers need beside their descriptions."""
    trust = _trust(settings)
    made = _recipes(settings)
    built = {recipe.name: _image(recipe, identifiers) for recipe in made}
    images = {recipe.server: built[recipe.name] for recipe in made if recipe.server}
    tools = {
        f"/{JOBS}/{name.removeprefix(TOOLS)}": Brought(image=image, path=f"/{JOBS}/{name.removeprefix(TOOLS)}")
        for name, image in built.items()
        if name.startswith(TOOLS)
    }
    # Jobs sign in to OpenBao with its own program.
    client = str(PROGRAMS["openbao"].parent)
    brought = {RUNNER: {**tools, client: Brought(image=built["openbao"], path=client)}}
    pins = _pins(settings)
    if pins is not None:
        source = settings.profile.images
        vendors = {
            server: Image(name=source.reference(one.name, one.version), identifier=str(one.digest), pulled=True)
            for server, one in pins.images.items()
        }
        images |= {server: vendors[server] for server in OFFICIAL}
        # The plug-in is Forgeline's own; the runner's program is the vendor's, in the container that has jobs' tools.
        plugin, program = str(PROGRAMS["nexus-secrets"].parent), str(PROGRAMS["gitlab-runner"].parent)
        brought["openbao"] = {plugin: Brought(image=built["openbao"], path=plugin)}
        brought[RUNNER][program] = Brought(image=vendors[RUNNER], path=RUNNER_PROGRAMS)
    return Foundation(
        servers=_servers(settings, trust),
        runner_description=runner_name(settings),
        containers=containers(settings, images, brought, shown=trust.shown),
    )


def _servers(settings: Settings, trust: Trust) -> tuple[Server, ...]:
    pins = _pins(settings)
    versions = {server: image.version for server, image in pins.images.items()} if pins else None
    return docker_servers(settings, trust, versions)


def _pins(settings: Settings) -> OfficialImages | None:
    """The vendors' images; None where all are built here."""
    return OfficialImages.of(settings.image_pins) if settings.profile.images.official else None


def _recipes(settings: Settings) -> tuple[Recipe, ...]:
    """What is built here. Of servers that have an official image only OpenBao's, which brings the plug-in for Nexus."""
    official = settings.profile.images.official
    return tuple(
        recipe
        for recipe in recipes()
        if recipe.name.startswith(TOOLS)
        or (recipe.server and (not official or recipe.server not in OFFICIAL or recipe.server == "openbao"))
    )


def _names(settings: Settings) -> tuple[str, ...]:
    return tuple(recipe.name for recipe in _recipes(settings))


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
