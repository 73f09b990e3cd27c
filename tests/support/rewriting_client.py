"""Client of Datadog whose lists and reads return the bodies as another function rewrites them.

It simulates how Datadog changes fields of a request, and lists that omit objects. All other calls are unchanged.
"""

from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

from purpleflea_operator.datadog.client.client import DatadogClient
from purpleflea_operator.datadog.client.models import Inventory, ListFilter, RemoteObject
from purpleflea_operator.datadog.definitions.objects import Body, ObjectKind

Rewrite = Callable[[ObjectKind, Body], Body]


class RewritingClient:
    """A DatadogClient. Kinds in `omitted` are not listed, and a read of kinds in `unreadable` finds nothing."""

    def __init__(
        self,
        client: DatadogClient,
        rewrite: Rewrite = lambda _, body: body,
        *,
        omitted: Iterable[ObjectKind] = (),
        unreadable: Iterable[ObjectKind] = (),
    ) -> None:
        self._client = client
        self._rewrite = rewrite
        self._omitted = frozenset(omitted)
        self._unreadable = frozenset(unreadable)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._client, name)

    async def list_objects(self, list_filter: ListFilter, kinds: Iterable[ObjectKind]) -> Inventory:
        inventory = await self._client.list_objects(list_filter, kinds)
        objects = {
            kind: tuple(self._rewritten(item) for item in items if kind not in self._omitted)
            for kind, items in inventory.objects.items()
        }
        return replace(inventory, objects=objects)

    async def read(self, kind: ObjectKind, identifier: str) -> RemoteObject | None:
        remote = await self._client.read(kind, identifier)
        return None if remote is None or kind in self._unreadable else self._rewritten(remote)

    def _rewritten(self, remote: RemoteObject) -> RemoteObject:
        body = remote.body and self._rewrite(remote.kind, remote.body)
        return replace(remote, body=body)
