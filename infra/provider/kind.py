"""What a kind of resource is: one declaration, from which the schema, the typed class and the provider's work follow.

A kind's inputs are a frozen pydantic model. A field whose value is None is left alone on the server. The natural key is
the resource's id, its parts joined by a colon, so a resource can be imported by what people call it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, TypeVar, cast

from pydantic import AfterValidator, BaseModel, ConfigDict

from infra.core.error import BadInputError
from infra.core.secret import DerivedSecret, parse_secret
from infra.provider.connection import Connections

PACKAGE = "forgeline"


class Inputs(BaseModel):
    """Base of every kind's inputs."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _reference(text: str) -> str:
    secret = parse_secret(text)
    if isinstance(secret, DerivedSecret):
        raise BadInputError(f"{text!r} never leaves this machine", fix="name a secret that a server may be given")
    return str(secret)


Ref = Annotated[str, AfterValidator(_reference)]
"""A `SecretRef` or `GivenSecret` as text; its value never travels."""

Names = Annotated[list[str], AfterValidator(lambda names: sorted(set(names)))]
"""A set of names: order and repetition mean nothing."""

DIFFERS = "(differs)"
"""What `read` answers for a secret that the server has but that is not the one the reference names."""

In = TypeVar("In", bound=Inputs)
Fields = Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class Found:
    """What a server has: a value for every input field, and what it decided by itself."""

    fields: Fields
    computed: Fields = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Kind(Generic[In]):
    """A type of resource.

    `read` gives what the server has under the wanted natural key, or None; it may use only the key of what it is given
    when the resource is being imported. `create` makes it where it is not; `update` is given the fields as they were.
    Both answer with the computed fields. `delete` is fine with what is gone already.
    """

    type_name: str
    """The Pulumi type: forgeline:SYSTEM:NOUN."""
    inputs: type[In]
    key: tuple[str, ...]
    read: Callable[[Connections, In], Found | None]
    create: Callable[[Connections, In], Fields]
    update: Callable[[Connections, Fields, In], Fields]
    delete: Callable[[Connections, In], None]
    computed: Mapping[str, type] = field(default_factory=dict)
    replace: frozenset[str] = frozenset()
    """Fields, beside the key, that can't be changed in place."""
    write_only: frozenset[str] = frozenset()
    """Fields that say how to make the thing and are not kept by the server: never a difference, never drift."""

    @property
    def system(self) -> str:
        """The part of the type that names the system: gitlab, nexus, vault, lab."""
        return self.type_name.split(":")[1]

    @property
    def noun(self) -> str:
        """The kind's name without package and system."""
        return self.type_name.split(":")[2]

    @property
    def field_names(self) -> tuple[str, ...]:
        """The input fields in the order of their declaration."""
        return tuple(self.inputs.model_fields)

    def identity(self, fields: Fields) -> str:
        """The resource's id: its natural key."""
        return ":".join(str(fields[name]) for name in self.key)

    def from_identity(self, identity: str) -> In:
        """Inputs of which only the key is known, the rest at its default. Raises BadInputError for a wrong id."""
        parts = identity.split(":", len(self.key) - 1)
        if len(parts) != len(self.key):
            shape = ":".join(name.upper() for name in self.key)
            raise BadInputError(f"{identity!r} is not an id of {self.type_name}", fix=f"write {shape}")
        key = dict(zip(self.key, parts, strict=True))
        return cast(In, self.inputs.model_construct(_fields_set=set(key), **key))

    def forces_replacement(self, name: str) -> bool:
        """Whether a change of this field means another resource."""
        return name in self.key or name in self.replace

    def changes(self, old: Fields, new: Fields) -> dict[str, tuple[Any, Any]]:
        """Old and new value of each field that differs; pure. A mapping's entries are named one by one."""
        different: dict[str, tuple[Any, Any]] = {}
        for name in self.field_names:
            if name in self.write_only:
                continue
            before, after = old.get(name), new.get(name)
            if isinstance(before, Mapping) and isinstance(after, Mapping):
                for entry in sorted({*before, *after}):
                    if before.get(entry) != after.get(entry):
                        different[f'{name}["{entry}"]'] = (before.get(entry), after.get(entry))
            elif before != after:
                different[name] = (before, after)
        return different

    def observed(self, wanted: In, found: Found, *, everything: bool = False) -> dict[str, Any]:
        """The server's fields as far as they are managed: what `wanted` leaves open (None) stays open."""
        given = wanted.model_dump(mode="json")
        fields = {}
        for name in self.field_names:
            if name in self.write_only:
                fields[name] = given.get(name)
            elif everything or given.get(name) is not None:
                fields[name] = found.fields.get(name)
            else:
                fields[name] = None
        return fields


def bare(path: str) -> str:
    """A change's field without the entry: `files["a"]` is a change of `files`."""
    return path.partition("[")[0]


def nothing_to_delete(_connections: Connections, _wanted: Inputs) -> None:
    """For settings that a server always has: removing the resource leaves them as they are."""
