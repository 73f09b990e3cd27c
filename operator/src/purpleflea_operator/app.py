"""Composition root: creates all components from the settings, and runs them as a standby or as the leader.

Components receive each other through their constructors. This module decides nothing else.
"""

import asyncio
import contextlib
import functools
import gc
import random
import socket
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

import kopf

from purpleflea_contract import rendering
from purpleflea_operator import __version__, handlers, timings
from purpleflea_operator.agent_client import http as agent_http
from purpleflea_operator.agent_client.protocol import AgentClient
from purpleflea_operator.controllers.agent import control_lane
from purpleflea_operator.controllers.agent.agent_memory import AgentMemories
from purpleflea_operator.controllers.agent.control_lane import ControlDependencies, ControlLane
from purpleflea_operator.controllers.agent.fleet_totals import Fleet, FleetTotals
from purpleflea_operator.controllers.agent.informer import EventTargets, Informer
from purpleflea_operator.controllers.agent.lost_namespaces import LostNamespaces
from purpleflea_operator.controllers.agent.mode_acknowledgements import ModeAcknowledgements
from purpleflea_operator.controllers.agent.node_inventory import NodeInventory
from purpleflea_operator.controllers.agent.reconciler import Dependencies, Reconciler
from purpleflea_operator.controllers.agent.rendering import Answer, Renderer
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.controllers.agent.telemetry_probe import TelemetryProbe
from purpleflea_operator.controllers.halt.controller import HaltController
from purpleflea_operator.controllers.halt.watches import HaltScope
from purpleflea_operator.controllers.observability.controller import (
    DatadogAccess,
    MetricHooks,
    ObservabilityController,
    build_controller,
)
from purpleflea_operator.controllers.observability.decisions.version_rollouts import RolloutIndex
from purpleflea_operator.controllers.observability.deployment_reporter import CachedFleet
from purpleflea_operator.datadog.client import transport
from purpleflea_operator.datadog.detection.trust import TrustedNamespaces
from purpleflea_operator.kube import credentials, request_hooks, resources
from purpleflea_operator.kube.client import HttpKubeClient
from purpleflea_operator.kube.lease import LeaseClient, reference
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.watch_state import WatchStates
from purpleflea_operator.leading import AllWorkers, ReplicaTasks, WorkerPool
from purpleflea_operator.own_health import OwnHealth
from purpleflea_operator.parsing import Manifest
from purpleflea_operator.runtime import event_loop_lag, health, lifecycle
from purpleflea_operator.runtime.cache_sync import CacheSync
from purpleflea_operator.runtime.leader_election.decisions import LeaseConfig
from purpleflea_operator.runtime.leader_election.elector import LeaderElector
from purpleflea_operator.runtime.local_route import local_route
from purpleflea_operator.runtime.metrics import Metrics
from purpleflea_operator.runtime.workers import TimedReconciler, Times
from purpleflea_operator.runtime.workqueue import WorkQueue
from purpleflea_operator.settings import OperatorSettings
from purpleflea_operator.takeover import Takeover
from purpleflea_operator.watching import WatchSessions

Connect = Callable[[], kopf.ConnectionInfo]


async def run(
    settings: OperatorSettings,
    *,
    stop: lifecycle.Stop | None = None,
    connect: Connect = credentials.credentials,
    clock: lifecycle.Clock | None = None,
    agents: AgentClient | None = None,
) -> None:
    """Run the operator until `stop` is set; without `stop`, until SIGTERM or SIGINT.

    Raises:
        StartError: There is no cluster, a right is missing, or the CRD is not installed.
        LeaseLostError: The lease was lost, so this replica has stopped because another one may lead.
    """
    async with contextlib.AsyncExitStack() as stack:
        clients = await agent_http.clients(stack, agents)
        lifecycle.freeze_objects()
        stack.callback(gc.unfreeze)
        operator = _Operator(settings, connect, clock or lifecycle.running_clock(), stack, clients)
        if stop is not None:
            await operator.run(stop)
            return
        stop_event = asyncio.Event()
        lifecycle.stop_on_signals(stop_event)
        # kopf replaces these handlers with its own when it starts, and its own shutdown takes at least 5 s. Therefore
        # they are installed again after that.
        await operator.run(
            stop_event, on_kopf=functools.partial(lifecycle.stop_on_signals, stop_event)
        )


