"""Builders of manifests for tests. Each returns a plain manifest with only the requested fields."""

from collections.abc import Mapping, Sequence
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_operator.parsing import MutableManifest

CREATED = "2026-01-01T00:00:00Z"


def a_spec(**changes: Any) -> MutableManifest:
    """Return a minimal valid spec with top-level fields replaced."""
    spec: MutableManifest = {
        "strategy": "momentum",
        "markets": ["BTC-USD"],
        "api": {"keySecretRef": {"name": "purpleflea-api-key"}},
        # Most tests are not about volumes, which would need claims on the fake API server.
        "storage": {"ephemeral": True},
    }
    return {**spec, **changes}


def an_agent(
    name: str = "momentum",
    *,
    namespace: str = "trading",
    uid: str = "agent-uid",
    generation: int = 1,
    spec: Mapping[str, Any] | None = None,
    **changes: Any,
) -> MutableManifest:
    """Return a PurpleFleaAgent as the API server stores it; keywords replace top-level fields of its spec."""
    return {
        "apiVersion": kubernetes.API_VERSION,
        "kind": "PurpleFleaAgent",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": uid,
            "generation": generation,
            "resourceVersion": "1",
            "creationTimestamp": CREATED,
        },
        "spec": dict(spec) if spec is not None else a_spec(**changes),
    }


def a_halt(
    name: str = "incident",
    *,
    namespace: str = "trading",
    created: str = CREATED,
    annotations: Mapping[str, str] | None = None,
    **changes: Any,
) -> MutableManifest:
    """Return a PurpleFleaHalt of all agents in its namespace; keywords replace fields of its spec."""
    spec = {"level": "Halt", "selector": {}, "reason": "the exchange is down", **changes}
    return {
        "apiVersion": kubernetes.API_VERSION,
        "kind": "PurpleFleaHalt",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"uid-{namespace}-{name}",
            "generation": 1,
            "resourceVersion": "1",
            "creationTimestamp": created,
            "annotations": dict(annotations or {}),
        },
        "spec": spec,
    }


def a_container(
    name: str,
    image: str,
    *,
    ports: Mapping[str, Mapping[str, int | str]] | None = None,
    env: Mapping[str, str] | None = None,
) -> MutableManifest:
    """Return a container with named ports ({name: {containerPort, hostPort?}}) and plain variables."""
    return {
        "name": name,
        "image": image,
        "ports": [{"name": key, **value} for key, value in (ports or {}).items()],
        "env": [{"name": key, "value": value} for key, value in (env or {}).items()],
    }


def a_datadog_daemon_set(
    name: str = "datadog-agent",
    *,
    namespace: str = "datadog",
    host_ports: bool = False,
    host_network: bool = False,
    apm: bool = True,
    logs: str | None = "true",
    dogstatsd_port: int = 8125,
    apm_port: int = 8126,
    desired: int = 1,
    ready: int = 1,
    labels: Mapping[str, str] | None = None,
    image: str = "gcr.io/datadoghq/agent:7.81.1",
    annotations: Mapping[str, str] | None = None,
) -> MutableManifest:
    """Return the DaemonSet of a node agent as the Helm chart of Datadog renders it."""

    def port(number: int, protocol: str = "TCP") -> dict[str, int | str]:
        host_port = {"hostPort": number} if host_ports else {}
        return {"containerPort": number, **host_port, "protocol": protocol}

    env = {"DD_DOGSTATSD_NON_LOCAL_TRAFFIC": "true"}
    if logs is not None:
        env["DD_LOGS_ENABLED"] = logs
    containers = [
        a_container("agent", image, ports={"dogstatsdport": port(dogstatsd_port, "UDP")}, env=env)
    ]
    if apm:
        containers.append(a_container("trace-agent", image, ports={"traceport": port(apm_port)}))
    chart_labels = {
        "helm.sh/chart": "datadog-3.240.0",
        "app.kubernetes.io/component": "agent",
        "agent.datadoghq.com/component": "agent",
        "app.kubernetes.io/managed-by": "Helm",
    }
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"{namespace}-{name}",
            "generation": 1,
            "resourceVersion": "1",
            "labels": dict(chart_labels if labels is None else labels),
            "annotations": dict(annotations or {}),
        },
        "spec": {"template": {"spec": {"containers": containers, "hostNetwork": host_network}}},
        "status": {
            "observedGeneration": 1,
            "desiredNumberScheduled": desired,
            "updatedNumberScheduled": desired,
            "numberReady": ready,
        },
    }


def a_local_service(
    name: str = "datadog-agent",
    *,
    namespace: str = "datadog",
    ports: Mapping[str, int] | None = None,
    policy: str = "Local",
) -> MutableManifest:
    """Return the Service through which pods reach the node agent of their node; `ports` by their names."""
    found = {"dogstatsdport": 8125, "traceport": 8126} if ports is None else ports
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name, "namespace": namespace},
        "spec": {
            "internalTrafficPolicy": policy,
            "ports": [{"name": key, "port": value} for key, value in found.items()],
        },
    }


LOCAL_SERVICES = {("datadog", "datadog-agent"): a_local_service()}
"""The Services of the DaemonSet above, by namespace and name."""

HOST_IP: MutableManifest = {
    "name": "DD_AGENT_HOST",
    "valueFrom": {"fieldRef": {"apiVersion": "v1", "fieldPath": "status.hostIP"}},
}
"""The variable of a pod that reaches its node agent through a port of its node."""


def a_pod(
    name: str = "momentum-0",
    *,
    namespace: str = "trading",
    instance: str = "momentum",
    ready: bool = True,
    node: str = "node-1",
    waiting: str = "",
    message: str = "",
    annotations: Mapping[str, str] | None = None,
    created: str = CREATED,
    deleting: bool = False,
    env: Sequence[Mapping[str, Any]] = (HOST_IP,),
    restarts: int = 0,
) -> MutableManifest:
    """Return a pod of an agent."""
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    if not node:
        conditions.append({"type": "PodScheduled", "status": "False", "message": message})
    state = {"waiting": {"reason": waiting, "message": message}} if waiting else {"running": {}}
    metadata: MutableManifest = {
        "name": name,
        "namespace": namespace,
        "uid": f"uid-{name}",
        "resourceVersion": "1",
        "creationTimestamp": created,
        "labels": {
            kubernetes.LABEL_INSTANCE: instance,
            kubernetes.LABEL_MANAGED_BY: kubernetes.MANAGED_BY,
            kubernetes.LABEL_COMPONENT: "trading-agent",
            "controller-revision-hash": f"{instance}-1",
        },
        "annotations": dict(annotations or {}),
    }
    if deleting:
        metadata["deletionTimestamp"] = created
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "containers": [{"name": kubernetes.CONTAINER, "env": list(env)}],
            **({"nodeName": node} if node else {}),
        },
        "status": {
            "conditions": conditions,
            "containerStatuses": [{"name": "agent", "state": state, "restartCount": restarts}]
            if node
            else [],
        },
    }
