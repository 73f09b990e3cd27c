"""Integration with kopf: its settings, the login, and the kinds that it watches. It decides nothing.

kopf opens the watches, authenticates and controls the lifecycle. The gate of its session (`kube/watch_gate.py`) passes
the objects to the listeners.
"""

import asyncio
import itertools
import logging
import random
import socket
from asyncio import all_tasks
from collections.abc import Awaitable, Callable, Collection, Iterable, Iterator
from typing import Any, Protocol, cast

import kopf

from purpleflea_contract import kubernetes
from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.watched_kinds import selector_of
from purpleflea_operator.kube.listing import PAGE_SIZE, Listing
from purpleflea_operator.kube.reflector import Target
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.kube.watch_scope import WatchScope
from purpleflea_operator.parsing import Manifest

logger = logging.getLogger(__name__)


class Listener(Protocol):
    """Receiver of the objects of some kinds."""

    watched: tuple[ResourceKind, ...]

    def on_event(self, kind: ResourceKind, event_type: str | None, manifest: Manifest) -> None:
        """Process an event of a watch, or an object of a list if there is no type, at O(1)."""

    def on_listed(self, kind: ResourceKind, listing: Listing) -> None:
        """Process the end of a list, and remove the objects that it does not contain."""

    def on_refused(self, kind: ResourceKind, *, status: int) -> None:
        """Process that the API server refuses the watch of a kind (403, 404), or serves it again (0)."""


def is_watched_by_kopf(kind: ResourceKind) -> bool:
    """Return True for the kinds of users. The other kinds are only cached, and have reflectors."""
    return kind.api_version == kubernetes.API_VERSION


class WatchRoutes:
    """Passes the objects and the state of each path to the listener of its kind."""

    def __init__(self, listeners: Iterable[Listener], scope: WatchScope) -> None:
        self._scope = scope
        self._routes: dict[str, tuple[Listener, ResourceKind]] = {}
        self.kinds: tuple[ResourceKind, ...] = ()
        """All kinds that the listeners watch."""
        for listener in listeners:
            self.kinds += listener.watched
            for kind in listener.watched:
                self._routes.update((path, (listener, kind)) for path in scope.paths(kind))

    @property
    def namespaces(self) -> tuple[str, ...]:
        """Namespaces that the operator is bound to. Empty means the whole cluster."""
        return self._scope.namespaces

    def targets(self, kind: ResourceKind) -> Iterator[Target]:
        """Yield the paths of a kind, with the selector of its objects."""
        for namespace, path in self._scope.paths_by_namespace(kind).items():
            yield Target(path=path, kind=kind, namespace=namespace, selector=selector_of(kind))

    def is_outside(self, target: Target) -> bool:
        """Return whether a target is outside the namespaces of the operator, so that kopf does not watch it."""
        return bool(self.namespaces) and target.namespace not in self.namespaces

    def on_event(self, path: str, event_type: str | None, manifest: Manifest) -> None:
        """Pass an object."""
        listener, kind = self._routes[path]
        listener.on_event(kind, event_type, manifest)

    def on_listed(self, path: str, listing: Listing) -> None:
        """Pass the end of a list."""
        listener, kind = self._routes[path]
        listener.on_listed(kind, listing)

    def on_refused(self, path: str, *, status: int) -> None:
        """Pass that the API server refuses a path, or serves it again."""
        listener, kind = self._routes[path]
        listener.on_refused(kind, status=status)


class _JitteredBackoffs:
    """Backoffs of kopf with jitter, because otherwise all watches would reconnect at the same time.

    They do not end, because after the last backoff kopf would end all watches.
    """

    def __iter__(self) -> Iterator[float]:
        backoffs = itertools.chain(
            timings.WATCH_BACKOFFS_S, itertools.repeat(timings.WATCH_BACKOFFS_S[-1])
        )
        return (seconds * random.uniform(0.5, 1.0) for seconds in backoffs)  # noqa: S311


def settings() -> kopf.OperatorSettings:
    """Return the settings of kopf: it watches and writes nothing to objects of users."""
    options = kopf.OperatorSettings()
    options.scanning.disabled = True
    options.peering.standalone = True
    options.posting.enabled = False
    options.networking.connect_timeout = 10
    options.networking.request_timeout = 30
    options.networking.error_backoffs = _JitteredBackoffs()
    options.watching.connect_timeout = 10
    options.watching.server_timeout = timings.WATCH_TIMEOUT_S
    options.watching.inactivity_timeout = timings.WATCH_INACTIVE_S
    options.watching.chunk_size = PAGE_SIZE
    # Otherwise kopf kills the process after this time, with the lease kept, although the operator starts kopf again.
    options.process.ultimate_exiting_timeout = None
    return options


