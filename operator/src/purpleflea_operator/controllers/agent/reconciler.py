"""One pass over one agent: gather, plan, act, check, write the status.

Each pass starts from nothing but the cache, so it may be cut off anywhere and simply be run again. It holds no locks:
the queue gives each key to one worker at a time.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_operator import timings
from purpleflea_operator.controllers.agent import apply
from purpleflea_operator.controllers.agent.apply import (
    Applier,
    ApplyContext,
    NameTakenError,
    OwnerGoneError,
)
from purpleflea_operator.controllers.agent.conditions import summary
from purpleflea_operator.controllers.agent.conditions.progressing import deadline
from purpleflea_operator.controllers.agent.decisions import plan, status, status_throttle
from purpleflea_operator.controllers.agent.decisions.duplicate_identities import IdentityClaim
from purpleflea_operator.controllers.agent.decisions.gather import Ground, world_of
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.controllers.agent.decisions.rollout import effective_agent
from purpleflea_operator.controllers.agent.decisions.status_throttle import (
    Debounce,
    WriteRateLimiter,
)
from purpleflea_operator.controllers.agent.event_recorder import EventRecorder
from purpleflea_operator.controllers.agent.mode_acknowledgements import ModeAcknowledgements
from purpleflea_operator.controllers.agent.pod_diagnosis import PodDiagnosis, look_again_after_s
from purpleflea_operator.controllers.agent.volume_expansion import VolumeExpansion
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Defaults
from purpleflea_operator.parsing import Manifest
from purpleflea_operator.runtime.workers import Result, Times

REPORT_AFTER_FAILURES = 3
"""Passes that fail in a row, within some two seconds: a conflict or a lost connection is no news, what lasts is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dependencies:
    """What else there is, beside the agent resource and its children."""

    acknowledgements: ModeAcknowledgements
    terrain: Ground
    findings: Callable[[Iterable[str]], Mapping[str, str]]
    """What speaks against pods (by uid) being heard."""
    rival: Callable[[str], IdentityClaim | None]
    """By uid of an agent resource: the other one that has the same identities in Datadog already."""
    sees_all: bool = True
    """Whether agents of all namespaces are seen."""


