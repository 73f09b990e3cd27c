"""Find the pod of a client from the origin it sends, and add the tags of the pod, as the node agent's tagger does.

Pure. Cardinality `low` adds the tags that all replicas share and those of the ad.datadoghq.com/tags annotation,
`orchestrator` also adds the pod's name, and `high` the container's id.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from purpleflea_sandbox.datadog import tags as tagging
from purpleflea_sandbox.datadog.dogstatsd import Origin
from purpleflea_sandbox.datadog.node_agent.pods import Pod, PodSource

ENTITY_TAG = "dd.internal.entity_id:"
_INTERNAL = ("dd.internal.",)
_STANDARD = ("env", "service", "version")
_OWNERS = {
    "StatefulSet": "kube_stateful_set",
    "DaemonSet": "kube_daemon_set",
    "ReplicaSet": "kube_replica_set",
    "Job": "kube_job",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Tagger:
    """Add the tags of the pod that a packet came from."""

    pods: PodSource
    cardinality: str = "low"
    trust_client: bool = False
    """Use container ids and external data that clients send (origin detection by the client)."""

    def tagged(self, tags: tuple[str, ...], origin: Origin) -> tuple[str, ...]:
        """Return the tags of the packet without internal tags, followed by the tags of its pod."""
        entity = next(
            (tag.removeprefix(ENTITY_TAG) for tag in tags if tag.startswith(ENTITY_TAG)), ""
        )
        own = tuple(tag for tag in tags if not tag.startswith(_INTERNAL))
        pod, container = self.located(entity, origin)
        if pod is None:
            return tagging.merged(own)
        cardinality = origin.cardinality or self.cardinality
        if cardinality == "none":
            return tagging.merged(own)
        return tagging.merged(own, pod_tags(pod, container=container, cardinality=cardinality))

    def located(self, entity: str, origin: Origin) -> tuple[Pod | None, str]:
        """Return the pod and the container name, if they are known."""
        container = ""
        if self.trust_client:
            external = external_data(origin.external)
            container = external.get("cn", "")
            entity = entity or external.get("pu", "")
        if entity and entity != "none":
            return self.pods.by_uid(entity), container
        if self.trust_client and origin.container:
            return self.pods.by_container(origin.container.removeprefix("ci-")), container
        return None, ""


def external_data(text: str) -> dict[str, str]:
    """Parse `it-false,cn-agent,pu-<uid>` by the two-letter prefixes."""
    return {part[:2]: part[3:] for part in text.split(",") if part[2:3] == "-"}


def pod_tags(pod: Pod, *, container: str = "", cardinality: str = "low") -> tuple[str, ...]:
    """Return the tags of all data from the pod."""
    return tagging.merged(
        _standard_tags(pod, container),
        annotation_tags(pod, container),
        _kubernetes_tags(pod, container),
        [f"pod_name:{pod.name}"] if cardinality in ("orchestrator", "high") else [],
        [f"container_id:{c.id}" for c in pod.containers if c.name == container and c.id]
        if cardinality == "high"
        else [],
    )


def standard_tag(pod: Pod, name: str, container: str = "") -> str:
    """Return env, service or version. If the container has its own label, it takes precedence over the label of the
    pod.
    """
    specific = pod.labels.get(f"tags.datadoghq.com/{container}.{name}", "") if container else ""
    return specific or pod.labels.get(f"tags.datadoghq.com/{name}", "")


def annotation_tags(pod: Pod, container: str = "") -> tuple[str, ...]:
    """Return the tags of ad.datadoghq.com/tags and ad.datadoghq.com/<container>.tags; none if the JSON is invalid."""
    keys = ["ad.datadoghq.com/tags", *([f"ad.datadoghq.com/{container}.tags"] if container else [])]
    return tagging.merged(*(_annotation(pod.annotations.get(key, "")) for key in keys))


def _annotation(text: str) -> Iterator[str]:
    try:
        values = json.loads(text) if text else {}
    except json.JSONDecodeError:
        return
    for name, value in values.items() if isinstance(values, dict) else ():
        for item in value if isinstance(value, list) else [value]:
            yield f"{name}:{item}"


def _standard_tags(pod: Pod, container: str) -> Iterator[str]:
    for name in _STANDARD:
        value = standard_tag(pod, name, container)
        if value:
            yield f"{name}:{value}"


def _kubernetes_tags(pod: Pod, container: str) -> Iterator[str]:
    yield f"kube_namespace:{pod.namespace}"
    if container:
        yield f"kube_container_name:{container}"
    if pod.owner_kind in _OWNERS:
        yield f"{_OWNERS[pod.owner_kind]}:{pod.owner_name}"
