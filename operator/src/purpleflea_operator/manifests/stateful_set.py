"""The StatefulSet: each identity at most once.

Never a Deployment: it surges, and replaces pods of unreachable nodes, and so would trade twice.
"""

from purpleflea_operator.datadog.detection.connection import Connection
from purpleflea_operator.manifests import recorded_connection, volumes
from purpleflea_operator.manifests.metadata import (
    Agent,
    Defaults,
    manifest,
    selector,
    unified_service_labels,
)
from purpleflea_operator.manifests.pod_template import pod_template
from purpleflea_operator.parsing import MutableManifest


def stateful_set(agent: Agent, defaults: Defaults, connection: Connection) -> MutableManifest:
    """The StatefulSet of the agent."""
    service_labels = unified_service_labels(agent, defaults)
    frame = manifest(agent, "apps/v1", "StatefulSet", more_labels=service_labels)
    frame["metadata"]["annotations"] = recorded_connection.annotation(connection)
    spec: MutableManifest = {
        "replicas": agent.spec.replicas,
        "podManagementPolicy": "Parallel",
        "updateStrategy": _update_strategy(agent),
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": selector(agent.name)},
        "template": pod_template(agent, defaults, connection),
    }
    storage = agent.spec.storage
    if storage is not None:
        spec["volumeClaimTemplates"] = [volumes.claim(agent, storage)]
        spec["persistentVolumeClaimRetentionPolicy"] = {
            "whenDeleted": storage.when_deleted,
            "whenScaled": storage.when_scaled,
        }
    return {**frame, "spec": spec}


def _update_strategy(agent: Agent) -> MutableManifest:
    strategy: MutableManifest = {"type": "RollingUpdate"}
    if agent.partition:
        strategy["rollingUpdate"] = {"partition": agent.partition}
    return strategy