class Reconciler:
    """Reconciles agents of one cluster."""

    def __init__(
        self,
        cluster: KubeClient,
        cache: ObjectCache,
        defaults: Defaults,
        *,
        around: Dependencies,
        times: Times,
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._defaults = defaults
        self._around = around
        self._now = times.now
        self._pace = WriteRateLimiter(times.clock)
        self._lag = Debounce(times.clock, timings.DEBOUNCE_REPLICAS_S)
        self._under_way = Debounce(times.clock, timings.DEBOUNCE_PROGRESS_S)
        self._diagnosis = PodDiagnosis(cluster, now=times.now)
        self._acknowledgements = around.acknowledgements
        self._growth = VolumeExpansion(cluster, cache, now=times.now)
        self._performer = Applier(cluster, cache, self._growth)
        self._announcer = EventRecorder(cluster, now=times.now)
        self._stumbles: dict[NamespacedName, int] = {}

    async def reconcile(self, key: NamespacedName) -> Result:
        """Bring one agent closer to what its spec says.

        Raises:
            ApiError: A request failed in a way that is worth another try.
        """
        resource = self._cache.agent(key)
        if resource is None or "deletionTimestamp" in resource["metadata"]:
            self._forget(key)
            if resource is None:
                await apply.delete_orphans(self._cluster, self._cache, key)
            return Result()
        work = ApplyContext(key=key, uid=resource["metadata"]["uid"], live={})
        try:
            acted_on = await self._act(self._observe(key, resource), work)
        except OwnerGoneError:
            self._cache.drop(resources.AGENT, work.uid)
            return Result()
        self._acknowledgements.ask(acted_on, key)
        world = await self._diagnosis.explained(acted_on, key)
        after_s = await self._report(key, resource, world)
        if work.stumbles:
            raise work.stumbles[0]
        return Result(again_after_s=self._again_after_s(key, after_s, world))

    def _again_after_s(
        self, key: NamespacedName, status_s: float | None, world: ObservedState
    ) -> float | None:
        """When to look again without an event: the earliest of all reasons."""
        limit = deadline(world)
        waits = (
            status_s,
            look_again_after_s(world),
            self._acknowledgements.again_after_s(world, key),
            self._growth.again_after_s(key),
            (limit - self._now()).total_seconds() if limit else None,
            timings.RECREATE_REQUEUE_S
            if world.agent and not world.failure and not world.stateful_set
            else None,
        )
        # A deadline that has passed is told already.
        return min((wait for wait in waits if wait is not None and wait >= 0.0), default=None)

    def _forget(self, key: NamespacedName) -> None:
        for memory in (
            self._pace,
            self._lag,
            self._under_way,
            self._diagnosis,
            self._acknowledgements,
            self._growth,
            self._announcer,
        ):
            memory.forget(key)
        self._stumbles.pop(key, None)

    def _observe(self, key: NamespacedName, resource: dict[str, Any]) -> ObservedState:
        around = self._around
        world = world_of(self._cache, key, resource, around.terrain, now=self._now())
        rival = around.rival(resource["metadata"]["uid"])
        world = replace(
            world,
            rival=f"{rival.namespace}/{rival.name}" if rival is not None else "",
            sees_all=around.sees_all,
            hearing=around.findings(item.uid for item in world.pods),
        )
        return self._growth.remembered(self._acknowledgements.remembered(world, key), key)

    async def _act(self, world: ObservedState, work: ApplyContext) -> ObservedState:
        """Perform the planned writes; what the server will not have becomes part of the world."""
        work.live.update(world.children)
        try:
            await self._performer.perform(self._planned(world), work)
        except NameTakenError as error:
            world = replace(world, failure=str(error), failure_reason="NameTaken")
        except (errors.Invalid, errors.Forbidden, errors.NotFound) as error:
            world = replace(world, failure=f"the API server refuses: {error}")
        except errors.Transient as error:
            world = self._record_transient(world, work, error)
        if not work.stumbles:
            self._stumbles.pop(work.key, None)
        refused = work.growth_refused or world.growth_refused
        return replace(world, children=work.live, growth_refused=refused)

    def _planned(self, world: ObservedState) -> tuple[plan.Action, ...]:
        if world.agent is None:
            return plan.halt_actions(world)
        allowed = effective_agent(world, world.agent)
        return plan.actions(children(allowed, self._defaults, world.connection), world)

    def _record_transient(
        self, world: ObservedState, work: ApplyContext, error: errors.Transient
    ) -> ObservedState:
        """The world with a failure that lasts; one that may pass ends the pass."""
        count = self._stumbles[work.key] = self._stumbles.get(work.key, 0) + 1
        if count < REPORT_AFTER_FAILURES or isinstance(error, errors.Throttled):
            raise error
        work.stumbles.append(error)
        return replace(world, failure=f"the API server fails: {error}")

    async def _report(
        self, key: NamespacedName, resource: dict[str, Any], world: ObservedState
    ) -> float | None:
        """Write the status if it is worth it; returns after how many seconds it will be."""
        now = self._now()
        current = resource.get("status", {})
        found = summary.findings(world)
        wanted = status.next_status(current, world, found, name=key.name, now=now)
        since = self._pace.since_write_s(key)
        after = status.write_after_s(current, wanted, since_write_s=since)
        if after == 0.0:
            after = self._status_delay_s(key, world, current, wanted) or None
            if after is None:
                stored = await self._write_status(key, resource, wanted)
                await self._announcer.announce(resource, current, wanted)
                # The answer holds what was changed meanwhile, and makes the news of it old: nobody else will tell.
                after = 0.0 if _user_intent(stored) != _user_intent(resource) else None
        return after

    def _status_delay_s(
        self,
        key: NamespacedName,
        world: ObservedState,
        current: dict[str, Any],
        wanted: status.Status,
    ) -> float:
        """Seconds until a status that is worth a write may go."""
        lag_s = self._lag.left_s(key, waits=status_throttle.pods_are_behind(world))
        under_way = status.is_under_way(current, wanted)
        return (
            min(lag_s, timings.DEBOUNCE_RECHECK_S)
            or self._under_way.left_s(key, waits=under_way)
            or self._pace.wait_s(key)
        )

    async def _write_status(
        self, key: NamespacedName, resource: dict[str, Any], wanted: status.Status
    ) -> Manifest:
        metadata = resource["metadata"]
        self._pace.spend(key)
        stored = await self._cluster.apply_status(
            {
                "apiVersion": kubernetes.API_VERSION,
                "kind": resources.AGENT.kind,
                # The uid makes a status of a former incarnation bounce off the new one.
                "metadata": {"name": key.name, "namespace": key.namespace, "uid": metadata["uid"]},
                "status": wanted,
            }
        )
        self._cache.put(stored)
        return stored


def _user_intent(resource: Manifest) -> tuple[Any, ...]:
    """What people say of an agent: its spec, by its generation, and what they note beside it."""
    metadata = resource["metadata"]
    return metadata["generation"], metadata.get("annotations", {}), "deletionTimestamp" in metadata
