"""One pass over one agent: gather, plan, apply, evaluate the conditions, write the status.

Each pass starts from the cache and from the memory of the agent, so it can be interrupted anywhere and run again. It
needs no locks, because the queue gives each key to one worker at a time.
"""

import contextlib
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_operator import timings
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent import pod_deletion, pod_diagnosis
from purpleflea_operator.controllers.agent.agent_memory import (
    AgentMemories,
    AgentMemory,
    ModeRequests,
)
from purpleflea_operator.controllers.agent.apply import (
    Applier,
    ApplyContext,
    ControlWrites,
    OwnerGoneError,
)
from purpleflea_operator.controllers.agent.decisions import (
    instrumentation,
    plan,
    ready_times,
    remembered,
    rollout,
    status,
    status_throttle,
    trading_mode,
    upgrade,
    write_failures,
)
from purpleflea_operator.controllers.agent.decisions.conditions import storage_ready, summary
from purpleflea_operator.controllers.agent.decisions.conditions.progressing import (
    deadline,
)
from purpleflea_operator.controllers.agent.decisions.conditions.trading_active import trading_active
from purpleflea_operator.controllers.agent.decisions.duplicate_identities import IdentityClaim
from purpleflea_operator.controllers.agent.decisions.gather import (
    AgentReports,
    Surroundings,
    gather,
    has_workload_or_pods,
)
from purpleflea_operator.controllers.agent.decisions.halt_progress import agent_progress
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    ObservedState,
    PassOutcome,
    with_outcome,
)
from purpleflea_operator.controllers.agent.desired_children import DesiredChildren
from purpleflea_operator.controllers.agent.event_recorder import EventRecorder
from purpleflea_operator.controllers.agent.mode_acknowledgements import ModeAcknowledgements
from purpleflea_operator.controllers.agent.pod_diagnosis import PodDiagnosis
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.controllers.agent.restart_turn import RestartTurn
from purpleflea_operator.controllers.agent.volume_expansion import VolumeExpansion
from purpleflea_operator.controllers.agent.workload_writes import WorkloadWrites
from purpleflea_operator.controllers.halt.decisions.halt import NO_HALTS, HaltView
from purpleflea_operator.controllers.halt.decisions.progress import AgentProgress
from purpleflea_operator.datadog.detection.coverage import NodeView
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.kept_metadata import agent_annotations
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.manifests.metadata import Defaults
from purpleflea_operator.parsing import Manifest
from purpleflea_operator.runtime.workers import Result, Times


