"""Watches of a replica: kopf for the kinds of users, and a reflector for each path of the other kinds.

A kind of users whose CRD is not installed is watched as soon as it is. The module decides nothing about objects.
"""

import asyncio
import contextlib
import logging
import random
from collections.abc import Callable, Collection, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass

import aiohttp
import kopf

from purpleflea_operator import handlers
from purpleflea_operator.kube import credentials, errors, missing_kinds
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.reflector import ApiSession, Reflector, Refusal, Target, refresh
from purpleflea_operator.kube.request_hooks import WatchMonitor
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.kube.watch_gate import WatchGate
from purpleflea_operator.kube.watch_state import WatchState, WatchStates

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchTransport:
    """Sessions to the API server, and the state of the watches."""

    api: ApiSession
    gate: WatchGate
    states: WatchStates
    monitor: WatchMonitor
    kopf_session: Callable[[], kopf.AiohttpSession]


class Watching:
    """The watches of all kinds of `routes`. `on_kopf` is called each time when kopf runs."""

    def __init__(
        self,
        cluster: KubeClient,
        routes: handlers.WatchRoutes,
        transport: WatchTransport,
        *,
        on_kopf: Callable[[], None],
    ) -> None:
        self._cluster = cluster
        self._routes = routes
        self._transport = transport
        self._on_kopf = on_kopf
        self._restart = asyncio.Event()
        self._group: asyncio.TaskGroup | None = None
        self._refreshing: set[str] = set()
        """Paths that are listed once more in the background."""
        self.discovered = asyncio.Event()
        """Set when the kinds of users that the API server serves are known."""
        of_users = [kind for kind in routes.kinds if handlers.is_watched_by_kopf(kind)]
        self._cached = tuple(kind for kind in routes.kinds if kind not in of_users)
        self._served: tuple[ResourceKind, ...] = ()
        self._missing = tuple(of_users)

    async def discover(self) -> None:
        """Find out which kinds of users the API server serves, and prepare their paths.

        Raises:
            NotFound: A kind that is not optional is not served.
            ApiError: The discovery document could not be read.
        """
        found = await missing_kinds.served(self._cluster, self._missing)
        for kind in self._missing:
            if kind not in found and not kind.optional:
                raise errors.NotFound(f"{kind.plural} is not served")
        self._add(found)
        for kind in self._missing:
            logger.warning(
                "the CRD of an optional kind is not installed;"
                " install it: kubectl apply --server-side -f crds/",
                extra={"kind": kind.kind},
            )
        for kind in self._cached:
            paths = [target.path for target in self._routes.targets(kind)]
            self._transport.states.add(paths, self._routes)
            self._measure(paths)
        self.discovered.set()

    def states(
        self, kinds: Collection[ResourceKind] | None = None
    ) -> Mapping[ResourceKind, Sequence[WatchState]]:
        """Return the states of the paths of each watched kind, or of those that are among `kinds`."""
        return {
            kind: self._transport.states.of(target.path for target in self._routes.targets(kind))
            for kind in (*self._served, *self._cached)
            if kinds is None or kind in kinds
        }

    async def refresh(
        self, kinds: Collection[ResourceKind], on_refused: Callable[[Refusal], None]
    ) -> None:
        """List those of the watched kinds that are among `kinds` once more, beside their watches.

        A watch can be behind without an error, and a list cannot. It is retried until it is complete or refused.
        `on_refused` is called with each refusal of a path that was listed before, so it has cached objects. An error of
        it ends the other lists, and is raised in an ExceptionGroup.
        """

        async def list_again(target: Target) -> None:
            refusal = await self._refresh(target)
            state = self._transport.states.get(target.path)
            if refusal is not None and state is not None and state.is_listed:
                on_refused(refusal)

        async with asyncio.TaskGroup() as group:
            for target in self._targets(kinds):
                group.create_task(list_again(target), name=f"refresh {target.path}")

    def start_refresh(
        self, kinds: Collection[ResourceKind], on_refused: Callable[[Refusal], None]
    ) -> asyncio.Task[None] | None:
        """Start to list kinds once more as `refresh` does, and return the task, which `run` owns.

        It is None if `run` does not run yet, because the first lists are then still to come.
        """
        if self._group is None:
            return None
        names = ", ".join(kind.plural for kind in kinds)
        return self._group.create_task(self.refresh(kinds, on_refused), name=f"refresh {names}")

    def refresh_later(self, kinds: Collection[ResourceKind]) -> None:
        """List those of the watched kinds that are among `kinds` once more, while other tasks run.

        The lists are retried until they are complete, also if they are refused. `run` runs.
        """

        async def list_again(target: Target) -> None:
            try:
                await self._refresh(target, outlasts_refusals=True)
            finally:
                self._refreshing.discard(target.path)

        for target in self._targets(kinds):
            if target.path not in self._refreshing and self._group is not None:
                self._refreshing.add(target.path)
                self._group.create_task(list_again(target), name=f"refresh {target.path}")

    def _targets(self, kinds: Collection[ResourceKind]) -> list[Target]:
        return [target for kind in self.states(kinds) for target in self._routes.targets(kind)]

    def _refresh(
        self, target: Target, *, outlasts_refusals: bool = False
    ) -> Coroutine[None, None, Refusal | None]:
        return refresh(
            self._transport.api,
            target,
            self._routes,
            jitter=random.random,
            outlasts_refusals=outlasts_refusals,
        )

    async def run(self) -> None:
        """Watch until canceled."""
        transport, routes = self._transport, self._routes
        async with asyncio.TaskGroup() as group:
            self._group = group
            group.create_task(self._follow_missing(group), name="missing-kinds")
            for kind in self._cached:
                self._reflect(group, routes.targets(kind))
            for kind in self._served:
                self._reflect(group, filter(routes.is_outside, routes.targets(kind)))
            await handlers.watch(
                routes, lambda: self._served, transport.kopf_session, self._on_kopf, self._restart
            )

    def _reflect(self, group: asyncio.TaskGroup, targets: Iterable[Target]) -> None:
        """Start a reflector for each target."""
        for target in targets:
            (state,) = self._transport.states.of((target.path,))
            reflector = Reflector(self._transport.api, target, state, self._routes)
            group.create_task(reflector.run(), name=f"reflector {target.path}")

    async def _follow_missing(self, group: asyncio.TaskGroup) -> None:
        """Watch each missing kind as soon as the API server serves it. kopf reads the kinds only when it starts."""
        while self._missing:
            found = await missing_kinds.wait_until_served(
                self._cluster, self._missing, jitter=random.random
            )
            logger.info(
                "a missing kind is served; watching it",
                extra={"kinds": ", ".join(kind.kind for kind in found)},
            )
            self._add(found)
            for kind in found:
                self._reflect(group, filter(self._routes.is_outside, self._routes.targets(kind)))
            self._restart.set()

    def _add(self, kinds: Sequence[ResourceKind]) -> None:
        self._served += tuple(kinds)
        self._missing = tuple(kind for kind in self._missing if kind not in kinds)
        for kind in kinds:
            targets = list(self._routes.targets(kind))
            self._transport.gate.add(kind, [(item.namespace, item.path) for item in targets])
            self._measure([item.path for item in targets])

    def _measure(self, paths: Sequence[str]) -> None:
        """Measure the idle time of watches."""
        for path in paths:
            self._transport.monitor.reset(path)


