"""Hangs webhooks on an instance."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from infra.lab.gitlab.instance import Instance, Push
from infra.lab.gitlab.webhooks.delivery import Delivery, wanting
from infra.lab.gitlab.webhooks.event import follow, happen, of_push

_KNOWN: WeakKeyDictionary[Instance, Delivery] = WeakKeyDictionary()


def attach(instance: Instance) -> None:
    """What `app.PARTS` names."""
    delivery = delivery_of(instance)
    follow(instance.store, delivery.note, delivery.tell)
    instance.hooks.on_push.append(_tell_push)
    instance.hooks.on_start.append(lambda _instance: delivery.start())
    instance.hooks.on_stop.append(lambda _instance: delivery.stop())


def _tell_push(instance: Instance, push: Push) -> None:
    """Nothing is written where no hook asks for it."""
    event = of_push(push)
    with instance.store.read() as session:
        if not wanting(session, [event]):
            return
    with instance.store.write() as session:
        happen(session, event)


def delivery_of(instance: Instance) -> Delivery:
    """The senders of this instance."""
    return _KNOWN.setdefault(instance, Delivery(instance))