def register(
    registry: kopf.OperatorRegistry,
    kinds: Iterable[ResourceKind],
    connect: Callable[[], Awaitable[kopf.AiohttpSession]],
) -> None:
    """Register the login, and a handler for each of these kinds, because kopf watches only kinds with handlers."""

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:
        return await connect()

    for kind in kinds:
        group, _, version = kind.api_version.rpartition("/")
        kopf.on.event(group, version, kind.plural, registry=registry, id=kind.plural)(_on_event)


async def _on_event(**_: Any) -> None:
    """Do nothing. The gate passes the events to the listeners, and kopf gets none."""


class Logins:
    """Returns new sessions, with backoff if several are requested in a short time.

    kopf logs in again after each 401 and sends the request again at once, for as long as the credentials are refused.
    The second login has no delay, because a token can expire between two requests.
    """

    def __init__(self, connect: Callable[[], kopf.AiohttpSession]) -> None:
        self._connect = connect
        self._repeated = 0
        self._at = float("-inf")

    async def __call__(self) -> kopf.AiohttpSession:
        """Wait, and return a session."""
        loop = asyncio.get_running_loop()
        is_repeated = loop.time() - self._at < 2 * timings.WATCH_BACKOFF_LIMIT_S
        self._repeated = self._repeated + 1 if is_repeated else 0
        if self._repeated > 1:
            ceiling = timings.WATCH_BACKOFF_BASE_S * 2.0 ** min(self._repeated - 2, 16)
            delay_s = min(timings.WATCH_BACKOFF_LIMIT_S, ceiling)
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311
        self._at = loop.time()
        return self._connect()


async def watch(
    routes: WatchRoutes,
    kinds: Callable[[], Iterable[ResourceKind]],
    connect: Callable[[], kopf.AiohttpSession],
    on_kopf: Callable[[], None],
    restart: asyncio.Event,
) -> None:
    """Run kopf for the served `kinds` until canceled. Start it again when `restart` is set, and if it fails.

    The gate keeps errors of single watches away from kopf. An error that still reaches kopf ends all its watches.
    """
    failures, login = 0, Logins(connect)
    while True:
        started_at = asyncio.get_running_loop().time()
        error = await _run_kopf(routes, kinds(), login, on_kopf, restart)
        if restart.is_set():
            restart.clear()
            continue
        ran_s = asyncio.get_running_loop().time() - started_at
        failures = 0 if ran_s > timings.WATCH_RESTART_LIMIT_S else failures + 1
        delay_s = min(timings.WATCH_RESTART_LIMIT_S, 0.5 * 2.0 ** min(failures, 16))
        logger.error(
            "kopf failed; starting it again", extra={"error": repr(error), "delay_s": delay_s}
        )
        await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))  # noqa: S311


async def _run_kopf(
    routes: WatchRoutes,
    kinds: Iterable[ResourceKind],
    connect: Callable[[], Awaitable[kopf.AiohttpSession]],
    on_kopf: Callable[[], None],
    restart: asyncio.Event,
) -> BaseException | None:
    """Run kopf until it fails or `restart` is set. Return its error."""
    registry = kopf.OperatorRegistry()
    register(registry, kinds, connect)
    namespaces = routes.namespaces
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=settings(),
        clusterwide=not namespaces,
        namespaces=namespaces,
        standalone=True,
        # By default kopf reads the name of the user, and the user of a container has none.
        identity=cast(Any, socket.gethostname()),
    )
    on_kopf()
    requested = asyncio.create_task(restart.wait(), name="kopf-restart")
    try:
        await asyncio.wait((*tasks, requested), return_when=asyncio.FIRST_COMPLETED)
        failed = [task for task in tasks if task.done() and not task.cancelled()]
    finally:
        requested.cancel()
        await _stop(tasks)
    return next((task.exception() for task in failed), None)


async def _stop(root_tasks: Collection[asyncio.Task[Any]]) -> None:
    """Stop all tasks of kopf within a limited time.

    kopf.run_tasks is not used, because it never returns after a failure: it cancels the tasks on which its watchers
    wait, together with the watchers. It also cancels tasks that are not its own.
    """
    watchers = [task for task in all_tasks() if task.get_name().startswith("watcher for ")]
    for tasks in (watchers, root_tasks):
        for task in tasks:
            task.cancel()
        if tasks:
            _, pending = await asyncio.wait(tasks, timeout=timings.KOPF_STOP_S / 2)
            if pending:
                names = sorted(task.get_name() for task in pending)
                logger.warning("tasks of kopf do not stop", extra={"tasks": names})
