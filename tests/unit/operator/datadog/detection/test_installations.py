"""Named installations: detected values, selected connection, conditions, and the command in the message."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from purpleflea_operator.controllers.agent.decisions.conditions.telemetry import (
    datadog_installed,
    telemetry_ready,
)
from purpleflea_operator.controllers.agent.decisions.datadog_status import datadog_status
from purpleflea_operator.controllers.agent.node_inventory import NodeInventory
from purpleflea_operator.datadog.detection.connection import (
    ConnectionMode,
    Constraints,
    selected_connection,
)
from purpleflea_operator.datadog.detection.coverage import coverage
from purpleflea_operator.datadog.detection.facts import PodSecurity
from purpleflea_operator.datadog.detection.node_agent import datadog_facts
from purpleflea_operator.datadog.detection.trust import DEFAULT_TRUST, TrustedNamespaces
from purpleflea_operator.kube import resources
from purpleflea_operator.manifests.datadog_env import receivers
from support.builders import a_local_service, a_pod
from support.installations import (
    a_node,
    a_node_agent,
    datadog_operator,
    from_secret,
    helm,
    plain,
    variables,
)
from support.observed_states import a_stateful_set, observed_state

NODES = ("node-1", "node-2", "node-3")
LOCAL = {("datadog", "datadog-agent"): a_local_service()}
RESTRICTED = PodSecurity.RESTRICTED


@dataclass(frozen=True, kw_only=True)
class Case:
    """An installation and the expected results."""

    name: str
    daemon_sets: tuple[dict[str, Any], ...]
    services: dict[Any, Any] = field(default_factory=lambda: LOCAL)
    csi: bool | None = False
    security: PodSecurity = RESTRICTED
    trusted: TrustedNamespaces = DEFAULT_TRUST
    requested: str = "Auto"
    nodes: tuple[dict[str, Any], ...] = tuple(a_node(name) for name in NODES)
    node_agents: tuple[dict[str, Any], ...] | None = None
    """By default, a ready node agent of the first DaemonSet on each node."""

    status: dict[str, Any]
    """Fields of status.datadog."""
    installed: str = "Found"
    telemetry: str = "Connected"
    says: str = ""
    """Part of the message of TelemetryReady or DatadogInstalled, such as the command of the remedy."""


HELM = helm(logs=True)
TENANT = helm(namespace="team-a", logs=True, dogstatsd_host_port=True, apm_host_port=True)
"""A node agent with Datadog's labels in the namespace of a tenant. It offers the connection that Auto prefers."""
TENANT_SERVICES = {("team-a", "datadog-agent"): a_local_service(namespace="team-a")}
GPU_TAINT = a_node("node-3", taints=["dedicated=gpu:NoSchedule"])
CONFIGURATION_MOUNT = {
    "name": "config",
    "mountPath": "/etc/datadog-agent/datadog.yaml",
    "subPath": "datadog.yaml",
}


def forged(pod):
    """Return a ready pod of a tenant that names the trusted DaemonSet as its controller."""
    return {**pod, "metadata": {**pod["metadata"], "namespace": "team-a"}}


FORGED_PODS = [forged(a_node_agent(name, of=HELM)) for name in NODES]


def configured_by_file():
    found = helm()
    for container in found["spec"]["template"]["spec"]["containers"]:
        container["volumeMounts"] = [*container["volumeMounts"], CONFIGURATION_MOUNT]
        kept = ("DD_DOGSTATSD_SOCKET", "DD_APM_RECEIVER_SOCKET")
        container["env"] = [item for item in container["env"] if item["name"] in kept]
    return found


def required(*terms):
    selector = {"nodeSelectorTerms": list(terms)}
    return {"nodeAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": selector}}


def in_custom_folder():
    found = helm(logs=True)
    spec = found["spec"]["template"]["spec"]
    spec["volumes"][0]["hostPath"]["path"] = "/opt/run/datadog"
    return found


def without_receivers():
    found = helm(logs=True, sockets=False)
    for container in found["spec"]["template"]["spec"]["containers"]:
        container["ports"] = []
    return found


CHANGED_PORTS = variables(DD_DOGSTATSD_PORT="9125", DD_APM_RECEIVER_PORT="9126")
CPU = {"example.com/pool": "cpu"}
PLAN9 = {"kubernetes.io/os": "plan9"}
OPEN = {"logs": True, "dogstatsd_host_port": True, "apm_host_port": True}


def pools(**changes):
    """Node agents of two node pools with the same ports."""
    return helm("a-datadog", **OPEN), helm("b-datadog", **{**OPEN, **changes})


