"""One pass over one agent: gather, plan, act, check, write the status. The only place where effects happen.

Each pass starts from nothing but the cache, so it may be cut off anywhere and simply be run again. It holds no locks:
the queue gives each key to one worker at a time.
"""

import itertools
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_operator.agents.port import Agents
from purpleflea_operator.cluster import errors, kinds
from purpleflea_operator.cluster.cache import Cache, Key
from purpleflea_operator.cluster.kinds import Ref, ref_of
from purpleflea_operator.cluster.port import Cluster
from purpleflea_operator.reconcile import patience, plan, pods, status, transitions
from purpleflea_operator.reconcile.acknowledgement import Acknowledgements
from purpleflea_operator.reconcile.checks import conditions
from purpleflea_operator.reconcile.checks.progress import deadline
from purpleflea_operator.reconcile.diagnosis import Diagnosis, look_again_after_s
from purpleflea_operator.reconcile.events import event
from purpleflea_operator.reconcile.gather import Ground, is_owned, world_of
from purpleflea_operator.reconcile.growth import Growth
from purpleflea_operator.reconcile.identities import Claim
from purpleflea_operator.reconcile.pace import Pace
from purpleflea_operator.reconcile.patience import Patience
from purpleflea_operator.reconcile.scale import as_allowed, replicas
from purpleflea_operator.reconcile.world import World
from purpleflea_operator.render.children import children
from purpleflea_operator.render.identity import Agent, Defaults

logger = logging.getLogger(__name__)


