"""The NetworkPolicy of an agent: allowed ingress and egress.

The rule for the node agent has ports but no addresses. Network plugins differ for traffic to the pod's own node: some
always allow it, and others never match it with an ipBlock. Probes of the kubelet need no rule, because traffic from the
pod's own node is always allowed.

A plugin may compare the port before or after the translation of a hostPort or of a Service, so both are allowed.
"""

from ipaddress import ip_network

from purpleflea_contract import environment as env
from purpleflea_contract import kubernetes
from purpleflea_operator.datadog.detection.connection import Connection, ConnectionMode
from purpleflea_operator.manifests import collection
from purpleflea_operator.manifests.metadata import Agent, Defaults, child_manifest, selector
from purpleflea_operator.parsing import MutableManifest

OPERATOR_LABELS = {kubernetes.LABEL_NAME: "purpleflea-operator"}
"""Labels of the operator's pods in every release of the chart."""


def network_policy(agent: Agent, defaults: Defaults, connection: Connection) -> MutableManifest:
    """Return the NetworkPolicy, which denies by default.

    It allows ingress to the HTTP port from the operator and from the components that read it, ingress to the ports of
    sidecars, and egress to DNS, to the node agent, and over TCP to the configured address ranges.
    """
    return {
        **child_manifest(agent, "networking.k8s.io/v1", "NetworkPolicy"),
        "spec": {
            "podSelector": {"matchLabels": selector(agent.name)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [
                *_to_http_port(_readers(agent, defaults)),
                *_to_sidecars(agent),
            ],
            "egress": [
                {
                    "ports": [
                        {"protocol": protocol, "port": port}
                        for port in defaults.dns_ports
                        for protocol in ("UDP", "TCP")
                    ]
                },
                *_to_node_agent(connection),
                *_to_services(agent),
            ],
        },
    }


def _to_node_agent(connection: Connection) -> list[MutableManifest]:
    # A Datadog agent in the same pod needs no rule.
    if connection.mode in (ConnectionMode.NONE, ConnectionMode.SIDECAR):
        return []
    receivers: list[tuple[str, int]] = []
    if connection.dogstatsd_port:
        translated = connection.dogstatsd_container_port or env.DOGSTATSD_PORT
        receivers += [("UDP", connection.dogstatsd_port), ("UDP", translated)]
    if connection.apm_port:
        translated = connection.apm_container_port or env.TRACE_PORT
        receivers += [("TCP", connection.apm_port), ("TCP", translated)]
    ports = [{"protocol": protocol, "port": port} for protocol, port in dict.fromkeys(receivers)]
    # Sockets need no rule, and a rule without ports would allow every port.
    return [{"ports": ports}] if ports else []


def _to_http_port(readers: list[MutableManifest]) -> list[MutableManifest]:
    # A rule with an empty list of sources would allow all of them.
    ports = [{"protocol": "TCP", "port": env.HTTP_PORT}]
    return [{"from": readers, "ports": ports}] if readers else []


def _readers(agent: Agent, defaults: Defaults) -> list[MutableManifest]:
    """Return the pods that may reach the HTTP port: the operator, node agents that run a check, and the spec's.

    The operator is admitted only from its own namespace, because users of other namespaces can give a pod its labels.
    """
    namespaces = (
        *(defaults.datadog_namespaces if collection.checks(agent) else ()),
        *agent.spec.network.ingress_namespaces,
    )
    operator = {
        "namespaceSelector": _namespace(defaults.operator_namespace),
        "podSelector": {"matchLabels": dict(OPERATOR_LABELS)},
    }
    return [
        *([operator] if defaults.operator_namespace else ()),
        *({"namespaceSelector": _namespace(name)} for name in dict.fromkeys(namespaces)),
    ]


def _namespace(name: str) -> MutableManifest:
    return {} if name == "*" else {"matchLabels": {kubernetes.LABEL_NAMESPACE: name}}


def _to_sidecars(agent: Agent) -> list[MutableManifest]:
    ports = [port for sidecar in agent.spec.pod.sidecars for port in sidecar.ports]
    # A rule without ports would allow every port.
    return (
        [{"ports": [{"protocol": item.protocol, "port": item.container_port} for item in ports]}]
        if ports
        else []
    )


def _to_services(agent: Agent) -> list[MutableManifest]:
    # In the canonical form, because the API server refuses bits beyond the prefix and leading zeros since 1.37.
    networks = [ip_network(cidr, strict=False) for cidr in agent.spec.network.egress_cidrs]
    ranges = [{"ipBlock": {"cidr": str(item)}} for item in networks]
    ports = [{"protocol": "TCP", "port": port} for port in agent.spec.network.egress_ports]
    every_port: list[MutableManifest] = [{"protocol": "TCP", "port": 1, "endPort": 65535}]
    # An empty list for `to` would allow every address, so there is no rule if there are no ranges.
    return [{"to": ranges, "ports": ports or every_port}] if ranges else []