ON_POOLS = (
    a_node_agent("node-1", of=helm("a-datadog")),
    a_node_agent("node-2", of=helm("a-datadog")),
    a_node_agent("node-3", of=helm("b-datadog")),
)

CASES = (
    Case(
        name="the chart with defaults and logs, in a restricted namespace",
        daemon_sets=(HELM,),
        status={
            "installer": "Helm",
            "release": "datadog-agent",
            "namespace": "datadog",
            "chartVersion": "3.240.0",
            "agentVersion": "7.81.1",
            "connection": "Service",
            "dogstatsd": "datadog-agent.datadog.svc.cluster.local:8125",
            "apm": "datadog-agent.datadog.svc.cluster.local:8126",
            "logs": "On",
            "nodes": {"needed": 3, "covered": 3, "missing": []},
        },
    ),
    Case(
        name="the chart with defaults, without logs",
        daemon_sets=(helm(),),
        status={"logs": "Off", "connection": "Service"},
        telemetry="LogsOff",
        says="helm upgrade datadog-agent datadog/datadog --namespace datadog --reuse-values "
        "--set 'datadog.logs.enabled=true'",
    ),
    Case(
        name="the chart as documented, with open ports of the node",
        daemon_sets=(helm(logs=True, dogstatsd_host_port=True, apm_host_port=True),),
        status={"connection": "HostIP", "dogstatsd": "HostIP:8125", "apm": "HostIP:8126"},
    ),
    Case(
        name="only the port for metrics is open on the node, so the Service is used",
        daemon_sets=(helm(logs=True, dogstatsd_host_port=True),),
        status={"connection": "Service"},
    ),
    Case(
        name="only the port for traces is open on the node",
        daemon_sets=(helm(logs=True, apm_host_port=True),),
        status={"connection": "Service"},
    ),
    Case(
        name="only the port for metrics is open, and there is no Service",
        daemon_sets=(helm(logs=True, dogstatsd_host_port=True, sockets=False),),
        services={},
        status={"connection": "HostIP", "apm": "Off"},
        telemetry="TracesUnreachable",
        says="'datadog.apm.portEnabled=true'",
    ),
    Case(
        name="host network and custom ports",
        daemon_sets=(helm(logs=True, host_network=True, dogstatsd_port=8225, apm_port=8226),),
        status={"connection": "HostIP", "dogstatsd": "HostIP:8225", "apm": "HostIP:8226"},
    ),
    Case(
        name="custom ports behind the Service",
        daemon_sets=(helm(logs=True, dogstatsd_port=8225, apm_port=8226),),
        services={
            ("datadog", "datadog-agent"): a_local_service(
                ports={"dogstatsdport": 8225, "traceport": 8226}
            )
        },
        status={"dogstatsd": "datadog-agent.datadog.svc.cluster.local:8225"},
    ),
    Case(
        name="host network, and ports that the user's own variables change",
        daemon_sets=(helm(logs=True, host_network=True, env=CHANGED_PORTS),),
        status={"connection": "HostIP", "dogstatsd": "HostIP:9125", "apm": "HostIP:9126"},
    ),
    Case(
        name="host network and changed ports, but the requested Service forwards to the declared ports",
        daemon_sets=(helm(logs=True, host_network=True, env=CHANGED_PORTS),),
        requested="Service",
        status={"connection": "None"},
        telemetry="NoConnection",
    ),
    Case(
        name="open ports without a receiver, because the user's own variable changed its port",
        daemon_sets=(helm(**OPEN, env=variables(DD_DOGSTATSD_PORT="9125")),),
        status={"connection": "None"},
        telemetry="PodSecurityForbids",
        says="--set-string agents.containers.agent.envDict.DD_DOGSTATSD_PORT=8125",
    ),
    Case(
        name="the receiver of traces on another port through the user's own variable",
        daemon_sets=(helm(**OPEN, host_network=True, env=variables(DD_APM_RECEIVER_PORT="0")),),
        status={"connection": "HostIP", "apm": "Off"},
        telemetry="TracesUnreachable",
        says="--set-string agents.containers.traceAgent.envDict.DD_APM_RECEIVER_PORT=8126",
    ),
    Case(
        name="a port from a Secret, so the declared port is used",
        daemon_sets=(helm(**OPEN, env=[from_secret("DD_DOGSTATSD_PORT")]),),
        status={"dogstatsd": "HostIP:8125"},
    ),
    Case(
        name="another name of the release in the annotation of helm install",
        daemon_sets=(helm("dd-datadog", namespace="monitoring", release="dd"),),
        trusted=TrustedNamespaces(("monitoring",)),
        services={
            ("monitoring", "dd-datadog"): a_local_service("dd-datadog", namespace="monitoring")
        },
        status={
            "release": "dd",
            "dogstatsd": "dd-datadog.monitoring.svc.cluster.local:8125",
        },
        telemetry="LogsOff",
        says="helm upgrade dd datadog/datadog --namespace monitoring",
    ),
    Case(
        name="an old chart without the label by which its pods are visible",
        daemon_sets=(helm(chart="datadog-2.37.2", logs=True, dogstatsd_host_port=True),),
        node_agents=(),
        status={"chartVersion": "2.37.2", "nodes": {"needed": 3, "covered": 3, "missing": []}},
    ),
    Case(
        name="an old chart during its rollout",
        daemon_sets=(helm(chart="datadog-2.37.2", logs=True, ready=2),),
        node_agents=(),
        status={"nodes": {"needed": 3, "covered": 0}},
        telemetry="NodesUncovered",
        says="its node agent is starting",
    ),
    Case(
        name="traces off",
        daemon_sets=(helm(logs=True, apm=False, dogstatsd_host_port=True),),
        status={"connection": "HostIP", "apm": "Off"},
        telemetry="ApmOff",
        says="'datadog.apm.portEnabled=true'",
    ),
    Case(
        name="traces turned off by the user's own variable, which is the last",
        daemon_sets=(helm(logs=True, env=variables(DD_APM_ENABLED="false")),),
        status={"apm": "Off"},
        telemetry="ApmOff",
        says="--reuse-values --set-string agents.containers.traceAgent.envDict.DD_APM_ENABLED=true",
    ),
    Case(
        name="traces closed to other pods by the user's own variable",
        daemon_sets=(helm(**OPEN, env=variables(DD_APM_NON_LOCAL_TRAFFIC="false")),),
        services={},
        status={"apm": "Off", "connection": "HostIP"},
        telemetry="TracesUnreachable",
        says="--set-string agents.containers.traceAgent.envDict.DD_APM_NON_LOCAL_TRAFFIC=true",
    ),
    Case(
        name="logs turned off by the user's own variable, although the installation turns them on",
        daemon_sets=(helm(**OPEN, env=variables(DD_LOGS_ENABLED="false")),),
        status={"logs": "Off"},
        telemetry="LogsOff",
        says="--set-string agents.containers.agent.envDict.DD_LOGS_ENABLED=true",
    ),
    Case(
        name="metrics off by the user's own variable",
        daemon_sets=(helm(logs=True, env=variables(DD_USE_DOGSTATSD="false")),),
        status={"connection": "None", "dogstatsd": "Off"},
        telemetry="MetricsOff",
        says="--reuse-values --set-string agents.containers.agent.envDict.DD_USE_DOGSTATSD=true",
    ),
    Case(
        name="metrics off in agent-data-plane",
        daemon_sets=(helm(logs=True, data_plane=True, env=variables(DD_USE_DOGSTATSD="false")),),
        status={"dogstatsd": "Off"},
        telemetry="MetricsOff",
        says="--set-string datadog.envDict.DD_USE_DOGSTATSD=true",
    ),
    Case(
        name="metrics closed to other pods, in a restricted namespace",
        daemon_sets=(helm(**OPEN, env=variables(DD_DOGSTATSD_NON_LOCAL_TRAFFIC="false")),),
        status={"connection": "None"},
        telemetry="PodSecurityForbids",
        says="agents.containers.agent.envDict.DD_DOGSTATSD_NON_LOCAL_TRAFFIC=true",
    ),
    Case(
        name="metrics closed to other pods, and the Service is requested",
        daemon_sets=(helm(**OPEN, env=variables(DD_DOGSTATSD_NON_LOCAL_TRAFFIC="false")),),
        requested="Service",
        status={"connection": "None"},
        telemetry="NoConnection",
        says="agents.containers.agent.envDict.DD_DOGSTATSD_NON_LOCAL_TRAFFIC=true",
    ),
    Case(
        name="the Datadog Operator, metrics off by the user's own variable",
        daemon_sets=(datadog_operator(env=variables(DD_USE_DOGSTATSD="false")),),
        status={"dogstatsd": "Off"},
        telemetry="MetricsOff",
        says="kubectl --namespace datadog edit datadogagent datadog (set DD_USE_DOGSTATSD to true)",
    ),
    Case(
        name="a plain DaemonSet, metrics off by its variable",
        daemon_sets=(plain(logs=True, env=variables(DD_USE_DOGSTATSD="false")),),
        status={"dogstatsd": "Off"},
        telemetry="MetricsOff",
        says="kubectl --namespace datadog set env daemonset/datadog-agent --containers=agent DD_USE_DOGSTATSD=true",
    ),
    Case(
        name="a plain DaemonSet without traces",
        daemon_sets=(plain(logs=True, apm=False, dogstatsd_host_port=True),),
        status={"apm": "Off"},
        telemetry="ApmOff",
        says="kubectl --namespace datadog edit daemonset datadog-agent (as Datadog's Helm chart does with",
    ),
    Case(
        name="logs from a Secret, which are unknown and not off",
        daemon_sets=(helm(env=[from_secret("DD_LOGS_ENABLED")]),),
        status={"logs": "Unknown"},
        says="it is unknown whether it accepts logs",
    ),
    Case(
        name="logs through a reference to another variable, which are unknown",
        daemon_sets=(helm(env=variables(DD_LOGS_ENABLED="$(LOGS)")),),
        status={"logs": "Unknown"},
    ),
    Case(
        name="configured with a mounted datadog.yaml, so unset variables are unknown",
        daemon_sets=(configured_by_file(),),
        status={"logs": "Unknown", "connection": "Service"},
        says="it is unknown whether it accepts metrics and traces and logs",
    ),
    Case(
        name="DogStatsD in agent-data-plane",
        daemon_sets=(
            helm(logs=True, data_plane=True, dogstatsd_host_port=True, apm_host_port=True),
        ),
        status={"connection": "HostIP", "dogstatsd": "HostIP:8125"},
    ),
    Case(
        name="closed to other pods, so only sockets are left",
        daemon_sets=(
            helm(
                logs=True,
                env=variables(
                    DD_DOGSTATSD_NON_LOCAL_TRAFFIC="false", DD_APM_NON_LOCAL_TRAFFIC="false"
                ),
            ),
        ),
        security=PodSecurity.PRIVILEGED,
        status={
            "connection": "Socket",
            "dogstatsd": "unix:///var/run/datadog/dsd.socket",
            "apm": "unix:///var/run/datadog/apm.socket",
        },
    ),
    Case(
        name="only sockets, and a namespace that forbids folders of the node",
        daemon_sets=(HELM,),
        services={},
        status={"connection": "None", "dogstatsd": "Off"},
        telemetry="PodSecurityForbids",
        says="'datadog.dogstatsd.useHostPort=true'",
    ),
    Case(
        name="only sockets, and a namespace with an unknown level",
        daemon_sets=(HELM,),
        services={},
        security=PodSecurity.UNKNOWN,
        status={"connection": "None"},
        telemetry="NotVisible",
        says="the operator cannot see if the namespace allows them",
    ),
    Case(
        name="only sockets and the CSI driver, in a restricted namespace",
        daemon_sets=(HELM,),
        services={},
        csi=True,
        status={"connection": "CSI", "apm": "unix:///var/run/datadog/apm.socket"},
    ),
    Case(
        name="sockets requested in a namespace that allows them, in a custom folder",
        daemon_sets=(in_custom_folder(),),
        security=PodSecurity.PRIVILEGED,
        requested="Socket",
        status={"connection": "Socket", "dogstatsd": "unix:///var/run/datadog/dsd.socket"},
    ),
    Case(
        name="sockets requested in a namespace that forbids them",
        daemon_sets=(HELM,),
        requested="Socket",
        status={"connection": "None"},
        telemetry="PodSecurityForbids",
        says="restricted forbids",
    ),
    Case(
        name="sockets requested in a namespace with an unknown level, so they are tried",
        daemon_sets=(HELM,),
        security=PodSecurity.UNKNOWN,
        requested="Socket",
        status={"connection": "Socket"},
    ),
    Case(
        name="sockets requested of an installation without sockets",
        daemon_sets=(helm(logs=True, sockets=False),),
        security=PodSecurity.PRIVILEGED,
        requested="Socket",
        status={"connection": "None"},
        telemetry="NoConnection",
        says="'datadog.dogstatsd.useSocketVolume=true'",
    ),
    Case(
        name="ports of the node requested of an installation without open ports",
        daemon_sets=(HELM,),
        requested="HostIP",
        status={"connection": "None"},
        telemetry="NoConnection",
        says="'datadog.dogstatsd.useHostPort=true'",
    ),
    Case(
        name="the Service requested, but its traffic does not stay on the node",
        daemon_sets=(HELM,),
        services={("datadog", "datadog-agent"): a_local_service(policy="Cluster")},
        requested="Service",
        status={"connection": "None"},
        telemetry="NoConnection",
        says="no node-local Service of datadog/datadog-agent accepts metrics. To offer this connection: "
        "helm upgrade datadog-agent datadog/datadog --namespace datadog --reuse-values "
        "--set 'agents.localService.forceLocalServiceEnabled=true'",
    ),
    Case(
        name="the Service of the Datadog Operator requested, but it does not exist",
        daemon_sets=(datadog_operator(),),
        services={},
        requested="Service",
        status={"connection": "None"},
        telemetry="NoConnection",
        says='{"spec":{"global":{"localService":{"forceEnableLocalService":true}}}}',
    ),
    Case(
        name="CSI requested without the driver",
        daemon_sets=(HELM,),
        requested="CSI",
        status={"connection": "None"},
        telemetry="NoConnection",
        says="'datadog.csi.enabled=true'",
    ),
    Case(
        name="CSI requested with the driver, but without sockets",
        daemon_sets=(helm(logs=True, sockets=False),),
        csi=True,
        requested="CSI",
        status={"connection": "None"},
        telemetry="NoConnection",
        says="the node agent has no socket in a folder of the node. To offer this connection: "
        "helm upgrade datadog-agent datadog/datadog --namespace datadog --reuse-values "
        "--set 'datadog.dogstatsd.useSocketVolume=true'",
    ),
    Case(
        name="CSI requested, but drivers are not visible",
        daemon_sets=(HELM,),
        csi=None,
        requested="CSI",
        status={"connection": "None"},
        telemetry="NotVisible",
        says="CSI driver",
    ),
    Case(
        name="no receiver listens",
        daemon_sets=(without_receivers(),),
        services={},
        status={"connection": "None"},
        telemetry="NoConnection",
        says="no port of the node, node-local Service or socket accepts metrics",
    ),
    Case(
        name="the Datadog Operator with defaults",
        daemon_sets=(datadog_operator(),),
        status={
            "installer": "Operator",
            "release": "datadog",
            "connection": "Service",
            "logs": "Off",
        },
        telemetry="LogsOff",
        says="kubectl --namespace datadog patch datadogagent datadog --type=merge --patch "
        '\'{"spec":{"features":{"logCollection":{"enabled":true}}}}\'',
    ),
    Case(
        name="the Datadog Operator with open ports, one container for everything",
        daemon_sets=(
            datadog_operator(single=True, host_ports=True, env=variables(DD_LOGS_ENABLED="true")),
        ),
        status={"connection": "HostIP", "apm": "HostIP:8126", "agentVersion": "7.81.1"},
    ),
    Case(
        name="the Datadog Operator, one container, traces off",
        daemon_sets=(
            datadog_operator(single=True, apm=False, env=variables(DD_LOGS_ENABLED="true")),
        ),
        status={"apm": "Off"},
        telemetry="ApmOff",
        says='"features":{"apm":{"enabled":true',
    ),
    Case(
        name="a profile of a DatadogAgent shares its Service",
        daemon_sets=(
            datadog_operator(env=variables(DD_LOGS_ENABLED="true")),
            datadog_operator("spot-agent", env=variables(DD_LOGS_ENABLED="true"), desired=1),
        ),
        node_agents=(
            a_node_agent("node-1", of=datadog_operator()),
            a_node_agent("node-2", of=datadog_operator()),
            a_node_agent("node-3", of=datadog_operator("spot-agent")),
        ),
        status={"connection": "Service", "nodes": {"needed": 3, "covered": 3, "missing": []}},
    ),
    Case(
        name="one DaemonSet per operating system",
        daemon_sets=(
            helm("windows-datadog", logs=True, os="windows", desired=9),
            helm("linux-datadog", logs=True, dogstatsd_host_port=True, apm_host_port=True),
        ),
        services={},
        node_agents=tuple(a_node_agent(name, of=helm("linux-datadog")) for name in NODES),
        status={"release": "linux-datadog", "connection": "HostIP"},
    ),
    Case(
        name="only Windows nodes have a node agent",
        daemon_sets=(helm("windows-datadog", os="windows"),),
        services={},
        node_agents=(),
        status={"connection": "None"},
        installed="NoneForLinux",
        telemetry="NodeAgentMissing",
        says="helm install",
    ),
    Case(
        name="one DaemonSet per node pool, the second with another port",
        daemon_sets=(
            helm("a-datadog", logs=True, dogstatsd_host_port=True, apm_host_port=True),
            helm("b-datadog", logs=True, dogstatsd_host_port=True, dogstatsd_port=8225, desired=1),
        ),
        services={},
        node_agents=(
            a_node_agent("node-1", of=helm("a-datadog")),
            a_node_agent("node-2", of=helm("a-datadog")),
            a_node_agent("node-3", of=helm("b-datadog")),
        ),
        status={"connection": "HostIP", "nodes": {"needed": 3, "covered": 2}},
        telemetry="NodesUncovered",
        says="node-3 (its node agent datadog/b-datadog does not offer this connection)",
    ),
    Case(
        name="one DaemonSet per node pool, the second without traces and logs",
        daemon_sets=pools(apm=False, logs=False),
        services={},
        node_agents=ON_POOLS,
        status={
            "release": "a-datadog",
            "logs": "Off",
            "nodes": {"needed": 3, "covered": 3, "missing": []},
        },
        telemetry="ApmOff",
        says="traces of 2/3 agents are accepted, but not on node-3 (datadog/b-datadog). "
        "To change this: helm upgrade b-datadog datadog/datadog --namespace datadog "
        "--reuse-values --set 'datadog.apm.portEnabled=true'",
    ),
    Case(
        name="one DaemonSet per node pool, the second with its port for traces closed",
        daemon_sets=pools(apm_host_port=False),
        services={},
        node_agents=ON_POOLS,
        status={"apm": "HostIP:8126"},
        telemetry="TracesUnreachable",
        says="traces of 2/3 agents are accepted through HostIP, but not on node-3 (datadog/b-datadog)",
    ),
    Case(
        name="one DaemonSet per node pool, the second without logs",
        daemon_sets=pools(logs=False),
        services={},
        node_agents=ON_POOLS,
        status={"logs": "Off"},
        telemetry="LogsOff",
        says="logs of 2/3 agents are accepted, but not on node-3 (datadog/b-datadog). "
        "To change this: helm upgrade b-datadog",
    ),
    Case(
        name="one DaemonSet per node pool, the second with hidden settings of logs",
        daemon_sets=pools(env=[from_secret("DD_LOGS_ENABLED")]),
        services={},
        node_agents=ON_POOLS,
        status={"logs": "Unknown"},
        says="it is unknown whether it accepts logs",
    ),
    Case(
        name="one DaemonSet per node pool, and agents only on nodes of the second",
        daemon_sets=(helm("a-datadog", **OPEN), helm("b-datadog", **OPEN, chart="datadog-3.1.0")),
        services={},
        node_agents=tuple(a_node_agent(name, of=helm("b-datadog")) for name in NODES),
        status={"release": "b-datadog", "chartVersion": "3.1.0"},
    ),
    Case(
        name="a node with a taint that the node agent does not tolerate",
        daemon_sets=(helm(logs=True, desired=2),),
        nodes=(a_node("node-1"), a_node("node-2"), GPU_TAINT),
        node_agents=(a_node_agent("node-1", of=HELM), a_node_agent("node-2", of=HELM)),
        status={
            "nodes": {
                "needed": 3,
                "covered": 2,
                "missing": [
                    {"node": "node-3", "reason": "taint dedicated=gpu:NoSchedule not tolerated"}
                ],
            }
        },
        telemetry="NodesUncovered",
        says="2/3 agents are connected; no node agent serves node-3 (taint dedicated=gpu:NoSchedule not tolerated). "
        "To run it there: helm upgrade datadog-agent datadog/datadog --namespace datadog "
        "--reuse-values --set 'agents.tolerations[0].operator=Exists'",
    ),
    Case(
        name="a node that the selector excludes",
        daemon_sets=(helm(logs=True, node_selector={"pool": "cpu"}, desired=2),),
        nodes=(
            a_node("node-1", labels={"pool": "cpu"}),
            a_node("node-2", labels={"pool": "cpu"}),
            a_node("node-3", labels={"pool": "gpu"}),
        ),
        node_agents=(a_node_agent("node-1", of=HELM), a_node_agent("node-2", of=HELM)),
        status={"nodes": {"needed": 3, "covered": 2}},
        telemetry="NodesUncovered",
        says="node-3 (node selector pool=cpu does not match). To run it there: "
        "helm upgrade datadog-agent datadog/datadog --namespace datadog --reuse-values "
        "--set 'agents.nodeSelector.pool=null'",
    ),
    Case(
        name="the Datadog Operator, and a node that the selector excludes",
        daemon_sets=(datadog_operator(node_selector={"example.com/pool": "cpu"}),),
        nodes=tuple(
            a_node(name, labels={"example.com/pool": pool})
            for name, pool in zip(NODES, ("cpu", "cpu", "gpu"), strict=True)
        ),
        node_agents=tuple(a_node_agent(name, of=datadog_operator()) for name in NODES[:2]),
        status={"nodes": {"needed": 3, "covered": 2}},
        telemetry="NodesUncovered",
        says='{"spec":{"override":{"nodeAgent":{"nodeSelector":{"example.com/pool":null}}}}}',
    ),
    Case(
        name="nodes of another operating system, so the chart's own selector is kept",
        daemon_sets=(helm(logs=True, desired=2),),
        nodes=(*(a_node(name) for name in NODES[:2]), a_node("node-3", labels=PLAN9)),
        node_agents=tuple(a_node_agent(name, of=HELM) for name in NODES[:2]),
        status={"nodes": {"needed": 3, "covered": 2}},
        telemetry="NodesUncovered",
        says="node-3 (node selector kubernetes.io/os=linux does not match). To list its pods: kubectl",
    ),
    Case(
        name="a selector with dots in its key",
        daemon_sets=(helm(logs=True, node_selector={"example.com/pool": "cpu"}, desired=2),),
        nodes=(*(a_node(name, labels=CPU) for name in NODES[:2]), a_node("node-3")),
        node_agents=tuple(a_node_agent(name, of=HELM) for name in NODES[:2]),
        status={"nodes": {"needed": 3, "covered": 2}},
        telemetry="NodesUncovered",
        says=r"--set 'agents.nodeSelector.example\.com/pool=null'",
    ),
    Case(
        name="nodes that the affinity excludes",
        daemon_sets=(
            helm(
                logs=True,
                affinity=required(
                    {"matchExpressions": [{"key": "pool", "operator": "In", "values": ["cpu"]}]}
                ),
                desired=1,
            ),
        ),
        nodes=(a_node("node-1", labels={"pool": "cpu"}), a_node("node-2"), a_node("node-3")),
        node_agents=(a_node_agent("node-1", of=HELM),),
        status={"nodes": {"needed": 3, "covered": 1}},
        telemetry="NodesUncovered",
        says="1/3 agents are connected; no node agent serves node-2 (required node affinity does not match), node-3 "
        "(required node affinity does not match). To run it there: helm upgrade datadog-agent "
        "datadog/datadog --namespace datadog --reuse-values --set 'agents.affinity=null'",
    ),
    Case(
        name="a node agent that crashes",
        daemon_sets=(helm(logs=True, ready=2),),
        node_agents=(
            a_node_agent("node-1", of=HELM),
            a_node_agent("node-2", of=HELM),
            a_node_agent("node-3", of=HELM, ready=False, restarts=4),
        ),
        status={"nodes": {"needed": 3, "covered": 2}},
        telemetry="NodesUncovered",
        says="node-3 (its node agent is not ready (CrashLoopBackOff))",
    ),
    Case(
        name="a node agent whose image cannot be pulled",
        daemon_sets=(helm(logs=True, ready=2),),
        node_agents=(
            a_node_agent("node-1", of=HELM),
            a_node_agent("node-2", of=HELM),
            a_node_agent("node-3", of=HELM, ready=False, waiting="ErrImagePull"),
        ),
        status={},
        telemetry="NodesUncovered",
        says="(ImagePullBackOff)",
    ),
    Case(
        name="a new node whose node agent is starting",
        daemon_sets=(helm(logs=True, ready=2),),
        node_agents=(a_node_agent("node-1", of=HELM), a_node_agent("node-2", of=HELM)),
        status={},
        telemetry="NodesUncovered",
        says="node-3 (its node agent is starting)",
    ),
    Case(
        name="a node that is not ready",
        daemon_sets=(helm(logs=True, ready=2),),
        nodes=(a_node("node-1"), a_node("node-2"), a_node("node-3", ready=False)),
        node_agents=(a_node_agent("node-1", of=HELM), a_node_agent("node-2", of=HELM)),
        status={},
        telemetry="NodesUncovered",
        says="node-3 (the node is not ready)",
    ),
    Case(
        name="a deleted node whose pod still exists",
        daemon_sets=(helm(logs=True),),
        nodes=(a_node("node-1"), a_node("node-2")),
        node_agents=(a_node_agent("node-1", of=HELM), a_node_agent("node-2", of=HELM)),
        status={},
        telemetry="NodesUncovered",
        says="node-3 (the node does not exist any more)",
    ),
    Case(
        name="only the Helm chart's cluster agent, which is not a node agent",
        daemon_sets=(datadog_operator(component="cluster-agent"),),
        node_agents=(),
        status={},
        installed="NotFound",
        telemetry="NodeAgentMissing",
        says="helm install datadog-agent datadog/datadog",
    ),
    Case(
        name="no DaemonSet",
        daemon_sets=(),
        node_agents=(),
        status={},
        installed="NotFound",
        telemetry="NodeAgentMissing",
        says="--namespace datadog --create-namespace",
    ),
    Case(
        name="only a node agent in a namespace that is not trusted",
        daemon_sets=(TENANT,),
        services=TENANT_SERVICES,
        status={"connection": None},
        installed="UntrustedNodeAgent",
        telemetry="NodeAgentMissing",
        says="the only Datadog node agents are in namespaces that are not trusted (team-a/datadog-agent), so they are "
        "not used and the agents run without monitoring. If you trust every user who may create objects in the "
        "namespace: helm upgrade purpleflea-operator charts/purpleflea-operator --namespace purpleflea-system "
        "--reuse-values --set 'datadog.namespaces={datadog,datadog-agent,team-a}'. Otherwise install a node agent in "
        "datadog, datadog-agent",
    ),
    Case(
        name="node agents in two namespaces that are not trusted",
        daemon_sets=(TENANT, helm(namespace="team-b")),
        status={"connection": None},
        installed="UntrustedNodeAgent",
        telemetry="NodeAgentMissing",
        says="--set 'datadog.namespaces={datadog,datadog-agent,NAMESPACE}'",
    ),
    Case(
        name="a trusted node agent and another one that offers a better connection",
        daemon_sets=(TENANT, helm(sockets=False, logs=True)),
        node_agents=tuple(a_node_agent(name, of=HELM) for name in NODES),
        services=LOCAL | TENANT_SERVICES,
        status={"connection": "Service", "namespace": "datadog"},
        says="installed by Helm (chart 3.240.0); ignored, because its namespace is not trusted: team-a/datadog-agent",
    ),
    Case(
        name="pods of an untrusted node agent on nodes without a trusted one",
        daemon_sets=(helm(logs=True, dogstatsd_host_port=True, apm_host_port=True, ready=0),),
        node_agents=tuple(FORGED_PODS),
        status={"nodes": {"needed": 3, "covered": 0}},
        telemetry="NodesUncovered",
        says="node-1 (its node agent is starting)",
    ),
    Case(
        name="a node agent for Windows and an untrusted one for Linux",
        daemon_sets=(helm(os="windows"), TENANT),
        node_agents=(),
        status={},
        installed="NoneForLinux",
        telemetry="NodeAgentMissing",
        says="; ignored, because its namespace is not trusted: team-a/datadog-agent",
    ),
    Case(
        name="every namespace is trusted",
        daemon_sets=(TENANT,),
        services=TENANT_SERVICES,
        trusted=TrustedNamespaces(("*",)),
        status={"connection": "HostIP", "namespace": "team-a"},
    ),
    Case(
        name="Disabled",
        daemon_sets=(HELM,),
        requested="Disabled",
        status={"connection": "None"},
        telemetry="Disabled",
    ),
)