MAKE_ANEW_S = 0.5
"""After a StatefulSet was removed around its pods: its end may be told before anybody watches."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a pass ended: nothing left to do, or to be run again after some seconds."""

    again_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The time of day, for what people read, and seconds that never jump, for waiting."""

    now: Callable[[], datetime]
    clock: Callable[[], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """What else there is, beside the agent resource and its children."""

    agents: Agents
    terrain: Ground
    findings: Callable[[Iterable[str]], Mapping[str, str]]
    """What speaks against pods (by uid) being heard."""
    rival: Callable[[str], Claim | None]
    """By uid of an agent resource: the oldest other one with the same identities in Datadog."""


class Reconciler:
    """Reconciles agents of one cluster."""

    def __init__(
        self,
        cluster: Cluster,
        cache: Cache,
        defaults: Defaults,
        *,
        around: Surroundings,
        times: Times,
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._defaults = defaults
        self._around = around
        self._now = times.now
        self._pace = Pace(times.clock)
        self._lag = Patience(times.clock, patience.LAG_S)
        self._under_way = Patience(times.clock, patience.UNDER_WAY_S)
        self._diagnosis = Diagnosis(cluster, now=times.now)
        self._acknowledgements = Acknowledgements(around.agents, now=times.now)
        self._growth = Growth(cluster, cache, now=times.now)

    async def reconcile(self, key: Key) -> Result:
        """Bring one agent closer to what its spec says.

        Raises:
            ApiError: A request failed in a way that is worth another try.
        """
        resource = self._cache.agent(key)
        if resource is None or "deletionTimestamp" in resource["metadata"]:
            self._forget(key)
            if resource is None:
                await pods.end_orphans(self._cluster, self._cache, key)
            return Result()
        try:
            world = await self._act(self._seen(key, resource), key)
        except OwnerGoneError:
            self._cache.drop(kinds.AGENT, resource["metadata"]["uid"])
            return Result()
        acted_on = world
        world = await self._acknowledgements.heard(world, key)
        world = await self._diagnosis.explained(world, key)
        after_s = await self._report(key, resource, world)
        return Result(again_after_s=self._again_after_s(key, after_s, acted_on, world))

    def _again_after_s(
        self, key: Key, status_s: float | None, acted_on: World, world: World
    ) -> float | None:
        """When to look again without an event: the earliest of all reasons."""
        if world.agent and replicas(world, world.agent) != replicas(acted_on, world.agent):
            return 0.0
        limit = deadline(world)
        waits = (
            status_s,
            look_again_after_s(world),
            self._acknowledgements.again_after_s(world, key),
            self._growth.again_after_s(key),
            (limit - self._now()).total_seconds() if limit else None,
            MAKE_ANEW_S if world.agent and not world.failure and not world.stateful_set else None,
        )
        # A deadline that has passed is told already.
        return min((wait for wait in waits if wait is not None and wait >= 0.0), default=None)

    def _forget(self, key: Key) -> None:
        self._pace.forget(key)
        self._lag.forget(key)
        self._under_way.forget(key)
        self._diagnosis.forget(key)
        self._acknowledgements.forget(key)
        self._growth.forget(key)

    def _seen(self, key: Key, resource: dict[str, Any]) -> World:
        world = world_of(self._cache, key, resource, self._around.terrain, now=self._now())
        rival = self._around.rival(resource["metadata"]["uid"])
        if rival is not None:
            world = replace(world, rival=f"{rival.namespace}/{rival.name}")
        world = replace(world, hearing=self._around.findings(item.uid for item in world.pods))
        return self._growth.remembered(self._acknowledgements.remembered(world, key), key)

    async def _act(self, world: World, key: Key) -> World:
        """Perform the planned writes; a refusal by the server becomes part of the world."""
        if world.agent is None:
            return world
        allowed = as_allowed(world, world.agent)
        desired = children(allowed, self._defaults, world.connection)
        live = dict(world.children)
        actions = plan.actions(desired, world)
        if any(isinstance(action, plan.Create) for action in actions):
            await self._confirm(world.agent)
        try:
            refused = await self._perform_all(actions, world.agent, live)
        except NameTakenError as error:
            return replace(world, children=live, failure=str(error), failure_reason="NameTaken")
        except (errors.Invalid, errors.Forbidden, errors.NotFound) as error:
            return replace(world, children=live, failure=f"the API server refuses: {error}")
        return replace(world, children=live, growth_refused=refused or world.growth_refused)

    async def _confirm(self, agent: Agent) -> None:
        """Ask whether the agent still lives before anything is made for it.

        Its children may be seen gone before it is: making them anew would start pods of a deleted agent.
        """
        ref = Ref(kind=kinds.AGENT, namespace=agent.namespace, name=agent.name)
        found = await self._cluster.get(ref)
        metadata = {} if found is None else found["metadata"]
        if metadata.get("uid") != agent.uid or "deletionTimestamp" in metadata:
            raise OwnerGoneError

    async def _perform_all(
        self, actions: Sequence[plan.Action], agent: Agent, live: dict[Any, Any]
    ) -> str:
        """Perform writes in order; returns why volumes were not let grow, empty where nothing was refused."""
        for kind, group in itertools.groupby(actions, key=type):
            if kind is plan.Nudge:
                nudges = [action for action in group if isinstance(action, plan.Nudge)]
                await pods.nudge(self._cluster, agent.namespace, nudges)
            elif kind is plan.Grow:
                growths = [action for action in group if isinstance(action, plan.Grow)]
                return await self._growth.grow(growths, Key(agent.namespace, agent.name))
            else:
                for action in group:
                    await self._perform(action, agent, live)
        return ""

    async def _perform(self, action: plan.Action, agent: Agent, live: dict[Any, Any]) -> None:
        match action:
            case plan.Create(manifest=manifest):
                await self._create(manifest, agent, live)
            case plan.Apply(manifest=manifest):
                await self._apply(manifest, live)
            case plan.Delete(manifest=manifest):
                await self._cluster.delete(ref_of(manifest), uid=manifest["metadata"]["uid"])
                self._cache.drop(kinds.kind_of(manifest), manifest["metadata"]["uid"])
                live.pop(plan.child_id(manifest))
                _log("deleted", manifest)
            case plan.End(pod=old):
                await pods.end(self._cluster, agent.namespace, old)
            case plan.Recreate(manifest=manifest):
                uid = manifest["metadata"]["uid"]
                if await self._cluster.delete(ref_of(manifest), uid=uid, orphan=True):
                    self._cache.bury(kinds.kind_of(manifest), uid)
                live.pop(plan.child_id(manifest))
                _log("to be made anew around its pods", manifest)

    async def _create(self, manifest: kinds.Manifest, agent: Agent, live: dict[Any, Any]) -> None:
        """Apply a child that the cache does not know, but never over an object of somebody else."""
        existing = await self._cluster.get(ref_of(manifest))
        if existing is not None and not is_owned(existing, agent.uid):
            raise NameTakenError(
                f"{manifest['kind']} {agent.name} exists and belongs to somebody else; "
                "rename the agent or remove that object"
            )
        if existing is not None and "deletionTimestamp" in existing["metadata"]:
            raise errors.Conflict(f"{manifest['kind']} {agent.name} is still being deleted")
        if existing is not None and plan.is_as_desired(manifest, existing):
            self._cache.put(existing)
            live[plan.child_id(manifest)] = existing
            return
        await self._apply(manifest, live)

    async def _apply(self, manifest: kinds.Manifest, live: dict[Any, Any]) -> None:
        stored = await self._cluster.apply(manifest)
        self._cache.put(stored)
        live[plan.child_id(manifest)] = stored
        _log("applied", manifest)

    async def _report(self, key: Key, resource: dict[str, Any], world: World) -> float | None:
        """Write the status if it is worth it; returns after how many seconds it will be."""
        now = self._now()
        current = resource.get("status", {})
        found = conditions.findings(world)
        wanted = status.next_status(current, world, found, name=key.name, now=now)
        since = self._pace.since_write_s(key)
        after = status.write_after_s(current, wanted, since_write_s=since)
        if after == 0.0:
            after = self._held_up_s(key, world, current, wanted) or None
            if after is None:
                await self._write_status(key, resource, wanted)
                await self._announce(resource, current, wanted)
        return after

    def _held_up_s(
        self, key: Key, world: World, current: dict[str, Any], wanted: status.Status
    ) -> float:
        """Seconds until a status that is worth a write may go."""
        lag_s = self._lag.left_s(key, waits=patience.pods_are_behind(world))
        under_way = status.is_under_way(current, wanted)
        return (
            min(lag_s, patience.LOOK_AGAIN_S)
            or self._under_way.left_s(key, waits=under_way)
            or self._pace.wait_s(key)
        )

    async def _write_status(
        self, key: Key, resource: dict[str, Any], wanted: status.Status
    ) -> None:
        metadata = resource["metadata"]
        self._pace.spend(key)
        stored = await self._cluster.apply_status(
            {
                "apiVersion": kubernetes.API_VERSION,
                "kind": kinds.AGENT.kind,
                # The uid makes a status of a former incarnation bounce off the new one.
                "metadata": {"name": key.name, "namespace": key.namespace, "uid": metadata["uid"]},
                "status": wanted,
            }
        )
        self._cache.put(stored)

    async def _announce(
        self, resource: dict[str, Any], current: dict[str, Any], wanted: status.Status
    ) -> None:
        for turn in transitions.transitions(current, wanted):
            logger.info(
                "condition turned",
                extra={
                    "namespace": resource["metadata"]["namespace"],
                    "agent": resource["metadata"]["name"],
                    "reason": turn.reason,
                    "detail": turn.message,
                },
            )
            await self._cluster.create_event(event(resource, turn, self._now()))


class OwnerGoneError(Exception):
    """The agent was deleted; the cache has not heard of it yet."""


class NameTakenError(Exception):
    """An object of that name belongs to somebody else."""


def _log(message: str, manifest: kinds.Manifest) -> None:
    metadata, kind = manifest["metadata"], manifest["kind"]
    where = {"namespace": metadata["namespace"], "object": metadata["name"]}
    logger.info(message, extra={**where, "kind": kind})
