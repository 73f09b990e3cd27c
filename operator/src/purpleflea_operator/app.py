"""Composition root: settings -> sessions -> cluster -> cache, queue, workers -> lease -> kopf."""

import asyncio
import contextlib
import functools
import logging
import random
import socket
import uuid
from collections.abc import Callable, Coroutine
from datetime import UTC, datetime
from typing import Any

import kopf

from purpleflea_operator import __version__, handlers
from purpleflea_operator.agent_client.http import HttpAgentClient
from purpleflea_operator.agent_client.http import session as asking
from purpleflea_operator.agent_client.protocol import AgentClient
from purpleflea_operator.controllers.agent.informer import Informer
from purpleflea_operator.controllers.agent.mode_acknowledgements import ModeAcknowledgements
from purpleflea_operator.controllers.agent.node_inventory import NodeInventory
from purpleflea_operator.controllers.agent.reconciler import Dependencies, Reconciler
from purpleflea_operator.controllers.agent.telemetry_probe import TelemetryProbe
from purpleflea_operator.controllers.observability.controller import (
    DatadogAccess,
    MetricHooks,
    ObservabilityController,
    build_controller,
)
from purpleflea_operator.controllers.observability.deployment_reporter import CachedFleet
from purpleflea_operator.datadog.client import transport
from purpleflea_operator.kube import credentials, request_hooks
from purpleflea_operator.kube.client import HttpKubeClient
from purpleflea_operator.kube.lease import LeaseClient
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.watch_scope import WatchScope
from purpleflea_operator.manifests.metadata import Defaults
from purpleflea_operator.runtime import health, lifecycle
from purpleflea_operator.runtime.leader_election.decisions import LeaseConfig
from purpleflea_operator.runtime.leader_election.elector import LeaderElector
from purpleflea_operator.runtime.metrics import GaugeSources, Metrics
from purpleflea_operator.runtime.workers import TimedReconciler, Times, run_worker
from purpleflea_operator.runtime.workqueue import WorkQueue
from purpleflea_operator.settings import Settings

logger = logging.getLogger(__name__)


Connect = Callable[[], kopf.ConnectionInfo]


async def run(
    settings: Settings,
    *,
    stop: lifecycle.Stop | None = None,
    connect: Connect = credentials.credentials,
    clock: lifecycle.Clock | None = None,
    agents: AgentClient | None = None,
) -> None:
    """Run the operator until it is told to stop: by `stop`, else by SIGTERM or SIGINT.

    Raises:
        StartError: No cluster, no rights, or no CRD.
        LeaseLostError: Another replica may lead by now; this one has stopped.
    """
    async with contextlib.AsyncExitStack() as stack:
        asked = agents or HttpAgentClient(await stack.enter_async_context(asking()))
        operator = _Operator(settings, connect, clock or lifecycle.running_clock(), stack, asked)
        if stop is not None:
            await operator.run(stop)
            return
        signalled = asyncio.Event()
        lifecycle.stop_on_signals(signalled)
        # kopf, once it runs, has put its own handlers in place of ours; its way to stop takes 5 s and more.
        await operator.run(
            signalled, on_kopf=functools.partial(lifecycle.stop_on_signals, signalled)
        )


