"""The StatefulSet of an agent, which runs each identity at most once.

A Deployment must not be used: it surges, and it replaces pods of unreachable nodes, so an identity could trade twice.
"""

from purpleflea_contract import kubernetes
from purpleflea_operator.datadog.detection.connection import Connection
from purpleflea_operator.manifests import recorded_connection, template_record, volumes
from purpleflea_operator.manifests.metadata import (
    Agent,
    Defaults,
    child_manifest,
    selector,
    unified_service_labels,
)
from purpleflea_operator.manifests.pod_template import pod_template
from purpleflea_operator.parsing import MutableManifest

DEFAULT_MIN_READY_SECONDS = 75
"""A revision that fails a minute after its start must not replace the next pod."""


def stateful_set(agent: Agent, defaults: Defaults, connection: Connection) -> MutableManifest:
    """Return the StatefulSet of the agent."""
    service_labels = unified_service_labels(agent, defaults)
    frame = child_manifest(agent, "apps/v1", "StatefulSet", more_labels=service_labels)
    frame["metadata"]["annotations"] = {
        **recorded_connection.annotation(connection),
        kubernetes.ANNOTATION_SPEC_HASH: template_record.spec_hash(agent),
    }
    spec: MutableManifest = {
        "replicas": agent.spec.replicas,
        "podManagementPolicy": "Parallel",
        # Always explicit, so that no field has to be removed when a rollout continues.
        "updateStrategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"partition": 0},
        },
        "minReadySeconds": _min_ready_seconds(agent),
        "revisionHistoryLimit": 3,
        "selector": {"matchLabels": selector(agent.name)},
        "template": pod_template(agent, defaults, connection),
    }
    storage = agent.storage
    if storage is not None:
        spec["volumeClaimTemplates"] = [volumes.volume_claim_template(agent, storage)]
        spec["persistentVolumeClaimRetentionPolicy"] = {
            "whenDeleted": storage.when_deleted,
            "whenScaled": storage.when_scaled,
        }
    return {**frame, "spec": spec}


def _min_ready_seconds(agent: Agent) -> int:
    seconds = agent.spec.pod.min_ready_seconds
    return DEFAULT_MIN_READY_SECONDS if seconds is None else seconds
