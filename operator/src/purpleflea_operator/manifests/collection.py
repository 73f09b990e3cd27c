"""The logs and checks of an agent that the node agent collects, and the two ways to request them. Pure.

A DatadogInstrumentation can be changed without a restart of the agents. Annotations are part of the pod template, so a
change of them restarts the agents. An agent has one of the two, because both would collect everything twice.
"""

from purpleflea_contract import environment as env
from purpleflea_contract import kubernetes, secrets
from purpleflea_contract import tags as metric_tags
from purpleflea_operator.manifests.metadata import Agent, child_manifest
from purpleflea_operator.parsing import Manifest, MutableManifest, mapping

MASKING_RULES = (
    ("mask_api_keys", secrets.API_KEY),
    ("mask_private_keys", secrets.PRIVATE_KEY),
)


def uses_instrumentation(stateful_set: Manifest) -> bool:
    """Return whether pods of this template have no annotations for logs and checks."""
    metadata = mapping(mapping(mapping(stateful_set.get("spec")).get("template")).get("metadata"))
    annotations = mapping(metadata.get("annotations"))
    return annotations.get(kubernetes.ANNOTATION_COLLECTION) == kubernetes.DD_INSTRUMENTATION_KIND


def log_source(agent: Agent) -> MutableManifest | None:
    """Return the settings for the logs of the agent container; None if they are not collected."""
    if not agent.spec.datadog.logs.enabled or agent.spec.datadog.connection == "Disabled":
        return None
    source: MutableManifest = {"source": "python", "service": agent.spec.datadog.service}
    if agent.spec.datadog.logs.mask_secrets:
        source["log_processing_rules"] = [
            {
                "type": "mask_sequences",
                "name": name,
                "replace_placeholder": "[masked]",
                "pattern": pattern,
            }
            for name, pattern in MASKING_RULES
        ]
    return source


def checks(agent: Agent) -> dict[str, list[MutableManifest]]:
    """Return the instances of the checks that the node agent runs on each pod, by name of the check."""
    check, open_metrics = agent.spec.datadog.check, agent.spec.datadog.open_metrics
    if agent.spec.datadog.connection == "Disabled":
        return {}
    found: dict[str, list[MutableManifest]] = {}
    address = f"http://%%host%%:{env.HTTP_PORT}"
    # The agent id is the name of the pod. The tag is set here too, so that an alert for an agent that never
    # answered names the agent.
    tags = [f"{metric_tags.AGENT_ID.name}:%%kube_pod_name%%"]
    if check.enabled:
        every = {"min_collection_interval": check.interval_seconds}
        found[kubernetes.CHECK_NAME] = [{"url": address, "tags": tags, **every}]
    if open_metrics.enabled:
        instance = {
            "openmetrics_endpoint": f"{address}/metrics",
            "namespace": kubernetes.OPENMETRICS_NAMESPACE,
            "metrics": list(open_metrics.metrics),
            "tags": tags,
            "min_collection_interval": open_metrics.interval_seconds,
        }
        found["openmetrics"] = [instance]
    return found


def instrumentation(agent: Agent) -> list[MutableManifest]:
    """Return the DatadogInstrumentation of the StatefulSet; empty if nothing is collected."""
    container = {"containerName": kubernetes.CONTAINER}
    config: MutableManifest = {
        "checks": [
            {"integration": name, **container, "instances": instances}
            for name, instances in checks(agent).items()
        ],
        "logs": [{**container, **source} for source in (log_source(agent),) if source],
    }
    config = {key: items for key, items in config.items() if items}
    if not config:
        return []
    kind, version = kubernetes.DD_INSTRUMENTATION_KIND, kubernetes.DD_INSTRUMENTATION_VERSION
    target = {"apiVersion": "apps/v1", "kind": "StatefulSet", "name": agent.name}
    return [
        {**child_manifest(agent, version, kind), "spec": {"targetRef": target, "config": config}}
    ]
