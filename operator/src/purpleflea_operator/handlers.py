"""Integration with kopf: its settings, the login, and one event handler for each kind. It decides nothing.

kopf watches, authenticates and controls the lifecycle. With null storages it writes nothing into objects. Retries and
state belong to the operator, because kopf never retries an on.event handler.
"""

import asyncio
import random
import socket
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol, cast

import kopf

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.informer import WATCHED, selector_of
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.parsing import Manifest


class Listener(Protocol):
    """Receiver of watch events."""

    watched: tuple[ResourceKind, ...]

    def on_event(self, kind: ResourceKind, event_type: str | None, manifest: Manifest) -> None:
        """Process one event, at O(1)."""


class _JitteredBackoffs:
    """Backoffs of kopf with jitter, because otherwise all watches would reconnect at the same time."""

    def __iter__(self) -> Iterator[float]:
        return (seconds * random.uniform(0.5, 1.0) for seconds in timings.WATCH_BACKOFFS_S)  # noqa: S311


class _NullDiffBase(kopf.DiffBaseStorage):
    """Storage that stores nothing, because kopf would otherwise copy each object several times per event."""

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:
        return {}

    def fetch(self, *, body: Any) -> None:
        return None

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        return None


class _NullProgress(kopf.ProgressStorage):
    """Storage that stores nothing, because no handler has a progress."""

    def fetch(self, *, key: Any, body: Any) -> None:
        return None

    def store(self, *, key: Any, record: Any, body: Any, patch: Any) -> None:
        return None

    def purge(self, *, key: Any, body: Any, patch: Any) -> None:
        return None

    def touch(self, *, body: Any, patch: Any, value: Any) -> None:
        return None

    def clear(self, *, essence: Any) -> Any:
        return essence


def settings() -> kopf.OperatorSettings:
    """Return the settings of kopf: it watches and writes nothing to objects of users."""
    options = kopf.OperatorSettings()
    options.persistence.diffbase_storage = _NullDiffBase()
    options.persistence.progress_storage = _NullProgress()
    options.scanning.disabled = True
    options.peering.standalone = True
    options.posting.enabled = False
    # Without the short idle timeout, idle workers would occupy their slots for 5 s each.
    options.queueing.worker_limit = 200
    options.queueing.idle_timeout = 0.1
    options.queueing.exit_timeout = 5
    options.networking.connect_timeout = 10
    options.networking.request_timeout = 30
    options.networking.error_backoffs = _JitteredBackoffs()
    options.watching.connect_timeout = 10
    options.watching.server_timeout = 300
    options.process.ultimate_exiting_timeout = 20
    return options


def register(
    registry: kopf.OperatorRegistry,
    listeners: Iterable[Listener],
    connect: Callable[[], kopf.AiohttpSession],
) -> None:
    """Register the login and one event handler per watched kind."""

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return connect()

    for listener in listeners:
        for kind in listener.watched:
            _register(registry, listener, kind)


def _register(registry: kopf.OperatorRegistry, listener: Listener, kind: ResourceKind) -> None:
    group, _, version = kind.api_version.rpartition("/")

    @kopf.on.event(group, version, kind.plural, registry=registry, id=f"on-{kind.plural}")
    async def on_event(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002 - kopf's name
        # The items of a list have neither apiVersion nor kind.
        manifest = {**body, "apiVersion": kind.api_version, "kind": kind.kind}
        listener.on_event(kind, type, manifest)


def with_selectors(options: kopf.OperatorSettings) -> kopf.OperatorSettings:
    """Return the settings with label selectors, so that the API server sends only objects of the operator."""
    for kind in WATCHED:
        selector = selector_of(kind)
        if selector:
            group, _, version = kind.api_version.rpartition("/")
            options.watching.label_selectors[group, version, kind.plural] = selector
    return options


async def watch(
    listeners: Iterable[Listener],
    namespaces: tuple[str, ...],
    connect: Callable[[], kopf.AiohttpSession],
    on_kopf: Callable[[], None],
) -> None:
    """Run kopf until canceled."""
    registry = kopf.OperatorRegistry()
    register(registry, listeners, connect)
    own_tasks = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=with_selectors(settings()),
        clusterwide=not namespaces,
        namespaces=namespaces,
        standalone=True,
        # By default kopf reads the name of the user, and the user of a container has none.
        identity=cast(Any, socket.gethostname()),
    )
    on_kopf()
    await kopf.run_tasks(tasks, ignored=own_tasks)
