"""One pass over one agent: gather, plan, act, check, write the status. The only place where effects happen.

Each pass starts from nothing but the cache, so it may be cut off anywhere and simply be run again. It holds no locks:
the queue gives each key to one worker at a time.
"""

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_operator.cluster import errors, kinds
from purpleflea_operator.cluster.cache import Cache, Key
from purpleflea_operator.cluster.kinds import Ref, ref_of
from purpleflea_operator.cluster.port import Cluster
from purpleflea_operator.detect.facts import DatadogFacts
from purpleflea_operator.reconcile import plan, status, transitions
from purpleflea_operator.reconcile.checks import conditions
from purpleflea_operator.reconcile.diagnosis import Diagnosis, look_again_after_s
from purpleflea_operator.reconcile.events import event
from purpleflea_operator.reconcile.gather import is_owned, world_of
from purpleflea_operator.reconcile.pace import Pace
from purpleflea_operator.reconcile.world import CONTROL_ANNOTATION, World
from purpleflea_operator.render.children import children
from purpleflea_operator.render.identity import Agent, Defaults

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """How a pass ended: nothing left to do, or to be run again after some seconds."""

    again_after_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The time of day, for what people read, and seconds that never jump, for waiting."""

    now: Callable[[], datetime]
    clock: Callable[[], float]


class Reconciler:
    """Reconciles agents of one cluster."""

    def __init__(
        self,
        cluster: Cluster,
        cache: Cache,
        defaults: Defaults,
        *,
        facts: Callable[[], DatadogFacts],
        times: Times,
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._defaults = defaults
        self._facts = facts
        self._now = times.now
        self._pace = Pace(times.clock)
        self._diagnosis = Diagnosis(cluster, now=times.now)

    async def reconcile(self, key: Key) -> Result:
        """Bring one agent closer to what its spec says.

        Raises:
            ApiError: A request failed in a way that is worth another try.
        """
        resource = self._cache.agent(key)
        if resource is None or "deletionTimestamp" in resource["metadata"]:
            # Owner references take the children away.
            self._pace.forget(key)
            self._diagnosis.forget(key)
            return Result()
        try:
            world = await self._act(world_of(self._cache, key, resource, self._facts()))
        except OwnerGoneError:
            self._cache.drop(kinds.AGENT, resource["metadata"]["uid"])
            return Result()
        world = await self._diagnosis.explained(world, key)
        return await self._report(key, resource, world)

    async def _act(self, world: World) -> World:
        """Perform the planned writes; a refusal by the server becomes part of the world."""
        if world.agent is None:
            return world
        desired = children(world.agent, self._defaults, world.connection)
        live = dict(world.children)
        actions = plan.actions(desired, world)
        if any(isinstance(action, plan.Create) for action in actions):
            await self._confirm(world.agent)
        try:
            for action in actions:
                await self._perform(action, world.agent, live)
        except NameTakenError as error:
            return replace(world, children=live, failure=str(error), failure_reason="NameTaken")
        except (errors.Invalid, errors.Forbidden, errors.NotFound) as error:
            return replace(world, children=live, failure=f"the API server refuses: {error}")
        return replace(world, children=live)

    async def _confirm(self, agent: Agent) -> None:
        """Ask whether the agent still lives before anything is made for it.

        Its children may be seen gone before it is: making them anew would start pods of a deleted agent.
        """
        ref = Ref(kind=kinds.AGENT, namespace=agent.namespace, name=agent.name)
        found = await self._cluster.get(ref)
        metadata = {} if found is None else found["metadata"]
        if metadata.get("uid") != agent.uid or "deletionTimestamp" in metadata:
            raise OwnerGoneError

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
                _log("deleted", agent, manifest)
            case plan.Nudge(pod=target, mode=mode):
                ref = Ref(kind=kinds.POD, namespace=agent.namespace, name=target.name)
                await self._cluster.annotate(ref, {CONTROL_ANNOTATION: mode})
                logger.info("nudged", extra={"pod": target.name, "mode": str(mode)})

    async def _create(self, manifest: kinds.Manifest, agent: Agent, live: dict[Any, Any]) -> None:
        """Apply a child that the cache does not know, but never over an object of somebody else."""
        existing = await self._cluster.get(ref_of(manifest))
        if existing is not None and not is_owned(existing, agent.uid):
            raise NameTakenError(
                f"{manifest['kind']} {agent.name} exists and belongs to somebody else; "
                "rename the agent or remove that object"
            )
        if existing is not None and plan.is_as_desired(manifest, existing):
            self._cache.put(existing)
            live[plan.child_id(manifest)] = existing
            return
        await self._apply(manifest, live)

    async def _apply(self, manifest: kinds.Manifest, live: dict[Any, Any]) -> None:
        stored = await self._cluster.apply(manifest)
        self._cache.put(stored)
        live[plan.child_id(manifest)] = stored
        logger.info(
            "applied",
            extra={
                "kind": manifest["kind"],
                "namespace": manifest["metadata"]["namespace"],
                "object": manifest["metadata"]["name"],
            },
        )

    async def _report(self, key: Key, resource: dict[str, Any], world: World) -> Result:
        now = self._now()
        current = resource.get("status", {})
        found = conditions.findings(world)
        wanted = status.next_status(current, world, found, name=key.name, now=now)
        since = self._pace.since_write_s(key)
        after = status.write_after_s(current, wanted, since_write_s=since)
        if after == 0.0:
            after = self._pace.wait_s(key) or None
            if after is None:
                await self._write_status(key, resource, wanted)
                await self._announce(resource, current, wanted)
        delays = [delay for delay in (after, look_again_after_s(world)) if delay is not None]
        return Result(again_after_s=min(delays, default=None))

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


def _log(message: str, agent: Agent, manifest: kinds.Manifest) -> None:
    logger.info(
        message,
        extra={"namespace": agent.namespace, "object": agent.name, "kind": manifest["kind"]},
    )
