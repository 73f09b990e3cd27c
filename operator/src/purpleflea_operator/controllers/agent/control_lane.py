"""The control lane: brings the trading mode to the pods of an agent, beside the passes and independent of them.

It has its own queue, workers, connections and backoff, so slow, failing or throttled requests of passes delay no halt.
It writes the mode into the ConfigMap, sets the mount refresh annotations, and requests the acknowledgements. Passes
leave these writes to the lane and wait for them, so each write is sent once, and only the newest mode is written. The
lane also serves agents that are being deleted, and agents whose spec is invalid otherwise. It writes nothing else, and
no status.
"""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from purpleflea_contract.control import Control, Mode
from purpleflea_operator.controllers.agent.agent_confirmation import AgentConfirmation, Decide
from purpleflea_operator.controllers.agent.agent_memory import AgentMemories, AgentMemory
from purpleflea_operator.controllers.agent.config_map_writes import ConfigMapWrites, OutdatedError
from purpleflea_operator.controllers.agent.control_requests import ControlRequests, SupersededError
from purpleflea_operator.controllers.agent.decisions import control, plan, trading_mode
from purpleflea_operator.controllers.agent.decisions.control import ControlActions
from purpleflea_operator.controllers.agent.decisions.effective_mode import live_config_map
from purpleflea_operator.controllers.agent.decisions.gather import has_workload_or_pods
from purpleflea_operator.controllers.agent.decisions.halt_progress import agent_progress
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.controllers.agent.decisions.remembered import NOTHING
from purpleflea_operator.controllers.agent.hidden_pods import HiddenPods
from purpleflea_operator.controllers.agent.mode_acknowledgements import ModeAcknowledgements
from purpleflea_operator.controllers.agent.mount_refresh import (
    CONCURRENT_NUDGES,
    RefreshError,
    refresh_config_mount,
)
from purpleflea_operator.controllers.halt.decisions.halt import NO_HALTS, HaltView
from purpleflea_operator.controllers.halt.decisions.progress import AgentProgress
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache, owner_of
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.manifests.config_map import control_of
from purpleflea_operator.parsing import Manifest
from purpleflea_operator.runtime.workers import Result, Times
from purpleflea_operator.runtime.workqueue import WorkQueue

logger = logging.getLogger(__name__)

WORKERS = 32
"""Concurrent passes of the lane."""
MAX_CONFLICTS = 3
"""Writes of one mode that are rejected as outdated before the backoff applies."""
CONNECTIONS = WORKERS * CONCURRENT_NUDGES
"""Every worker can send as many annotations as it may without a wait for a connection."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlDependencies:
    """Everything that the lane uses besides the cache."""

    memories: AgentMemories
    acknowledgements: ModeAcknowledgements
    on_change: Callable[[NamespacedName], None]
    """Called with the agent after the lane has written, so that a pass reports the result."""
    times: Times
    halts: HaltView = NO_HALTS
    on_pod_gone: Callable[[str], None] = lambda uid: None
    """Called with the UID of a pod that does not exist any more, although it is cached."""
    on_progress: Callable[[NamespacedName, AgentProgress], None] = lambda key, progress: None
    """Called with the acknowledgements of an agent after each attempt to bring its mode to the pods."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Failure:
    """The failure of the last attempt for an agent, and the control file that was requested then."""

    error: Exception
    control: Control | None


