"""The cache -> the world of one agent. No request is made, nothing is decided."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from pydantic import ValidationError

from purpleflea_contract.control import Mode
from purpleflea_operator.cluster import kinds
from purpleflea_operator.cluster.cache import Cache, Key
from purpleflea_operator.cluster.turns import Turns
from purpleflea_operator.detect.connection import (
    NO_CONNECTION,
    Connection,
    Limits,
    Refusal,
    connection,
)
from purpleflea_operator.detect.coverage import Landscape, coverage
from purpleflea_operator.detect.facts import DatadogFacts, PodSecurity
from purpleflea_operator.detect.placement import placement
from purpleflea_operator.model.agent import AgentSpec
from purpleflea_operator.model.problems import first_problem
from purpleflea_operator.model.status import ConditionType
from purpleflea_operator.reconcile import plan
from purpleflea_operator.reconcile.authorship import trading_of
from purpleflea_operator.reconcile.claims import claim
from purpleflea_operator.reconcile.world import World, pod
from purpleflea_operator.render import injected, remembered, sockets
from purpleflea_operator.render.datadog import receivers
from purpleflea_operator.render.identity import Agent


class Ground(Landscape, Protocol):
    """What is known of the places where agents run."""

    facts: DatadogFacts
    turns: Turns

    def pod_security(self, namespace: str) -> PodSecurity:
        """What a namespace allows its pods."""


def world_of(
    cache: Cache,
    key: Key,
    resource: dict[str, Any],
    ground: Ground,
    *,
    now: datetime,
) -> World:
    """What the cache knows about one agent; children of a former incarnation do not count."""
    uid = resource["metadata"]["uid"]
    agent, invalid = parsed(resource)
    order = stop_order(resource) if agent is None else None
    live = {
        plan.child_id(item): item
        for kind in kinds.CHILDREN
        for item in cache.owned(kind, key)
        if is_owned(item, uid)
    }
    stateful_set = next((item for (kind, _), item in live.items() if kind == "StatefulSet"), None)
    found, security = ground.facts, ground.pod_security(key.namespace)
    pods = cache.owned(kinds.POD, key)
    had = _had(agent, stateful_set, pods)
    way = _connection(agent, found, had, security)
    if agent is not None and stateful_set is not None:
        seen = resource.get("status", {}).get("observedGeneration")
        if seen == agent.generation:
            way = _in_turn(ground.turns, agent, stateful_set, (had or NO_CONNECTION, way))
    return World(
        agent=agent,
        generation=resource["metadata"]["generation"],
        invalid=invalid,
        children=live,
        pods=tuple(pod(item) for item in pods),
        datadog=found,
        connection=way,
        coverage=coverage(_nodes(pods, ground), found, way, ground),
        claims=tuple(claim(item) for item in cache.owned(kinds.CLAIM, key)),
        now=now,
        telemetry=condition(resource, ConditionType.TELEMETRY_READY),
        unavailable_since=_unavailable_since(resource),
        stop_order=order,
        trading=trading_of(resource, order if agent is None else agent.spec.trading.mode, now),
    )


def condition(resource: kinds.Manifest, kind: ConditionType) -> dict[str, Any]:
    """A condition as the status has it; empty where it has none of that type."""
    found = resource.get("status", {}).get("conditions", [])
    return next((item for item in found if item["type"] == kind), {})


def _unavailable_since(resource: dict[str, Any]) -> datetime | None:
    for item in resource.get("status", {}).get("conditions", []):
        if item["type"] == ConditionType.WORKLOAD_AVAILABLE and item["status"] != "True":
            return datetime.fromisoformat(item["lastTransitionTime"])
    return None


def _nodes(pods: Iterable[dict[str, Any]], landscape: Landscape) -> Iterator[str]:
    """Nodes that must have a node agent: where pods run, and where those that wait for a node could."""
    for item in pods:
        spec = item.get("spec", {})
        if "nodeName" in spec:
            yield spec["nodeName"]
            continue
        wanted = placement(spec)
        yield from (node.name for node in landscape.nodes() if not wanted.obstacle(node))


def parsed(resource: dict[str, Any]) -> tuple[Agent | None, str]:
    """The agent, or why its spec is invalid (naming the field)."""
    metadata = resource["metadata"]
    try:
        # Strict: a field that this version does not know may be a limit that somebody relies on.
        spec = AgentSpec.model_validate(resource.get("spec", {}), extra="forbid")
    except ValidationError as error:
        return None, first_problem(error)
    agent = Agent(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        spec=spec,
    )
    return agent, ""


def stop_order(resource: dict[str, Any]) -> Mode | None:
    """The order to stop in a spec that need not be valid."""
    trading = resource.get("spec", {}).get("trading")
    mode = trading.get("mode") if isinstance(trading, dict) else None
    return Mode(mode) if mode in (Mode.HALTED, Mode.STOPPED) else None


def _connection(
    agent: Agent | None, found: DatadogFacts, had: Connection | None, security: PodSecurity
) -> Connection:
    """The connection to inject: what is found now, else what was injected before."""
    if agent is None:
        return had or NO_CONNECTION
    wanted = agent.spec.datadog
    must_be_heard = wanted.when_missing == "Hold"
    limits = Limits(security=security, had=had, must_be_heard=must_be_heard)
    return connection(found, wanted.connection, limits)


def _had(
    agent: Agent | None, stateful_set: dict[str, Any] | None, pods: Iterable[dict[str, Any]]
) -> Connection | None:
    """The connection that was injected last."""
    if stateful_set is not None:
        return remembered.connection(stateful_set)
    return injected.connection(pods, traces_wanted=agent is None or agent.spec.datadog.apm.enabled)


def _in_turn(
    turns: Turns,
    agent: Agent,
    stateful_set: dict[str, Any],
    ways: tuple[Connection, Connection],
) -> Connection:
    """Of the connection that agents have and the one that they are to have, the one for now.

    Only where the installation changed: what users change in a spec they do not do to all at once.
    """
    key, (had, way) = Key(agent.namespace, agent.name), ways
    if _injected(had) == _injected(way):
        turns.leave(key, restarts=_is_rolling(stateful_set))
        return way
    # Who is held does not trade.
    is_held = not had.carries_metrics and agent.spec.datadog.when_missing == "Hold"
    if is_held or turns.take(key):
        return way
    text = "agents of other resources restart for the node agent first"
    return replace(had, refusal=Refusal.TURN, refused=text)


def _injected(way: Connection) -> tuple[object, ...]:
    return receivers(way), sockets.volumes(way)


def _is_rolling(stateful_set: dict[str, Any]) -> bool:
    """Whether pods are being replaced, or are not back yet."""
    status, replicas = stateful_set.get("status", {}), stateful_set["spec"].get("replicas", 1)
    counts = (status.get(name, 0) for name in ("updatedReplicas", "readyReplicas"))
    is_seen = status.get("observedGeneration", 0) >= stateful_set["metadata"].get("generation", 0)
    return not is_seen or any(count < replicas for count in counts)


def is_owned(manifest: kinds.Manifest, uid: str) -> bool:
    """Whether `manifest` is controlled by the agent of this uid."""
    references = manifest["metadata"].get("ownerReferences", [])
    return any(item.get("uid") == uid and item.get("controller") for item in references)
