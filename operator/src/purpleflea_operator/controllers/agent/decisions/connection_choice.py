"""The choice of the connection to Datadog for one agent: current, best, and the one for this pass. Pure.

`datadog.detection` decides which connection is the best one. This module finds the current connection, and decides
whether the agent may switch now, because a switch restarts its pods. It takes no restart slot; the reconciler does.
"""

from collections.abc import Iterable
from dataclasses import replace
from enum import Enum, auto

from purpleflea_operator.api.datadog import Datadog, Endpoint
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.controllers.agent.decisions.rollout import has_restarting_pods
from purpleflea_operator.controllers.agent.decisions.switching import switches
from purpleflea_operator.controllers.agent.decisions.upgrade import is_user_change
from purpleflea_operator.datadog.detection.connection import (
    LOOPBACK,
    NO_CONNECTION,
    Connection,
    ConnectionMode,
    Constraints,
    Refusal,
    selected_connection,
)
from purpleflea_operator.datadog.detection.coverage import NodeView
from purpleflea_operator.manifests import recorded_connection
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.parsing import Manifest


class SlotUse(Enum):
    """The use that an agent has for a slot of the restart budget."""

    NONE = auto()
    """It may switch without a slot, or does not switch."""
    ACQUIRE = auto()
    """It needs a slot to switch to the best connection."""
    HOLD = auto()
    """It has the best connection, and its pods restart: it keeps the slot that it has."""
    RELEASE = auto()
    """It has the best connection, and all its pods are ready."""


def current_connection(
    agent: Agent | None, stateful_set: Manifest | None, pods: Iterable[Manifest]
) -> Connection | None:
    """Return the connection that was injected last; None if there is none."""
    if stateful_set is not None:
        return recorded_connection.connection_from_annotation(stateful_set)
    return recorded_connection.connection_from_pods(
        pods, traces_enabled=agent is None or agent.spec.datadog.apm.enabled
    )


def best_connection(agent: Agent | None, current: Connection | None, nodes: NodeView) -> Connection:
    """Return the best available connection; if the spec is invalid, the connection of its last valid version."""
    if agent is None:
        return current or NO_CONNECTION
    wanted = agent.spec.datadog
    match wanted.connection:
        case "Sidecar" | "Endpoint":
            return _explicit(wanted)
        case requested:
            is_explicit = current is not None and current.mode.is_explicit
            constraints = Constraints(
                security=nodes.pod_security(agent.namespace),
                current=None if is_explicit else current,
                waits_for_node_agent=wanted.when_missing == "Hold",
            )
            return selected_connection(nodes.facts, requested, constraints)


def _explicit(datadog: Datadog) -> Connection:
    """Return the connection that the spec describes."""
    endpoint = datadog.endpoint or Endpoint()
    return Connection(
        mode=ConnectionMode(datadog.connection),
        host=LOOPBACK if datadog.connection == "Sidecar" else endpoint.host or "",
        dogstatsd_port=endpoint.dogstatsd_port,
        apm_port=endpoint.apm_port,
        dogstatsd_container_port=endpoint.dogstatsd_port,
        apm_container_port=endpoint.apm_port,
    )


def slot_use(observed: ObservedState) -> SlotUse:
    """Return the use of the restart budget that the observed state requires."""
    agent, stateful_set = observed.agent, observed.stateful_set
    if agent is None or stateful_set is None:
        return SlotUse.NONE
    if is_user_change(observed, agent):
        # The pods restart anyway, and a user does not wait for other agents.
        return SlotUse.NONE
    if not switches(observed.current_connection, observed.connection):
        return SlotUse.HOLD if has_restarting_pods(observed) else SlotUse.RELEASE
    current = observed.current_connection or NO_CONNECTION
    # A pod that waits for its node agent does not trade, so its restart costs nothing.
    is_waiting = not current.supports_metrics and agent.spec.datadog.when_missing == "Hold"
    return SlotUse.NONE if is_waiting else SlotUse.ACQUIRE


def decide(observed: ObservedState, *, slot_free: bool) -> Connection:
    """Return the connection for this pass: the best one, or the current one if no restart slot is free."""
    if slot_free:
        return observed.connection
    text = "the new connection is used after agents of other resources have restarted"
    return replace(
        observed.current_connection or NO_CONNECTION,
        refusal=Refusal.RESTART_BUDGET,
        refusal_message=text,
    )