class ControlLane:
    """Writes of the trading mode for the agents of one cluster; `cluster` has its own connections."""

    def __init__(
        self,
        cluster: KubeClient,
        cache: ObjectCache,
        queue: WorkQueue[NamespacedName],
        deps: ControlDependencies,
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._writes = ConfigMapWrites(cluster, cache)
        self._hidden = HiddenPods(cluster, cache, clock=deps.times.clock)
        self._queue = queue
        self._deps = deps
        self.memories = deps.memories
        self.acknowledgements = deps.acknowledgements
        self._failures: dict[NamespacedName, _Failure] = {}
        self._unsettled: dict[NamespacedName, Manifest] = {}
        """Writes that loosen the mode, and that the API server may still process."""
        self._waiters: dict[NamespacedName, list[asyncio.Future[None]]] = defaultdict(list)
        self._requests = ControlRequests()
        self.confirmation = AgentConfirmation(cluster, cache)
        self._unreported: set[NamespacedName] = set()
        """Agents whose halts have changed since the lane last processed them."""

    def on_event(self, kind: ResourceKind, manifest: Manifest) -> None:
        """Queue the agent of an object if its pods may not have the desired mode, at O(1).

        The check reads the cache and not the event, because the response to a write can be newer than the event.
        """
        key = owner_of(manifest)
        if key is None or kind not in (resources.AGENT, resources.CONFIG_MAP, resources.POD):
            return
        config_maps = self._cache.owned(resources.CONFIG_MAP, key)
        if kind is resources.POD:
            is_due = control.lacks_refresh(manifest, config_maps)
        else:
            resource = self._cache.agent(key)
            has_pods = not config_maps and has_workload_or_pods(self._cache, key)
            is_due = resource is not None and (
                self._is_superseded(key)
                or control.mode_differs(resource, config_maps, self._deps.halts, has_pods=has_pods)
            )
        if is_due:
            self.requeue(key, urgent=kind is not resources.POD)

    def on_pod_deleted(self, key: NamespacedName) -> None:
        """Queue an agent that must not trade, because its pod may only have left the watch."""
        requested = self._requested(key)
        if requested is not None and requested.mode is not Mode.ACTIVE:
            self._queue.add(key)

    def _is_superseded(self, key: NamespacedName) -> bool:
        """Return whether a write that is not complete brings another mode than the requested one."""
        unsettled = self._unsettled.get(key)
        sent = [self._requests.control_of(key)] if key in self._requests else []
        sent += [] if unsettled is None else [control_of(unsettled)]
        return bool(sent) and any(item != self._requested(key) for item in sent)

    def requeue(self, key: NamespacedName, *, urgent: bool = True) -> None:
        """Queue an agent whose mode may have changed. A write in flight of another mode is canceled.

        Writes of the mode are urgent. Mount refreshes and requests for acknowledgements are not.

        A request that hangs until its timeout would delay the newer mode. If the API server performs a canceled request
        later, it rejects one that resumes, because its resource version is outdated. A halt is undone by the event.
        A Retry-After of another mode does not apply to the newer one.
        """
        is_open, failure = key in self._requests, self._failures.get(key)
        requested = self._requested(key) if is_open or failure else None
        if is_open and requested not in (None, self._requests.control_of(key)):
            self._requests.cancel(key)
        if failure is not None and requested not in (None, failure.control):
            del self._failures[key]
            self._queue.release(key)
        self._queue.add(key, urgent=urgent)

    def search_pods(self, key: NamespacedName) -> None:
        """Queue an agent of which a pod may run although it is not watched.

        After a failed write the lane tries again by itself, with backoff, and searches the pod then.
        """
        if key not in self._failures:
            self._queue.add(key)

    def on_halts(self, key: NamespacedName) -> None:
        """Queue an agent whose PurpleFleaHalts have changed. A pass reports them afterwards.

        A halt can concern all agents, so their passes must not take the time of their writes.
        """
        self._unreported.add(key)
        self.requeue(key)

    async def settle(self, key: NamespacedName) -> None:
        """Wait until the pods of an agent have the desired mode, as far as writes are concerned.

        If the last attempt failed, its error is raised immediately, because the lane may have to wait for a
        Retry-After, and the caller must not.

        Raises:
            ApiError: The ConfigMap could not be written.
            RefreshError: The ConfigMap is written, and a pod could not be annotated.
        """
        while self._actions(key):
            if key in self._failures:
                raise errors.without_hold(self._failures[key].error)
            waiter = asyncio.get_running_loop().create_future()
            self._waiters[key].append(waiter)
            self._queue.add(key)
            await waiter

    async def reconcile(self, key: NamespacedName) -> Result:
        """Perform the writes for one agent that are due, and request its acknowledgements.

        Raises:
            ApiError: A request failed, and should be retried.
        """
        failure: Exception | None = errors.Unavailable("the control lane was interrupted")
        is_incomplete = False
        try:
            is_incomplete = await self._write(key)
            failure = None
        except (errors.ApiError, RefreshError) as error:
            failure = error
            self._failures[key] = _Failure(error=error, control=self._requested(key))
        finally:
            if failure is None or isinstance(failure, RefreshError):
                # The mode is written. Mount refreshes and acknowledgements are not urgent.
                self._queue.end_urgency(key)
            self._resolve(key, failure)
            if key in self._unreported:
                self._unreported.discard(key)
                self._deps.on_change(key)
        if isinstance(failure, errors.ApiError):
            raise failure
        if is_incomplete:
            return Result(requeue_after_s=0.0)
        requeue_after_s = self._ask(key)
        if isinstance(failure, RefreshError):
            raise failure.cause
        waits = (requeue_after_s, await self._search(key))
        return Result(requeue_after_s=min((s for s in waits if s is not None), default=None))

    async def _search(self, key: NamespacedName) -> float | None:
        """Search pods that must not trade and are not watched any more. Return the seconds until the next search."""
        if (known := self._known(key)) is None:
            return None
        memory, observed = known
        # Without a ConfigMap, a pod that does not exist yet could start with another mode.
        if not trading_mode.unaccounted(observed) or live_config_map(observed) is None:
            return None
        before = set(memory.unseen), dict(memory.unrestored)
        try:
            work = self._hidden.search(key, memory)
            return await self._requests.perform(key, self._requested(key), work)
        except SupersededError:
            return 0.0
        finally:
            if before != (set(memory.unseen), memory.unrestored):
                self._queue.add(key)
                self._deps.on_change(key)

    async def _write(self, key: NamespacedName) -> bool:
        """Perform the writes, and return whether some are left. A newer mode supersedes those in flight.

        After a conflict they are decided again from the version that is stored, because the cache can be outdated. The
        decision is a large part of the processor time of a halt of all agents, so it is not repeated without need.
        """
        conflicts = 0
        while actions := self._actions(key):
            confirmed = await self.confirmation.of(key)
            if confirmed.decide is not control.control_actions:
                actions = self._actions(key, confirmed.decide)
            if not actions:
                if confirmed.error is not None and self._actions(key):
                    raise confirmed.error
                return False
            try:
                work = self._perform(key, confirmed.decide, actions)
                is_complete = await self._requests.perform(key, self._requested(key), work)
            except SupersededError:
                continue
            except OutdatedError as error:
                conflicts += 1
                if conflicts == MAX_CONFLICTS:
                    raise error.cause from error
                continue
            is_incomplete = not is_complete or bool(self._actions(key))
            if confirmed.error is not None and is_incomplete:
                raise confirmed.error
            return is_incomplete
        return False

    def _requested(self, key: NamespacedName) -> Control | None:
        resource = self._cache.agent(key)
        return None if resource is None else control.requested_control(resource, self._deps.halts)

    async def _perform(self, key: NamespacedName, decide: Decide, actions: ControlActions) -> bool:
        """Perform the writes; return False if the mount refreshes are left for later."""
        writes = [item for item in actions if not isinstance(item, plan.RefreshConfigMount)]
        for action in writes:
            await self._store(key, action)
            logger.info("mode written", extra={"namespace": key.namespace, "agent": key.name})
        if writes and self._queue.has_urgent():
            return False  # The modes of all waiting agents are written before the first mount is refreshed.
        found = self._actions(key, decide) if writes else actions
        refreshes = [item for item in found if isinstance(item, plan.RefreshConfigMount)]
        resource = self._cache.agent(key)
        memory = None if resource is None else self._memory(key, resource)

        def on_stored(stored: Manifest) -> None:
            self._cache.put(stored)
            if memory is not None:
                self.acknowledgements.on_nudged(memory, stored)

        try:
            await refresh_config_mount(
                self._cluster,
                key.namespace,
                refreshes,
                on_stored=on_stored,
                on_gone=self._deps.on_pod_gone,
            )
        except errors.Transient as error:
            raise RefreshError(error) from error
        finally:
            self._deps.on_change(key)
        return True

    async def _store(self, key: NamespacedName, action: plan.Create | plan.Apply) -> None:
        """Write the ConfigMap. From now on, earlier acknowledgements prove nothing.

        Raises:
            OutdatedError: The cached version was outdated.
            ApiError: The request failed.
        """
        manifest, known = action.manifest, self._known(key)
        if known is not None and control_of(manifest) == Control(mode=Mode.ACTIVE):
            # The agents may trade from now on, so a new halt must not count what they acknowledged before.
            self.acknowledgements.update(*known)
            self._deps.on_progress(key, AgentProgress(mode=Mode.ACTIVE))
        try:
            await self._writes.perform(action)
        except (asyncio.CancelledError, errors.Unavailable):
            # The API server may perform the request later.
            if "resourceVersion" in manifest["metadata"]:
                self._unsettled[key] = control.weaker_of(self._unsettled.get(key), manifest)
            raise
        self._unsettled.pop(key, None)
        if (known := self._known(key)) is not None:
            self.acknowledgements.on_written(*known)

    def _actions(
        self, key: NamespacedName, decide: Decide = control.control_actions
    ) -> ControlActions:
        resource = self._cache.agent(key)
        if resource is None:
            self._unsettled.pop(key, None)
            return ()
        observed = self._observe(resource, self._memory(key, resource))
        # While an agent is being deleted, a mode matters only to the pods that may still run.
        if _is_deleting(resource) and not (observed.pods or trading_mode.live_replicas(observed)):
            return ()
        return decide(observed, self._unsettled.get(key))

    def _memory(self, key: NamespacedName, resource: dict[str, Any]) -> AgentMemory | None:
        """Return the memory about an agent; None if a pass removes it, because the agent is deleted and has no pods."""
        if _is_deleting(resource) and not has_workload_or_pods(self._cache, key):
            return None
        return self.memories.of(key, resource["metadata"]["uid"])

    def _known(self, key: NamespacedName) -> tuple[AgentMemory, ObservedState] | None:
        """Return the memory about an agent, and its state; None if there is no memory."""
        resource = self._cache.agent(key)
        if resource is None or (memory := self._memory(key, resource)) is None:
            return None
        return memory, self._observe(resource, memory)

    def _observe(self, resource: dict[str, Any], memory: AgentMemory | None) -> ObservedState:
        times = self._deps.times
        now = times.now()
        remembered = NOTHING if memory is None else memory.snapshot(now, times.clock())
        return control.control_state(
            resource, self._cache, now=now, remembered=remembered, halts=self._deps.halts
        )

    def _ask(self, key: NamespacedName) -> float | None:
        """Send the requests for acknowledgements that are due. Return the seconds until the next ones."""
        resource = self._cache.agent(key)
        if resource is None or (memory := self._memory(key, resource)) is None:
            return None
        observed, acknowledgements = self._observe(resource, memory), self.acknowledgements
        requests = acknowledgements.update(memory, observed)
        if memory.unseen != observed.trading.unseen:
            observed = self._observe(resource, memory)
        acknowledgements.ask(key, observed, requests)
        self._deps.on_progress(key, agent_progress(observed, requests.attempts))
        return acknowledgements.requeue_after_s(observed, requests)

    def _resolve(self, key: NamespacedName, failure: Exception | None) -> None:
        """End the wait of the callers of `settle`."""
        if failure is None:
            self._failures.pop(key, None)
        for waiter in self._waiters.pop(key, ()):
            if waiter.done():
                continue
            if failure is None:
                waiter.set_result(None)
            else:
                waiter.set_exception(failure)


def _is_deleting(resource: Manifest) -> bool:
    return "deletionTimestamp" in resource["metadata"]
