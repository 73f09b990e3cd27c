"""The connection of one agent for now: what the installation offers, what its pods have already, and whose turn it is.

What is best is decided in `detect`; here it is found out what agents have, and when they may take on another one.
"""

from collections.abc import Iterable
from dataclasses import replace
from typing import Protocol

from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Connection,
    Constraints,
    Refusal,
    selected_connection,
)
from purpleflea_operator.datadog.detection.facts import DatadogFacts, PodSecurity
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.manifests import datadog_sockets, recorded_connection
from purpleflea_operator.manifests.datadog_env import receivers
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.parsing import Manifest


class Offer(Protocol):
    """What is known of the installation, and of what agents may use of it."""

    facts: DatadogFacts
    turns: RestartBudget

    def pod_security(self, namespace: str) -> PodSecurity:
        """What a namespace allows its pods."""


def connection_of(
    agent: Agent | None,
    stateful_set: Manifest | None,
    pods: Iterable[Manifest],
    offer: Offer,
    *,
    seen_generation: int | None,
) -> Connection:
    """The connection to inject; of an invalid spec the one that its last valid version has.

    Where `seen_generation` of the status is not that of the spec, its user changed it, and waits for nobody.
    """
    had = _had(agent, stateful_set, pods)
    if agent is None:
        return had or NO_CONNECTION
    wanted = agent.spec.datadog
    constraints = Constraints(
        security=offer.pod_security(agent.namespace),
        current=had,
        waits_for_node_agent=wanted.when_missing == "Hold",
    )
    way = selected_connection(offer.facts, wanted.connection, constraints)
    if stateful_set is None or seen_generation != agent.generation:
        return way
    return _in_turn(offer.turns, agent, stateful_set, (had or NO_CONNECTION, way))


def _had(
    agent: Agent | None, stateful_set: Manifest | None, pods: Iterable[Manifest]
) -> Connection | None:
    """The connection that was injected last."""
    if stateful_set is not None:
        return recorded_connection.connection_from_annotation(stateful_set)
    return recorded_connection.connection_from_pods(
        pods, traces_enabled=agent is None or agent.spec.datadog.apm.enabled
    )


def _in_turn(
    turns: RestartBudget, agent: Agent, stateful_set: Manifest, ways: tuple[Connection, Connection]
) -> Connection:
    """Of the connection that agents have and the one that they are to have, the one for now."""
    key, (had, way) = NamespacedName(agent.namespace, agent.name), ways
    if _injected(had) == _injected(way):
        turns.leave(key, restarts=_is_rolling(stateful_set))
        return way
    # Who is held does not trade.
    is_held = not had.supports_metrics and agent.spec.datadog.when_missing == "Hold"
    if is_held or turns.take(key):
        return way
    text = "agents of other resources restart for the node agent first"
    return replace(had, refusal=Refusal.RESTART_BUDGET, refusal_message=text)


def _injected(way: Connection) -> tuple[object, ...]:
    return receivers(way), datadog_sockets.volumes(way)


def _is_rolling(stateful_set: Manifest) -> bool:
    """Whether pods are being replaced, or are not back yet."""
    status, replicas = stateful_set.get("status", {}), stateful_set["spec"].get("replicas", 1)
    counts = (status.get(name, 0) for name in ("updatedReplicas", "readyReplicas"))
    is_seen = status.get("observedGeneration", 0) >= stateful_set["metadata"].get("generation", 0)
    return not is_seen or any(count < replicas for count in counts)