class _Operator:
    """One replica. All components are created at once, and are idle until the replica leads."""

    def __init__(
        self,
        settings: OperatorSettings,
        connect: Connect,
        clock: lifecycle.Clock,
        stack: contextlib.AsyncExitStack,
        agents: agent_http.AgentClients,
    ) -> None:
        self._settings = settings
        self._connect = connect
        self._scope = settings.watch_scope
        self._clock = clock
        self._stack = stack
        self._agents = agents
        self._metrics = Metrics(version=__version__)
        self._traces = [request_hooks.observe_responses(self._metrics.count_request)]
        self._watches = request_hooks.WatchMonitor(clock=clock)
        # The clock of the process, because a delay must end even if a test sets another clock.
        self._states = WatchStates(clock=time.monotonic, jitter=random.random)
        self._sync = CacheSync(clock=time.monotonic, jitter=random.random)
        self._elector: LeaderElector | None = None
        self._is_serving = False
        self._renderer: Renderer | None = None
        self._probes = health.Health(
            *(self._readiness, self._metrics.exposition, self._states.refusals),
            {rendering.PATH: local_route(lambda document: self._render(document))},
        )
        self._queue = WorkQueue[NamespacedName](jitter=random.random, clock=clock, is_open=False)
        stack.callback(self._queue.close)
        self._control_queue = WorkQueue[NamespacedName](
            jitter=random.random,
            clock=clock,
            backoff_limit_s=timings.CONTROL_BACKOFF_LIMIT_S,
            is_open=False,
        )
        stack.callback(self._control_queue.close)
        self._times = Times(now=_now, clock=clock)

    async def run(
        self, stop: lifecycle.Stop, *, on_kopf: Callable[[], None] = lambda: None
    ) -> None:
        """Stand by, lead, and stop; `on_kopf` is called when kopf runs."""
        stopping = asyncio.create_task(lifecycle.wait_for_stop(stop), name="stop")
        self._stack.callback(stopping.cancel)
        self._stack.callback(event_loop_lag.start(self._metrics.observe_loop_lag).cancel)
        if self._settings.health_port:
            runner = await health.serve(self._probes, self._settings.health_port)
            self._stack.push_async_callback(runner.cleanup)
        if self._settings.lease_namespace:
            self._elector = await self._create_elector()
        tasks = await self._prepare(on_kopf)
        await lifecycle.run_or_stop(stopping, tasks.run(self._elector))

    def _readiness(self) -> str:
        """Return why the replica is not ready; empty if it is."""
        if self._is_serving:
            return ""
        waiting_for = self._sync.waiting_for
        if self._elector is None:
            return waiting_for or "starting"
        is_complete = self._sync.completed.is_set() and not self._elector.is_leading
        return lifecycle.standby_reason(
            self._elector, "" if is_complete else waiting_for or "the lists are not complete"
        )

    async def _create_elector(self) -> LeaderElector:
        # The lease has a separate session, so that renewing never waits for a connection behind other requests.
        leases = LeaseClient(
            await self._connect_cluster(),
            namespace=self._settings.lease_namespace,
            name=self._settings.lease_name,
        )
        elector = LeaderElector(
            leases,
            # A restarted container of the same pod needs a new identity.
            LeaseConfig(
                identity=f"{socket.gethostname()}_{uuid.uuid4().hex[:8]}",
                lease_duration_s=self._settings.lease_s,
            ),
            clock=self._clock,
            now=_now,
            jitter=random.random,
        )
        self._traces.append(request_hooks.fence_writes(elector.guard))
        return elector

    async def _prepare(self, on_kopf: Callable[[], None]) -> ReplicaTasks:
        """Create all components, and return the tasks that run them."""
        cluster = await self._connect_cluster()
        cache = ObjectCache(has_namespaces=bool(self._scope.namespaces))
        observability = await self._create_observability(cluster, cache)
        percent = self._settings.agent_restart_percent
        restarts = RestartBudget(self._queue.add, clock=self._clock, percent=percent)
        scope = HaltScope.of(self._scope, self._states)
        halts = HaltController(
            cluster, self._times, queue_agent=lambda key: lane.on_halts(key), scope=scope
        )
        self._stack.callback(halts.close)
        lane = await self._create_control_lane(
            cache, restarts, halts, on_pod_gone=lambda uid: informer.on_pod_gone(uid)
        )

        def on_object(kind: resources.ResourceKind, manifest: Manifest) -> None:
            halts.on_agent(kind, manifest)
            lane.on_event(kind, manifest)
            observability.absences.on_agent(kind, manifest)
            observability.absences.on_pod(kind, manifest)

        def on_agent_deleted(key: NamespacedName) -> None:
            halts.on_agent_deleted(key)
            observability.absences.on_agent_deleted(key)

        def on_pod_deleted(key: NamespacedName) -> None:
            lane.on_pod_deleted(key)
            observability.absences.on_pod_deleted(key)

        lost = LostNamespaces(self._scope, self._states, cache, self._queue.add)
        self._stack.callback(lost.close)
        targets = EventTargets(
            nodes=NodeInventory(
                clock=self._clock,
                scope=self._scope,
                trusted=TrustedNamespaces(self._settings.datadog_namespaces),
            ),
            restarts=restarts,
            uses_instrumentation=self._settings.datadog_instrumentation,
            telemetry=TelemetryProbe(self._agents.probes, self._queue.add, jitter=random.random),
            clock=self._clock,
            on_stateful_set=observability.rollouts.observe,
            on_object=on_object,
            on_refusal=lost.on_refused,
            on_agent_deleted=on_agent_deleted,
            on_pod_deleted=on_pod_deleted,
        )
        informer = Informer(cluster, cache, self._queue, targets)
        deps = self._dependencies(informer, targets, lane, halts)
        deps = replace(deps, unwatched_reason=lost.reason)
        defaults, times = self._settings.defaults, self._times
        reconciler = Reconciler(cluster, cache, defaults, deps=deps, times=times)
        self._renderer = Renderer(cache, defaults, deps=deps, times=times)
        self._stack.callback(reconciler.close)
        workers = self._workers(reconciler, lane)
        own_health = OwnHealth(
            scope=self._scope,
            states=self._states,
            watches=self._watches,
            silence_limit_s=self._settings.watch_silence_s,
            elector=self._elector,
        )
        queues = self._queue, self._control_queue
        fleets = functools.partial(_fleets, informer.totals, observability)
        gauges = own_health.gauges(queues, informer.totals, restarts, fleets=fleets)
        self._metrics.register_gauges(gauges)

        routes = handlers.WatchRoutes((informer, observability, halts), self._scope)
        traces = [*self._traces, self._watches.trace()]
        sessions = WatchSessions(self._connect, traces, self._states, self._watches)
        lease = reference(self._settings.lease_namespace, self._settings.lease_name)
        takeover = Takeover(
            watching=await sessions.open(self._stack, cluster, routes, on_kopf=on_kopf),
            sync=self._sync,
            queues=(self._queue, self._control_queue),
            informer=informer,
            lane=lane,
            halts=halts,
            observability=observability,
            reporters=(lambda: lost.post_events(cluster, lease, _now),),
        )

        def on_complete() -> None:
            # From now on, stalled or refused watches and a stuck queue fail /livez.
            self._probes.add(*own_health.checks(workers, observability.passes))
            lifecycle.freeze_objects()

        return takeover.tasks(workers, on_complete=on_complete, on_started=self._on_started)

    def _render(self, document: object) -> Answer:
        """Return the preview of an agent. Only a leader has listed the halts, and has a memory about the agents."""
        if self._renderer is None or not self._is_serving:
            return 503, {"error": "this replica does not lead"}
        return self._renderer.answer(document)

    def _on_started(self) -> None:
        self._is_serving = True

    def _workers(self, reconciler: Reconciler, lane: ControlLane) -> AllWorkers:
        passes = TimedReconciler(
            reconciler.reconcile, clock=self._clock, on_pass_end=self._metrics.observe_reconcile
        )
        control_passes = TimedReconciler(
            lane.reconcile, clock=self._clock, on_pass_end=lambda outcome, seconds: None
        )
        control = WorkerPool(
            name="control_workers",
            queue=self._control_queue,
            passes=control_passes,
            count=control_lane.WORKERS,
        )
        count = self._settings.workers
        return control.with_passes("workers", self._queue, passes, count=count)

    async def _create_control_lane(
        self,
        cache: ObjectCache,
        restarts: RestartBudget,
        halts: HaltController,
        *,
        on_pod_gone: Callable[[str], None],
    ) -> ControlLane:
        """Create the control lane with its own connections, so that it never waits behind other requests."""
        cluster = await self._connect_cluster(
            pool_size=control_lane.CONNECTIONS, timeout_s=timings.CONTROL_REQUEST_TIMEOUT_S
        )
        memories = AgentMemories(self._clock, restarts)
        self._stack.callback(memories.close)
        deps = ControlDependencies(
            memories=memories,
            acknowledgements=ModeAcknowledgements(
                self._agents.acknowledgements, self._queue_agent, clock=self._clock
            ),
            on_change=self._queue.add,
            times=self._times,
            halts=halts,
            on_pod_gone=on_pod_gone,
            on_progress=halts.record,
        )
        return ControlLane(cluster, cache, self._control_queue, deps)

    def _queue_agent(self, key: NamespacedName) -> None:
        """Queue an agent in the control lane, and for a pass that reports the result."""
        self._control_queue.add(key)
        self._queue.add(key)

    def _dependencies(
        self, informer: Informer, targets: EventTargets, lane: ControlLane, halts: HaltController
    ) -> Dependencies:
        return Dependencies(
            control=lane,
            search_pods=lane.search_pods,
            memories=lane.memories,
            restarts=targets.restarts,
            acknowledgements=lane.acknowledgements,
            nodes=targets.nodes,
            reports=targets.telemetry,
            on_agent_gone=informer.on_agent_gone,
            identity_holder=informer.identities.holder_other_than,
            confirm_identity=informer.identity_reads.confirm,
            workloads=informer.identities.writes,
            never_started=informer.identities.history.never_started,
            on_explanation=self._queue.add,
            sees_all_namespaces=not self._scope.namespaces,
            halts=halts,
            is_instrumentation_served=lambda: informer.instrumentation.is_served,
            on_progress=halts.record,
            upgrade_policy=self._settings.agent_upgrade_policy,
        )

    async def _create_observability(
        self, cluster: HttpKubeClient, cache: ObjectCache
    ) -> ObservabilityController:
        """Create the controller of PurpleFleaObservability; the fence of the lease applies to its writes, too."""
        traces = [request_hooks.fence_writes(self._elector.guard)] if self._elector else []
        session = transport.session(traces, user_agent=credentials.USER_AGENT)
        await self._stack.enter_async_context(session)
        hooks = MetricHooks(
            request=self._metrics.count_datadog_request, end_of_pass=self._metrics.observe_sync
        )
        access = DatadogAccess(session=session, urls=self._settings.datadog_urls)
        fleet = CachedFleet(RolloutIndex(), cache)
        controller = build_controller(cluster, access, hooks, fleet, self._times)
        self._stack.callback(controller.close)
        return controller

    async def _connect_cluster(
        self,
        *,
        pool_size: int = credentials.POOL_SIZE,
        timeout_s: float = timings.KUBE_REQUEST_TIMEOUT_S,
    ) -> HttpKubeClient:
        try:
            info = self._connect()
            session = credentials.session(info, traces=self._traces, pool_size=pool_size)
        except credentials.NotConnectedError as error:
            raise lifecycle.StartError(str(error)) from error
        await self._stack.enter_async_context(session)
        return HttpKubeClient(info.server, session, self._scope, timeout_s=timeout_s)


def _fleets(
    totals: FleetTotals, observability: ObservabilityController
) -> Mapping[Fleet, tuple[int, float]]:
    return totals.fleets(observability.fleets(), _now())


def _now() -> datetime:
    return datetime.now(UTC)