def detected(case):
    return datadog_facts(case.daemon_sets, case.services, trusted=case.trusted, csi_driver=case.csi)


def observed_in(case):
    facts = detected(case)
    connection = selected_connection(facts, case.requested, Constraints(security=case.security))
    inventory = NodeInventory(clock=lambda: 0.0, trusted=case.trusted)
    for item in case.nodes:
        inventory.upsert(resources.NODE, item)
    agents = case.node_agents
    if agents is None:
        agents = [a_node_agent(name, of=case.daemon_sets[0]) for name in NODES]
    for item in agents:
        inventory.upsert(resources.POD, item)
    pods = [
        a_pod(f"momentum-{i}", node=name, env=receivers(connection)) for i, name in enumerate(NODES)
    ]
    return observed_state(
        spec={"datadog": {"connection": case.requested}},
        stateful_set=a_stateful_set(),
        pods=pods,
        datadog=facts,
        connection=connection,
        coverage=coverage(NODES, facts, connection, inventory),
    )


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_an_installation_is_detected_and_reported(case):
    observed = observed_in(case)
    found = datadog_status(observed) or {}
    assert {key: found.get(key) for key in case.status if key != "nodes"} == {
        key: value for key, value in case.status.items() if key != "nodes"
    }
    nodes = case.status.get("nodes", {})
    assert nodes.items() <= found.get("nodes", {}).items()
    installed, telemetry = datadog_installed(observed), telemetry_ready(observed)
    assert (installed.reason, telemetry.reason) == (case.installed, case.telemetry)
    assert case.says in f"{installed.message}\n{telemetry.message}"


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_recorded_connection_is_selected_again(case):
    """If the connection is recorded, the same installation leads to the same connection."""
    facts = detected(case)
    first = selected_connection(facts, case.requested, Constraints(security=case.security))
    current = None if first.mode is ConnectionMode.NONE else first
    assert (
        selected_connection(
            facts, case.requested, Constraints(security=case.security, current=current)
        )
        == first
    )
