"""Builders of the objects of a Datadog installation, as Helm chart 3.240 and Datadog Operator 1.29 create them.

Each function returns a plain manifest. The parameters are the values that a user would set.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from purpleflea_operator.controllers.agent.node_inventory import NodeInventory
from purpleflea_operator.datadog.detection.facts import NO_DATADOG, DatadogFacts
from purpleflea_operator.parsing import MutableManifest

RUN = "/var/run/datadog"
TOLERATIONS = Sequence[Mapping[str, str]]


def variables(**values: str) -> list[MutableManifest]:
    """Return variables with plain values."""
    return [{"name": name, "value": value} for name, value in values.items()]


def from_secret(name: str) -> MutableManifest:
    """Return a variable whose value is in a Secret, so the operator cannot read it."""
    return {"name": name, "valueFrom": {"secretKeyRef": {"name": "s", "key": "k"}}}


def _port(name: str, number: int, protocol: str, *, host: bool) -> MutableManifest:
    port: MutableManifest = {"name": name, "containerPort": number, "protocol": protocol}
    return {**port, "hostPort": number} if host else port


def helm(
    name: str = "datadog-agent",
    *,
    namespace: str = "datadog",
    chart: str = "datadog-3.240.0",
    release: str | None = None,
    image: str = "gcr.io/datadoghq/agent:7.81.1",
    dogstatsd_port: int = 8125,
    apm_port: int = 8126,
    dogstatsd_host_port: bool = False,
    apm_host_port: bool = False,
    host_network: bool = False,
    apm: bool = True,
    sockets: bool = True,
    logs: bool = False,
    data_plane: bool = False,
    env: Sequence[MutableManifest] = (),
    node_selector: Mapping[str, str] | None = None,
    affinity: MutableManifest | None = None,
    tolerations: TOLERATIONS = (),
    desired: int = 3,
    ready: int | None = None,
    generation: int = 1,
    observed: int = 1,
    os: str = "linux",
) -> MutableManifest:
    """Return the DaemonSet of the Helm chart."""
    common = variables(DD_LOGS_ENABLED=str(logs).lower(), DD_APM_ENABLED=str(apm).lower())
    dogstatsd = variables(
        DD_DOGSTATSD_PORT=str(dogstatsd_port), DD_DOGSTATSD_NON_LOCAL_TRAFFIC="true"
    )
    trace = variables(DD_APM_RECEIVER_PORT=str(apm_port), DD_APM_NON_LOCAL_TRAFFIC="true")
    mounts = [{"name": "dsdsocket", "mountPath": RUN}] if sockets else []
    if sockets:
        dogstatsd += variables(DD_DOGSTATSD_SOCKET=f"{RUN}/dsd.socket")
        trace += variables(DD_APM_RECEIVER_SOCKET=f"{RUN}/apm.socket")
    port = _port(
        "dogstatsdport", dogstatsd_port, "UDP", host=dogstatsd_host_port and not host_network
    )
    agent: MutableManifest = {
        "name": "agent",
        "image": image,
        "ports": [] if data_plane else [port],
        "env": [*common, *dogstatsd, *env],
        "volumeMounts": mounts,
    }
    containers = [agent]
    if data_plane:
        containers.append({**agent, "name": "agent-data-plane", "ports": [port]})
    if apm:
        traces = _port("traceport", apm_port, "TCP", host=apm_host_port and not host_network)
        containers.append(
            {
                "name": "trace-agent",
                "image": image,
                "ports": [traces],
                "env": [*common, *trace, *env],
                "volumeMounts": mounts,
            }
        )
    spec: MutableManifest = {
        "hostNetwork": host_network,
        "nodeSelector": {"kubernetes.io/os": os, **(node_selector or {})},
        "tolerations": [dict(item) for item in tolerations],
        "containers": containers,
        "volumes": [
            {"name": "dsdsocket", "hostPath": {"path": RUN}},
            {"name": "apmsocket", "hostPath": {"path": RUN}},
        ]
        if sockets
        else [],
    }
    if affinity is not None:
        spec["affinity"] = affinity
    annotations = {} if release is None else {"meta.helm.sh/release-name": release}
    labels = {
        "helm.sh/chart": chart,
        "app.kubernetes.io/managed-by": "Helm",
        "app.kubernetes.io/component": "agent",
        "agent.datadoghq.com/component": "agent",
    }
    status = (desired, desired if ready is None else ready, observed)
    return _daemon_set((namespace, name), labels, spec, annotations, (generation, *status))


def plain(**options: Any) -> MutableManifest:
    """Return a DaemonSet that neither the chart nor the Datadog Operator has created. It has the options of `helm`."""
    item = helm(**{**options, "env": [*options.get("env", ()), from_secret("DD_API_KEY")]})
    labels = {"app.kubernetes.io/component": "agent"}
    item["metadata"]["labels"] = {**labels, "app": "datadog"}
    item["spec"]["template"]["metadata"] = {"labels": labels}
    return item


def datadog_operator(
    name: str = "datadog-agent",
    *,
    owner: str = "datadog",
    namespace: str = "datadog",
    single: bool = False,
    apm: bool = True,
    host_ports: bool = False,
    env: Sequence[MutableManifest] = (),
    node_selector: Mapping[str, str] | None = None,
    component: str = "agent",
    desired: int = 3,
    ready: int = 3,
) -> MutableManifest:
    """Return the DaemonSet that the Datadog Operator creates for a DatadogAgent, or for a profile of a DatadogAgent."""
    image = "gcr.io/datadoghq/agent:7.81.1"
    dogstatsd = _port("dogstatsdport", 8125, "UDP", host=host_ports)
    traces = _port("traceport", 8126, "TCP", host=host_ports)
    mounts = [{"name": "dsdsocket", "mountPath": RUN}]
    agent: MutableManifest = {
        "name": "unprivileged-single-agent" if single else "agent",
        "image": image,
        "ports": [dogstatsd, traces] if single and apm else [dogstatsd],
        "env": [
            *variables(
                DD_DOGSTATSD_SOCKET=f"{RUN}/dsd.socket",
                DD_DOGSTATSD_NON_LOCAL_TRAFFIC="true",
                DD_APM_ENABLED=str(apm).lower(),
            ),
            *(variables(DD_APM_RECEIVER_SOCKET=f"{RUN}/apm.socket") if single else []),
            *env,
        ],
        "volumeMounts": mounts,
    }
    containers = [agent]
    if apm and not single:
        trace_env = variables(DD_APM_RECEIVER_SOCKET=f"{RUN}/apm.socket", DD_APM_ENABLED="true")
        containers.append(
            {
                "name": "trace-agent",
                "image": image,
                "ports": [traces],
                "env": trace_env,
                "volumeMounts": mounts,
            }
        )
    labels = {
        "app.kubernetes.io/managed-by": "datadog-operator",
        "app.kubernetes.io/name": "datadog-agent-deployment",
        "app.kubernetes.io/component": component,
        "agent.datadoghq.com/name": owner,
        "agent.datadoghq.com/component": component,
    }
    spec: MutableManifest = {
        "containers": containers,
        "nodeSelector": dict(node_selector or {}),
        "volumes": [{"name": "dsdsocket", "hostPath": {"path": RUN}}],
    }
    return _daemon_set((namespace, name), labels, spec, {}, (1, desired, ready, 1))


def _daemon_set(
    address: tuple[str, str],
    labels: Mapping[str, str],
    spec: MutableManifest,
    annotations: Mapping[str, str],
    counts: tuple[int, int, int, int],
) -> MutableManifest:
    namespace, name = address
    generation, desired, ready, observed = counts
    return {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {
            "name": name,
            "namespace": namespace,
            "uid": f"{namespace}/{name}",
            "generation": generation,
            "resourceVersion": "1",
            "labels": dict(labels),
            "annotations": dict(annotations),
        },
        "spec": {"template": {"spec": spec}},
        "status": {
            "observedGeneration": observed,
            "desiredNumberScheduled": desired,
            "updatedNumberScheduled": desired,
            "numberReady": ready,
            "numberMisscheduled": 0,
        },
    }


def a_node(
    name: str = "node-1",
    *,
    labels: Mapping[str, str] | None = None,
    taints: Sequence[str] = (),
    ready: bool = True,
) -> MutableManifest:
    """Return a node. Taints have the notation of kubectl."""
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": name,
            "uid": f"uid-{name}",
            "resourceVersion": "1",
            "labels": {"kubernetes.io/os": "linux", **(labels or {})},
        },
        "spec": {"taints": [_taint(item) for item in taints]},
        "status": {"conditions": [{"type": "Ready", "status": "True" if ready else "Unknown"}]},
    }


def _taint(text: str) -> MutableManifest:
    pair, _, effect = text.rpartition(":")
    key, _, value = pair.partition("=")
    return {"key": key, "effect": effect, **({"value": value} if value else {})}


def a_node_agent(
    node: str = "node-1",
    *,
    of: MutableManifest,
    ready: bool = True,
    waiting: str = "",
    restarts: int = 0,
    version: int = 1,
    owner: str = "DaemonSet",
) -> MutableManifest:
    """Return the pod of a node agent on a node."""
    metadata = of["metadata"]
    state = {"waiting": {"reason": waiting}} if waiting else {"running": {}}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": f"{metadata['name']}-{node}",
            "namespace": metadata["namespace"],
            "uid": f"{metadata['uid']}-{node}",
            "resourceVersion": str(version),
            "labels": {"app.kubernetes.io/component": "agent"},
            "ownerReferences": [
                {
                    "apiVersion": "apps/v1",
                    "kind": owner,
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "controller": True,
                }
            ],
        },
        "spec": {"nodeName": node},
        "status": {
            "conditions": [{"type": "Ready", "status": "True" if ready else "False"}],
            "containerStatuses": [
                {"name": "agent", "ready": ready, "restartCount": restarts, "state": state}
            ],
        },
    }


def a_node_inventory(facts: DatadogFacts = NO_DATADOG) -> NodeInventory:
    """Return an inventory without nodes, with these facts about Datadog."""
    inventory = NodeInventory(clock=lambda: 0.0)
    inventory.update_facts(facts)
    return inventory
