"""The cache -> the world of one agent. No request is made, nothing is decided."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any, Protocol

from pydantic import ValidationError

from purpleflea_contract.control import Mode
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.validation_errors import first_error
from purpleflea_operator.controllers.agent.decisions import plan
from purpleflea_operator.controllers.agent.decisions.connection_choice import Offer, connection_of
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState, pod
from purpleflea_operator.controllers.agent.decisions.storage import claim
from purpleflea_operator.controllers.agent.decisions.trading_mode import trading_of
from purpleflea_operator.datadog.detection.coverage import NodeView, coverage
from purpleflea_operator.datadog.detection.placement import placement
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.parsing import Manifest, moment


class Ground(NodeView, Offer, Protocol):
    """What is known of the places where agents run."""


def world_of(
    cache: ObjectCache,
    key: NamespacedName,
    resource: dict[str, Any],
    ground: Ground,
    *,
    now: datetime,
) -> ObservedState:
    """What the cache knows about one agent; children of a former incarnation do not count."""
    uid = resource["metadata"]["uid"]
    agent, invalid = parsed(resource)
    order = stop_order(resource) if agent is None else None
    live = {
        plan.child_id(item): item
        for kind in resources.CHILDREN
        for item in cache.owned(kind, key)
        if is_owned(item, uid)
    }
    stateful_set = next((item for (kind, _), item in live.items() if kind == "StatefulSet"), None)
    pods = cache.owned(resources.POD, key)
    seen = resource.get("status", {}).get("observedGeneration")
    way = connection_of(agent, stateful_set, pods, ground, seen_generation=seen)
    return ObservedState(
        agent=agent,
        generation=resource["metadata"]["generation"],
        invalid=invalid,
        children=live,
        pods=tuple(pod(item) for item in pods),
        datadog=ground.facts,
        connection=way,
        coverage=coverage(_nodes(pods, ground), ground.facts, way, ground),
        claims=tuple(claim(item) for item in cache.owned(resources.CLAIM, key)),
        now=now,
        telemetry=condition(resource, ConditionType.TELEMETRY_READY),
        unavailable_since=_unavailable_since(resource),
        stop_order=order,
        trading=trading_of(resource, order if agent is None else agent.spec.trading.mode, now),
    )


def condition(resource: Manifest, kind: ConditionType) -> dict[str, Any]:
    """A condition as the status has it; empty where it has none of that type."""
    found = resource.get("status", {}).get("conditions", [])
    return next((item for item in found if item["type"] == kind), {})


def _unavailable_since(resource: dict[str, Any]) -> datetime | None:
    for item in resource.get("status", {}).get("conditions", []):
        if item["type"] == ConditionType.WORKLOAD_AVAILABLE and item["status"] != "True":
            return moment(item.get("lastTransitionTime"))
    return None


def _nodes(pods: Iterable[dict[str, Any]], landscape: NodeView) -> Iterator[str]:
    """Nodes that must have a node agent: where pods run, and where those that wait for a node could."""
    for item in pods:
        spec = item.get("spec", {})
        if "nodeName" in spec:
            yield spec["nodeName"]
            continue
        wanted = placement(spec)
        yield from (node.name for node in landscape.nodes() if not wanted.exclusion_reason(node))


def parsed(resource: dict[str, Any]) -> tuple[Agent | None, str]:
    """The agent, or why its spec is invalid (naming the field)."""
    metadata = resource["metadata"]
    try:
        # Strict: a field that this version does not know may be a limit that somebody relies on.
        spec = AgentSpec.model_validate(resource.get("spec", {}), extra="forbid")
    except ValidationError as error:
        return None, first_error(error)
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


def is_owned(manifest: Manifest, uid: str) -> bool:
    """Whether `manifest` is controlled by the agent of this uid."""
    references = manifest["metadata"].get("ownerReferences", [])
    return any(item.get("uid") == uid and item.get("controller") for item in references)
