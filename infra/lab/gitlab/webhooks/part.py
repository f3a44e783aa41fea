"""Hangs webhooks on an instance."""

from __future__ import annotations

from weakref import WeakKeyDictionary

from infra.lab.gitlab.instance import Instance
from infra.lab.gitlab.webhooks.delivery import Delivery
from infra.lab.gitlab.webhooks.event import follow, of_push

_KNOWN: WeakKeyDictionary[Instance, Delivery] = WeakKeyDictionary()


def attach(instance: Instance) -> None:
    """What `app.PARTS` names."""
    delivery = delivery_of(instance)
    follow(instance.store, delivery.tell)
    instance.hooks.on_push.append(lambda _instance, push: delivery.tell([of_push(push)]))
    instance.hooks.on_start.append(lambda _instance: delivery.start())
    instance.hooks.on_stop.append(lambda _instance: delivery.stop())


def delivery_of(instance: Instance) -> Delivery:
    """The senders of this instance."""
    return _KNOWN.setdefault(instance, Delivery(instance))
