"""The builder of observed states of one agent, for tests of decisions and conditions."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    AgentPod,
    ObservedState,
    pod,
)
from purpleflea_operator.datadog.detection.connection import (
    RequestedConnection,
    selected_connection,
)
from purpleflea_operator.datadog.detection.node_agent import datadog_facts
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.parsing import MutableManifest
from support.builders import LOCAL_SERVICES, a_spec


def agent_value(*, uid: str = "agent-uid", generation: int = 1, **spec: Any) -> Agent:
    """Return a validated agent; keywords replace top-level fields of its spec."""
    return Agent(
        namespace="trading",
        name="momentum",
        uid=uid,
        generation=generation,
        spec=AgentSpec.model_validate(a_spec(**spec)),
    )


def a_stateful_set(
    replicas: int = 3,
    *,
    ready: int | None = None,
    updated: int | None = None,
    generation: int = 1,
    observed: int = 1,
) -> MutableManifest:
    """Return the StatefulSet of an agent; counts that are not given are equal to `replicas`."""
    return {
        "kind": "StatefulSet",
        "metadata": {"name": "momentum", "namespace": "trading", "generation": generation},
        "spec": {"replicas": replicas},
        "status": {
            "replicas": replicas,
            "readyReplicas": replicas if ready is None else ready,
            "updatedReplicas": replicas if updated is None else updated,
            "observedGeneration": observed,
        },
    }


def observed_state(
    *,
    spec: Mapping[str, Any] | None = None,
    stateful_set: MutableManifest | None = None,
    children: Iterable[MutableManifest] = (),
    pods: Iterable[MutableManifest | AgentPod] = (),
    daemon_sets: Iterable[MutableManifest] = (),
    **overrides: Any,
) -> ObservedState:
    """Return the observed state of an agent with three replicas; `overrides` replace any of its fields.

    `spec` replaces top-level fields of the spec, `stateful_set` is added to the children, and the facts about Datadog
    and the connection follow from the node agents in `daemon_sets`.
    """
    agent = overrides.get("agent", agent_value(**{"replicas": 3, **(spec or {})}))
    live = [*children, *([] if stateful_set is None else [stateful_set])]
    facts = overrides.get("datadog", datadog_facts(list(daemon_sets), LOCAL_SERVICES))
    wanted: RequestedConnection = "Auto" if agent is None else agent.spec.datadog.connection
    fields = {
        "agent": agent,
        "generation": 1 if agent is None else agent.generation,
        "children": MappingProxyType(
            {(item["kind"], item["metadata"]["name"]): item for item in live}
        ),
        "pods": [item if isinstance(item, AgentPod) else pod(item) for item in pods],
        "datadog": facts,
        "connection": selected_connection(facts, wanted),
    }
    return ObservedState(**{**fields, **overrides})
