"""The objects that the benchmark creates, and predicates on their states."""

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

from benchmarks.scale.plane import AGENTS
from benchmarks.scale.world import mode_of
from purpleflea_contract import kubernetes
from purpleflea_contract.control import Mode
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.datadog.detection.connection import Connection, selected_connection
from purpleflea_operator.datadog.detection.node_agent import datadog_facts
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from support.builders import LOCAL_SERVICES, a_datadog_daemon_set, a_spec
from support.rights import CHART

AGENT_KIND = "PurpleFleaAgent"
PATHS = {
    "agents": f"/apis/{kubernetes.API_VERSION}/namespaces/{AGENTS}/purplefleaagents",
    "statefulsets": f"/apis/apps/v1/namespaces/{AGENTS}/statefulsets",
    "configmaps": f"/api/v1/namespaces/{AGENTS}/configmaps",
    "pods": f"/api/v1/namespaces/{AGENTS}/pods",
}
PATHS["halts"] = PATHS["agents"].replace("purplefleaagents", "purplefleahalts")
IMAGE = "localhost/purpleflea-agent:bench"
PLACEHOLDER = "agent-placeholder"
"""Name that the baseline replaces."""
UID = "00000000-0000-0000-0000-000000000000"


def path_of(kind: str, name: str) -> str:
    """Return the path of an object."""
    return f"{PATHS[kind]}/{name}"


def agent(name: str) -> dict[str, Any]:
    """Return a new agent of one identity."""
    return {
        "apiVersion": kubernetes.API_VERSION,
        "kind": AGENT_KIND,
        "metadata": {"name": name, "namespace": AGENTS},
        "spec": a_spec(),
    }


def halt(name: str) -> dict[str, Any]:
    """Return a PurpleFleaHalt of all agents."""
    return {
        "apiVersion": kubernetes.API_VERSION,
        "kind": "PurpleFleaHalt",
        "metadata": {"name": name, "namespace": AGENTS},
        "spec": {"level": "Halt", "selector": {}, "reason": "benchmark"},
    }


def has_halts() -> bool:
    """Return whether the chart has the kind PurpleFleaHalt."""
    return any(CHART.glob("files/crds/*purplefleahalts.yaml"))


def children_of(name: str) -> list[dict[str, Any]]:
    """Return the children of an agent as the operator renders them."""
    value = Agent(
        namespace=AGENTS,
        name=name,
        uid=UID,
        generation=1,
        spec=AgentSpec.model_validate(a_spec()),
    )
    return [deepcopy(item) for item in children(value, Defaults(image=IMAGE), _connection())]


def stateful_set(name: str) -> dict[str, Any]:
    """Return the StatefulSet of an agent without an owner, as a user would apply it without the operator."""
    (manifest,) = (item for item in children_of(name) if item["kind"] == "StatefulSet")
    manifest["metadata"].pop("ownerReferences")
    return manifest


def children_file() -> str:
    """Return the children of an agent as the manifests from which the baseline creates its own."""
    return json.dumps(children_of(PLACEHOLDER))


def is_agent_ready(manifest: dict[str, Any]) -> bool:
    """Return whether an agent is Ready at its generation and no rollout is in progress."""
    is_ready = _condition(manifest, "Ready").get("status") == "True"
    return is_ready and _condition(manifest, "Progressing").get("reason", "Complete") == "Complete"


def is_stateful_set_ready(manifest: dict[str, Any]) -> bool:
    """Return whether the pod of a StatefulSet is ready."""
    return bool(manifest.get("status", {}).get("readyReplicas", 0) == 1)


def has_mode(mode: Mode) -> Callable[[dict[str, Any]], bool]:
    """Return the predicate of ConfigMaps that have the mode."""
    return lambda manifest: mode_of(manifest) == mode


def acknowledges(mode: Mode) -> Callable[[dict[str, Any]], bool]:
    """Return the predicate of agents whose status proves the mode."""
    wanted = "True" if mode is Mode.ACTIVE else "False"
    return lambda manifest: (
        _condition(manifest, "TradingActive").get("status") == wanted
        and manifest["status"].get("trading", {}).get("mode", mode) == mode
    )


def _condition(manifest: dict[str, Any], kind: str) -> dict[str, Any]:
    """Return a condition; empty if it is missing or about an older generation."""
    status = manifest.get("status", {})
    if status.get("observedGeneration") != manifest["metadata"]["generation"]:
        return {}
    return next((item for item in status.get("conditions", ()) if item["type"] == kind), {})


def _connection() -> Connection:
    facts = datadog_facts([a_datadog_daemon_set(host_ports=True)], LOCAL_SERVICES)
    return selected_connection(facts, "Auto")
