"""The secrets and configs of a swarm: named bytes that services get as files.

An engine changes their labels only. Other bytes are another entry, and what services use can't be removed: they are
given a spare one while their own is made anew, so at no time is a service without. A run that is killed in between
leaves the spare one; the next one sees it and finishes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal, cast

from docker.errors import APIError
from pydantic import Field

from infra.clients.container_engine import ContainerEngine, remedy
from infra.core.error import ServerError

Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,57}$")]
"""An engine takes 64 characters; some are for the spare one."""

SPARE = ".next"
OWN = "dev.forgeline."
"""The beginning of labels that are Forgeline's own."""

Labels = Mapping[str, str]
Same = Callable[[Any], bool]


class Entries:
    """The secrets, or the configs, of the swarm that the engine manages."""

    def __init__(self, engine: ContainerEngine, noun: Literal["secret", "config"]) -> None:
        self._api: Any = engine.client.api
        self._entries: Any = engine.client.secrets if noun == "secret" else engine.client.configs
        self._services = engine.client.services
        self._noun = noun

    def find(self, name: str) -> Any | None:
        """The entry of this name, or None."""
        # The engine finds by the beginning of the name too.
        return next((one for one in self._entries.list(filters={"name": name}) if one.name == name), None)

    def half_replaced(self, name: str) -> bool:
        """Whether a run that was making this entry anew did not come to its end."""
        return self.find(name + SPARE) is not None

    def bring_about(self, name: str, data: bytes, labels: Labels, *, same: Same) -> str:
        """Makes the entry be so, for all who use it; answers its id. `same` says of one whether its bytes are these."""
        there, spare = self.find(name), self.find(name + SPARE)
        if there is not None and not same(there):
            if self._users(there):
                self._point(there, spare or self._create(name + SPARE, data, labels))
            self._remove(there)
            there = None
        if there is None:
            there = self._create(name, data, labels)
        elif (there.attrs["Spec"].get("Labels") or {}) != labels:
            self._relabel(there, labels)
        spare = self.find(name + SPARE)
        if spare is not None:
            self._hand_over(spare, there)
        return str(there.id)

    def delete(self, name: str) -> None:
        """Removes the entry. Raises ServerError where services use it."""
        for entry in (self.find(name + SPARE), self.find(name)):
            if entry is not None:
                users = [service["Spec"]["Name"] for service in self._users(entry)]
                if users:
                    raise ServerError(
                        f"the {self._noun} is in use by the services {', '.join(users)}",
                        where=entry.name,
                        fix=f"remove them, or take the {self._noun} out of them, first",
                    )
                self._remove(entry)

    def _create(self, name: str, data: bytes, labels: Labels) -> Any:
        create = self._api.create_secret if self._noun == "secret" else self._api.create_config
        create(name, data, dict(labels))
        return self.find(name)

    def _remove(self, entry: Any) -> None:
        self._entries.get(entry.id).remove()

    def _relabel(self, entry: Any, labels: Labels) -> None:
        # The SDK has no call for it.
        answer = self._api.post(
            f"{self._api.base_url}/v{self._api.api_version}/{self._noun}s/{entry.id}/update",
            params={"version": entry.attrs["Version"]["Index"]},
            json={"Name": entry.name, "Labels": dict(labels)},
            timeout=self._api.timeout,
        )
        if not answer.ok:
            said = str(answer.json().get("message", answer.reason))
            raise ServerError(f"the container engine refused: {said}", where=entry.name, fix=remedy(said))

    def _hand_over(self, spare: Any, entry: Any) -> None:
        """Nobody needs the spare one any more."""
        self._point(spare, entry)
        self._remove(spare)

    def _point(self, old: Any, new: Any) -> None:
        """Gives all who use one entry the other, under the same file name."""
        for user in self._users(old):
            service = user
            while not self._pointed(service, old, new):
                service = self._api.inspect_service(user["ID"])

    def _pointed(self, service: Mapping[str, Any], old: Any, new: Any) -> bool:
        """Whether the service took it; not if the swarm itself changed the service since it was looked at."""
        references = [
            {**one, self._key("ID"): new.id, self._key("Name"): new.name} if one[self._key("ID")] == old.id else one
            for one in self._used(service)
        ]
        version = service["Version"]["Index"]
        wanted = {"ContainerSpec": {self._key("s"): references}}
        try:
            self._api.update_service(service["ID"], version, task_template=wanted, fetch_current_spec=True)
        except APIError:
            if self._api.inspect_service(service["ID"])["Version"]["Index"] == version:
                raise
            return False
        return True

    def _users(self, entry: Any) -> list[dict[str, Any]]:
        return [
            service.attrs
            for service in self._services.list()
            if any(one[self._key("ID")] == entry.id for one in self._used(service.attrs))
        ]

    def _used(self, service: Mapping[str, Any]) -> list[dict[str, Any]]:
        specification = service["Spec"]["TaskTemplate"].get("ContainerSpec") or {}
        return cast(list[dict[str, Any]], specification.get(self._key("s")) or [])

    def _key(self, ending: str) -> str:
        """`SecretID`, `ConfigName`, `Secrets`, …"""
        return self._noun.title() + ending


def given_labels(entry: Any) -> dict[str, str]:
    """The labels that somebody gave."""
    labels = entry.attrs["Spec"].get("Labels") or {}
    return {name: value for name, value in labels.items() if not name.startswith(OWN)}
