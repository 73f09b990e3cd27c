"""All kopf glue: settings, login, one event handler per kind. It decides nothing.

kopf is the watch, auth and lifecycle layer. With null storages it writes nothing to anybody's objects; retries, order
and state are ours (kopf never retries an on.event handler).
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
    """Who takes in watch events."""

    watched: tuple[ResourceKind, ...]

    def on_event(self, kind: ResourceKind, event_type: str | None, manifest: Manifest) -> None:
        """Take in one, at O(1)."""


class _JitteredBackoffs:
    """kopf's own backoffs, spread out: without jitter all watches would come back in the same instant."""

    def __iter__(self) -> Iterator[float]:
        return (seconds * random.uniform(0.5, 1.0) for seconds in timings.WATCH_BACKOFFS_S)  # noqa: S311


class _NullDiffBase(kopf.DiffBaseStorage):
    """Remembers nothing: kopf would otherwise copy each object several times per event."""

    def build(self, *, body: Any, extra_fields: Any = None) -> Any:
        return {}

    def fetch(self, *, body: Any) -> None:
        return None

    def store(self, *, body: Any, patch: Any, essence: Any) -> None:
        return None


class _NullProgress(kopf.ProgressStorage):
    """Remembers nothing: there are no handlers with a progress."""

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
    """kopf's settings; why each is so stands in ARCHITECTURE.md."""
    found = kopf.OperatorSettings()
    found.persistence.diffbase_storage = _NullDiffBase()
    found.persistence.progress_storage = _NullProgress()
    found.scanning.disabled = True
    found.peering.standalone = True
    found.posting.enabled = False
    # A worker limit alone would let idle workers hold their slots for 5 s each.
    found.queueing.worker_limit = 200
    found.queueing.idle_timeout = 0.1
    found.queueing.exit_timeout = 5
    found.networking.connect_timeout = 10
    found.networking.request_timeout = 30
    found.networking.error_backoffs = _JitteredBackoffs()
    found.watching.connect_timeout = 10
    found.watching.server_timeout = 300
    found.process.ultimate_exiting_timeout = 20
    return found


def register(
    registry: kopf.OperatorRegistry,
    listeners: Iterable[Listener],
    watching: Callable[[], kopf.AiohttpSession],
) -> None:
    """Register the login and one event handler per watched kind."""

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return watching()

    for listener in listeners:
        for kind in listener.watched:
            _register(registry, listener, kind)


def _register(registry: kopf.OperatorRegistry, listener: Listener, kind: ResourceKind) -> None:
    group, _, version = kind.api_version.rpartition("/")

    @kopf.on.event(group, version, kind.plural, registry=registry, id=f"on-{kind.plural}")
    async def on_event(type: str | None, body: kopf.Body, **_: Any) -> None:  # noqa: A002 - kopf's name
        # An item of a list carries neither apiVersion nor kind.
        manifest = {**body, "apiVersion": kind.api_version, "kind": kind.kind}
        listener.on_event(kind, type, manifest)


def select(found: kopf.OperatorSettings) -> kopf.OperatorSettings:
    """Have the API server filter: only objects that we made are sent to us."""
    for kind in WATCHED:
        selector = selector_of(kind)
        if selector:
            group, _, version = kind.api_version.rpartition("/")
            found.watching.label_selectors[group, version, kind.plural] = selector
    return found


async def watch(
    listeners: Iterable[Listener],
    namespaces: tuple[str, ...],
    watching: Callable[[], kopf.AiohttpSession],
    on_kopf: Callable[[], None],
) -> None:
    """Run kopf until cancelled."""
    registry = kopf.OperatorRegistry()
    register(registry, listeners, watching)
    ours = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=select(settings()),
        clusterwide=not namespaces,
        namespaces=namespaces,
        standalone=True,
        # By default kopf asks for the user's name, and in a container there is no such user.
        identity=cast(Any, socket.gethostname()),
    )
    on_kopf()
    await kopf.run_tasks(tasks, ignored=ours)