class _Operator:
    """One replica: all parts are made at once and do nothing until it leads."""

    def __init__(
        self,
        settings: Settings,
        connect: Connect,
        clock: lifecycle.Clock,
        stack: contextlib.AsyncExitStack,
        agents: AgentClient,
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._scope = WatchScope(namespaces=settings.watch_namespaces)
        self._clock = clock
        self._stack = stack
        self._agents = agents
        self._metrics = Metrics(version=__version__)
        self._traces = [request_hooks.observe_responses(self._metrics.count_request)]
        self._streams = request_hooks.WatchMonitor(clock=clock)
        self._probes = health.Health(self._metrics.exposition)
        self._queue = WorkQueue[NamespacedName](jitter=random.random, clock=clock)
        stack.callback(self._queue.close)

    async def run(
        self, stop: lifecycle.Stop, *, on_kopf: Callable[[], None] = lambda: None
    ) -> None:
        """Stand by, lead, stop; `on_kopf` is called when kopf runs."""
        stopping = asyncio.create_task(lifecycle.wait_for_stop(stop), name="stop")
        self._stack.callback(stopping.cancel)
        if self._settings.health_port:
            runner = await health.serve(self._probes, self._settings.health_port)
            self._stack.push_async_callback(runner.cleanup)
        elector = await self._elector() if self._settings.lease_namespace else None
        lead = await self._prepared(elector, stopping, on_kopf)
        if elector is None:
            await lead()
        elif await lifecycle.run_or_stop(stopping, lifecycle.wait_for_leadership(elector)):
            await lifecycle.run_while_leader(elector, lead())

    async def _elector(self) -> LeaderElector:
        # A session of its own: renewing never waits for a connection behind other requests.
        leases = LeaseClient(
            await self._cluster(),
            namespace=self._settings.lease_namespace,
            name=self._settings.lease_name,
        )
        elector = LeaderElector(
            leases,
            # A container that starts again in its pod is another one than before.
            LeaseConfig(
                identity=f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}",
                lease_duration_s=self._settings.lease_s,
            ),
            clock=self._clock,
            now=_now,
            jitter=random.random,
        )
        self._probes.ready = functools.partial(lifecycle.standby_reason, elector)
        self._traces.append(request_hooks.fence_writes(elector.guard))
        return elector

    async def _prepared(
        self,
        elector: LeaderElector | None,
        stopping: asyncio.Task[None],
        on_kopf: Callable[[], None],
    ) -> Callable[[], Coroutine[Any, Any, None]]:
        """All parts, put together; the result leads when it is called."""
        cluster, cache = await self._cluster(), ObjectCache()
        terrain = NodeInventory(clock=self._clock, scope=self._scope)
        listening = TelemetryProbe(self._agents, self._queue.add, jitter=random.random)
        informer = Informer(cluster, cache, self._queue, terrain, listening)
        words = ModeAcknowledgements(self._agents, self._queue.add, now=_now)
        self._stack.callback(words.close)
        reconciler = Reconciler(
            cluster,
            cache,
            _defaults(self._settings),
            around=Dependencies(
                acknowledgements=words,
                terrain=terrain,
                findings=listening.findings,
                rival=informer.identities.rival,
                sees_all_namespaces=not self._scope.namespaces,
            ),
            times=Times(now=_now, clock=self._clock),
        )
        passes = TimedReconciler(
            reconciler.reconcile, clock=self._clock, on_pass_end=self._metrics.observe_reconcile
        )
        observing = await self._observing(cluster, cache, elector)
        informer.on_workload = observing.rollouts.note
        self._metrics.register_gauges(self._sources(elector, informer))

        async def lead() -> None:
            if not await lifecycle.run_or_stop(
                stopping, lifecycle.sync_caches((informer.prime, observing.prime))
            ):
                return
            self._watch_over(informer, observing, passes)
            self._probes.ready = str
            listeners = (informer, observing)
            spaces = self._settings.watch_namespaces
            serve = handlers.watch(listeners, spaces, self._watching, on_kopf)
            work_on = _work(self._settings, listeners, self._queue, passes, serve)
            await lifecycle.run_or_stop(stopping, work_on)

        return lead

    async def _observing(
        self, cluster: HttpKubeClient, cache: ObjectCache, elector: LeaderElector | None
    ) -> ObservabilityController:
        """What Datadog should hold: the guard of the lease holds back writes to it, too."""
        traces = [request_hooks.fence_writes(elector.guard)] if elector is not None else []
        session = transport.session(traces, user_agent=credentials.USER_AGENT)
        await self._stack.enter_async_context(session)
        telling = MetricHooks(
            request=self._metrics.count_datadog_request, end_of_pass=self._metrics.observe_sync
        )
        times = Times(now=_now, clock=self._clock)
        reach = DatadogAccess(session=session, urls=self._settings.datadog_urls)
        found = build_controller(cluster, reach, telling, CachedFleet(cache), times)
        self._stack.callback(found.close)
        return found

    def _watch_over(
        self, informer: Informer, observing: ObservabilityController, passes: TimedReconciler
    ) -> None:
        """From now on watches must be heard and passes must end."""
        for kind in (*informer.watched, *observing.watched):
            for path in self._scope.paths(kind):
                self._streams.reset(path)
        limit_s = self._settings.watch_silence_s
        self._probes.add(
            lambda: health.stalled_watches(self._streams.idle_s(), limit_s=limit_s),
            lambda: health.stuck_queue(
                waiting_s=self._queue.oldest_s(),
                idle_s=passes.idle_s(),
                longest_s=max(passes.longest_s(), observing.passes.longest_s()),
            ),
        )

    def _sources(self, elector: LeaderElector | None, informer: Informer) -> GaugeSources:
        tally = informer.tally
        return GaugeSources(
            is_leading=lambda: elector is None or elector.is_leading,
            queue_depth=lambda: len(self._queue),
            queue_oldest_s=self._queue.oldest_s,
            watch_silence_s=self._streams.idle_s,
            agents=lambda: len(tally),
            conditions=lambda: tally.conditions,
            replicas=lambda: (tally.replicas, tally.ready, tally.observed),
        )

    async def _cluster(self) -> HttpKubeClient:
        try:
            info = self._connect()
            session = credentials.session(info, traces=self._traces)
        except credentials.NotConnectedError as error:
            raise lifecycle.StartError(str(error)) from error
        await self._stack.enter_async_context(session)
        return HttpKubeClient(info.server, session, self._scope)

    def _watching(self) -> kopf.AiohttpSession:
        """The session for kopf, which watches."""
        info = self._connect()
        agent = f"{credentials.USER_AGENT} kopf"
        traces = [*self._traces, self._streams.trace()]
        session = credentials.session(info, user_agent=agent, traces=traces)
        return kopf.AiohttpSession(server=info.server, aiohttp_session=session)


async def _work(
    settings: Settings,
    listeners: tuple[Informer, ObservabilityController],
    queue: WorkQueue[NamespacedName],
    passes: TimedReconciler,
    serve: Coroutine[Any, Any, None],
) -> None:
    """Workers and kopf side by side. kopf cancels tasks that start after it, so it starts last."""
    async with asyncio.TaskGroup() as group:
        informer, observing = listeners
        tasks = [
            group.create_task(informer.run(), name="informer"),
            group.create_task(observing.run(), name="observing"),
        ]
        tasks += [
            group.create_task(run_worker(queue, passes.reconcile), name=f"worker-{number}")
            for number in range(settings.workers)
        ]
        # A task gets its turn only once this one waits; then kopf may look which tasks exist.
        await asyncio.sleep(0)
        logger.info("started", extra={"workers": settings.workers})
        try:
            await serve
        finally:
            for task in tasks:
                task.cancel()
            logger.info("stopped")


def _now() -> datetime:
    return datetime.now(UTC)


def _defaults(settings: Settings) -> Defaults:
    return Defaults(image=settings.agent_image, image_pull_policy=settings.agent_image_pull_policy)