def _ignore(*_: object) -> None:
    """Do nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """Everything that a pass uses besides the agent resource and its children."""

    control: ControlWrites
    memories: AgentMemories
    restarts: RestartBudget
    acknowledgements: ModeAcknowledgements
    nodes: NodeView
    reports: AgentReports
    on_agent_gone: Callable[[str], None]
    """Called with the UID of an agent resource that does not exist any more, although it is cached."""
    identity_holder: Callable[[str], IdentityClaim | None]
    """Returns the other agent that holds the identities of an agent, by UID of the resource."""
    confirm_identity: Callable[[NamespacedName], Awaitable[None]]
    """Reads the pods that may have the identities of an agent, if the cache can miss some."""
    workloads: WorkloadWrites
    never_started: Callable[[Manifest], bool]
    """Returns whether no container of an agent has ever run."""
    on_explanation: Callable[[NamespacedName], None]
    """Called if Events explain why pods of an agent do not start."""
    sees_all_namespaces: bool = True
    unwatched_reason: Callable[[str], str] = lambda namespace: ""
    """Returns why the objects of a namespace are outdated; empty if they are not."""
    is_instrumentation_served: Callable[[], bool | None] = lambda: False
    """Returns whether the kind DatadogInstrumentation is used; None if it is not known whether it is served."""
    halts: HaltView = NO_HALTS
    search_pods: Callable[[NamespacedName], None] = _ignore
    """Queues an agent in the control lane, which searches pods that may run although they are not watched."""
    on_progress: Callable[[NamespacedName, AgentProgress], None] = _ignore
    """Called with the acknowledgements of an agent at the end of a pass."""
    upgrade_policy: upgrade.Policy = "Paced"
    """Whether upgrades of agents by the operator are paced, or wait for a request of a user."""

    def surroundings(self, resource: Manifest, *, cluster: str) -> Surroundings:
        """Return the views of everything besides the objects of a cached agent."""
        metadata = resource["metadata"]
        holder = self.identity_holder(metadata["uid"])
        return Surroundings(
            nodes=self.nodes,
            reports=self.reports,
            conflicting_agent="" if holder is None else f"{holder.namespace}/{holder.name}",
            conflict_is_ending=holder is not None and holder.is_ending,
            conflict_ends_in_s=None if holder is None else holder.loses_in_s,
            cluster=cluster,
            conflict_error="" if holder is None else holder.error,
            never_started=self.never_started(resource),
            sees_all_namespaces=self.sees_all_namespaces,
            unwatched=self.unwatched_reason(metadata["namespace"]),
            halts=self.halts,
        )


class Reconciler:
    """Reconciles the agents of one cluster."""

    def __init__(
        self,
        cluster: KubeClient,
        cache: ObjectCache,
        defaults: Defaults,
        *,
        deps: Dependencies,
        times: Times,
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._children = DesiredChildren(
            defaults, deps.is_instrumentation_served, deps.upgrade_policy
        )
        self._cluster_name = defaults.cluster
        self._deps = deps
        self._now = times.now
        self._clock = times.clock
        self._diagnosis = PodDiagnosis(cluster, deps.on_explanation, now=times.now)
        self._expansion = VolumeExpansion(cluster, cache, clock=times.clock)
        self._applier = Applier(cluster, cache, self._expansion, deps.control, now=times.now)
        self._events = EventRecorder(cluster, now=times.now, clock=times.clock)

    def close(self) -> None:
        """Cancel the requests that no pass waits for."""
        self._diagnosis.close()
        self._events.close()

    async def reconcile(self, key: NamespacedName) -> Result:
        """Run one pass.

        Raises:
            ApiError: A request failed, and the pass should be retried.
        """
        await self._deps.confirm_identity(key)
        resource = self._cache.agent(key)
        if resource is None:
            self._deps.memories.forget(key)
            await pod_deletion.delete_orphans(self._cluster, self._cache, key)
            return Result()
        if "deletionTimestamp" in resource["metadata"]:
            return await self._reconcile_deleting(key, resource)
        uid = resource["metadata"]["uid"]
        memory = self._deps.memories.of(key, uid)
        before = self._observe(resource, memory)
        requests = self._deps.acknowledgements.update(memory, before)
        if memory.unseen != before.trading.unseen:
            before = self._observe(resource, memory)
        if trading_mode.unaccounted(before):
            self._deps.search_pods(key)
        restart = RestartTurn(budget=self._deps.restarts, key=key, env=_env(before), memory=memory)
        outcome = PassOutcome(connection=restart.connection(before), children=dict(before.children))
        is_new = before.reported_generation is None
        context = ApplyContext(
            key=key,
            uid=uid,
            memory=memory,
            outcome=outcome,
            workloads=self._deps.workloads,
            is_new=is_new,
        )
        try:
            await self._act(before, context, restart)
        except OwnerGoneError:
            self._deps.on_agent_gone(uid)
            self._deps.memories.forget(key)
            return Result()
        # Otherwise the mode has changed during the writes, and these requests are canceled.
        is_current = memory.mode_requests is requests
        if is_current:
            self._deps.acknowledgements.ask(key, before, requests)
        self._announce_upgrade(resource, before, outcome)
        self._diagnosis.explain(key, before, outcome, memory)
        after = with_outcome(before, outcome)
        if is_current:
            self._deps.on_progress(key, agent_progress(after, requests.attempts))
        restart.end(after)
        status_s = await self._report(resource, after, memory)
        if context.transient_errors:
            raise max(context.transient_errors, key=lambda error: error.retry_after_s)
        retry_s = (status_s, context.retry_after_s(), self._deps.restarts.retry_after_s(key))
        return Result(requeue_after_s=self._requeue_after_s(retry_s, after, memory, requests))

    async def _reconcile_deleting(self, key: NamespacedName, resource: dict[str, Any]) -> Result:
        """Report the mode of an agent that is being deleted while a finalizer keeps it and its pods."""
        if not has_workload_or_pods(self._cache, key):
            self._deps.memories.forget(key)
            return Result()
        self._deps.restarts.forget(key)
        memory = self._deps.memories.of(key, resource["metadata"]["uid"])
        observed = self._observe(resource, memory)
        requests = self._deps.acknowledgements.update(memory, observed)
        self._deps.acknowledgements.ask(key, observed, requests)
        self._deps.on_progress(key, agent_progress(observed, requests.attempts))
        current, asked_s = resource.get("status", {}), memory.status_writes.wait_s()
        wanted = status.with_trading(current, observed, trading_active(observed), now=self._now())
        is_repetition = memory.status_writes.is_repetition(wanted, current)
        differs = wanted != current and not is_repetition
        if differs and not asked_s:
            with contextlib.suppress(errors.NotFound):
                await self._write_status(resource, wanted, memory)
        waits = (
            self._deps.acknowledgements.requeue_after_s(observed, requests),
            asked_s if differs and asked_s else None,
        )
        return Result(requeue_after_s=min((s for s in waits if s is not None), default=None))

    def _requeue_after_s(
        self,
        writes_s: Iterable[float | None],
        observed: ObservedState,
        memory: AgentMemory,
        requests: ModeRequests,
    ) -> float | None:
        """Return the seconds until the next pass without an event: the minimum of all reasons."""
        limit = deadline(observed)
        waits = (
            *writes_s,
            pod_diagnosis.requeue_after_s(observed),
            self._deps.acknowledgements.requeue_after_s(observed, requests),
            self._expansion.requeue_after_s(memory),
            (limit - self._now()).total_seconds() if limit else None,
            rollout.next_check_s(observed),
            instrumentation.next_check_s(observed),
            storage_ready.next_check_s(observed),
            observed.conflict_ends_in_s,
            timings.RECREATE_REQUEUE_S
            if observed.agent and not observed.failure and not observed.stateful_set
            else None,
        )
        # This pass has already reported a deadline in the past.
        return min((wait for wait in waits if wait is not None and wait >= 0.0), default=None)

    def _observe(self, resource: dict[str, Any], memory: AgentMemory) -> ObservedState:
        surroundings = self._deps.surroundings(resource, cluster=self._cluster_name)
        now, monotonic_s = self._now(), self._clock()
        known = memory.snapshot(now, monotonic_s)
        observed = gather(resource, self._cache, surroundings, now=now, remembered=known)
        memory.ready_times = ready_times.seen(observed.pods, memory.ready_times, monotonic_s)
        observed = ready_times.corrected(observed, memory.ready_times, now, monotonic_s)
        if observed.stateful_set is not None:
            memory.recreated = None
        if not remembered.applies(memory.expansion, observed.agent, observed.claims):
            memory.expansion = None
        return observed

    async def _act(
        self, observed: ObservedState, context: ApplyContext, restart: RestartTurn
    ) -> None:
        """Perform the planned writes; writes that fail become part of the outcome."""
        outcome = context.outcome
        await self._applier.perform(self._plan(observed, outcome, restart), context)
        failures = [
            *restart.settle(outcome, context.failures),
            *context.memory.unrestored.values(),
        ]
        outcome.failure, outcome.failure_reason = write_failures.reported(failures)
        outcome.not_stored = write_failures.not_stored(failures)
        outcome.is_applied = all(item.reason is Reason.NOT_STORED for item in failures)

    def _plan(
        self, observed: ObservedState, outcome: PassOutcome, restart: RestartTurn
    ) -> tuple[plan.Action, ...]:
        if observed.agent is None:
            return plan.invalid_actions(observed)
        children = self._children.of(observed, observed.agent, outcome, restart)
        is_served = self._deps.is_instrumentation_served()
        return plan.actions(children, instrumentation.removable(observed, is_served))

    def _announce_upgrade(
        self, resource: dict[str, Any], before: ObservedState, outcome: PassOutcome
    ) -> None:
        """Queue an Event if this pass has started an upgrade."""
        if not upgrade.has_started(before.stateful_set, outcome.stateful_set):
            return
        env = _env(before)
        left = self._deps.restarts.pending()[env]
        text = f"agents restart for the new version of the operator; {left} more agents of env {env} are waiting"
        self._events.announce_upgrade(resource, text)

    async def _report(
        self, resource: dict[str, Any], observed: ObservedState, memory: AgentMemory
    ) -> float | None:
        """Write the status if that is due; returns the seconds until it is, None if nothing is to be written."""
        current, requests = resource.get("status", {}), memory.mode_requests
        asked = () if requests is None else requests.attempts
        findings = summary.findings(observed)
        name = resource["metadata"]["name"]
        wanted = status.next_status(current, observed, findings, name=name, now=self._now())
        if memory.status_writes.is_repetition(wanted, current):
            # The API server stores this status differently, such as with an older CRD that lacks a field.
            return None
        since_s = memory.status_writes.since_write_s()
        after_s = status.write_after_s(current, wanted, since_write_s=since_s)
        if after_s != 0.0:
            return after_s
        is_progress = status.is_only_progress(current, wanted, is_applied=observed.is_applied)
        is_unasked = status_throttle.acknowledgements_are_pending(current, observed, asked)
        delay_s = _status_delay_s(
            memory, observed, is_only_progress=is_progress, is_unasked=is_unasked
        ) or memory.start_debounce.remaining_s(waits=status.is_only_start(current, wanted))
        if delay_s:
            return delay_s
        stored = await self._write_status(resource, wanted, memory)
        self._events.record(resource, current, wanted, memory.troubled_conditions)
        # The response can contain a newer spec. The event of that change is then outdated for the cache, so the key
        # has to be queued here.
        return 0.0 if _user_intent(stored) != _user_intent(resource) else None

    async def _write_status(
        self, resource: dict[str, Any], wanted: status.Status, memory: AgentMemory
    ) -> Manifest:
        metadata = resource["metadata"]
        memory.status_writes.record_write()
        manifest = {
            "apiVersion": kubernetes.API_VERSION,
            "kind": resources.AGENT.kind,
            # With the UID, the API server rejects the status of a deleted agent for a recreated one.
            "metadata": {key: metadata[key] for key in ("name", "namespace", "uid")},
            "status": wanted,
        }
        try:
            stored = await self._cluster.apply_status(manifest)
        except errors.ApiError:
            memory.status_writes.record_failure()
            raise
        memory.status_writes.record_success(wanted, stored.get("status", {}))
        self._cache.put(stored)
        return stored


def _status_delay_s(
    memory: AgentMemory, observed: ObservedState, *, is_only_progress: bool, is_unasked: bool
) -> float:
    """Return the seconds until a status that differs may be written."""
    is_behind = status_throttle.pods_are_behind(observed)
    behind_s = memory.replicas_debounce.remaining_s(waits=is_behind)
    unasked_s = memory.acknowledgements_debounce.remaining_s(waits=is_unasked)
    return (
        min(max(behind_s, unasked_s), timings.DEBOUNCE_RECHECK_S)
        or memory.progress_debounce.remaining_s(waits=is_only_progress)
        or memory.status_writes.wait_s()
    )


def _env(observed: ObservedState) -> str:
    return "" if observed.agent is None else observed.agent.spec.datadog.env


def _user_intent(resource: Manifest) -> tuple[Any, ...]:
    """Return what users set on an agent: the spec, by its generation, the annotations, and the deletion."""
    metadata = resource["metadata"]
    return metadata["generation"], agent_annotations(metadata), "deletionTimestamp" in metadata