@dataclass(frozen=True, slots=True)
class WatchSessions:
    """Opens the sessions of kopf and of the reflectors. Each watch keeps a connection, so their number has no limit."""

    connect: Callable[[], kopf.ConnectionInfo]
    traces: Sequence[aiohttp.TraceConfig]
    states: WatchStates
    monitor: WatchMonitor

    async def open(
        self,
        stack: contextlib.AsyncExitStack,
        cluster: KubeClient,
        routes: handlers.WatchRoutes,
        *,
        on_kopf: Callable[[], None],
    ) -> Watching:
        """Return the watches. The session of the reflectors is closed with `stack`, that of kopf by kopf."""
        gate = WatchGate(self.states, routes, sleep=asyncio.sleep)
        server, session = self._session("reflector", ())
        await stack.enter_async_context(session)

        def kopf_session() -> kopf.AiohttpSession:
            gate.on_new_session()
            server, session = self._session("kopf", (gate,))
            return kopf.AiohttpSession(server=server, aiohttp_session=session)

        transport = WatchTransport(
            api=ApiSession(server, session),
            gate=gate,
            states=self.states,
            monitor=self.monitor,
            kopf_session=kopf_session,
        )
        return Watching(cluster, routes, transport, on_kopf=on_kopf)

    def _session(
        self, name: str, middlewares: Sequence[aiohttp.ClientMiddlewareType]
    ) -> tuple[str, aiohttp.ClientSession]:
        """Return the address of the API server and a session; `name` is part of its user agent."""
        info = self.connect()
        session = credentials.session(
            info,
            user_agent=f"{credentials.USER_AGENT} {name}",
            traces=self.traces,
            middlewares=middlewares,
            pool_size=0,
        )
        return info.server, session
