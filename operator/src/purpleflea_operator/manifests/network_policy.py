"""The NetworkPolicy of an agent: allowed ingress and egress.

The rule for the node agent has ports but no addresses. Network plugins differ for traffic to the pod's own node: some
always allow it, and others never match it with an ipBlock.
"""

from purpleflea_contract import environment as env
from purpleflea_operator.datadog.detection.connection import Connection, ConnectionMode
from purpleflea_operator.manifests.metadata import Agent, child_manifest, selector
from purpleflea_operator.parsing import MutableManifest


def network_policy(agent: Agent, connection: Connection) -> MutableManifest:
    """Return the NetworkPolicy, which denies by default.

    It allows ingress to the HTTP port and to the ports of sidecars, and egress to DNS, to the node agent, and over TCP
    to the configured address ranges.
    """
    return {
        **child_manifest(agent, "networking.k8s.io/v1", "NetworkPolicy"),
        "spec": {
            "podSelector": {"matchLabels": selector(agent.name)},
            "policyTypes": ["Ingress", "Egress"],
            "ingress": [{"ports": _open_ports(agent)}],
            "egress": [
                {"ports": [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]},
                *_to_node_agent(connection),
                *_to_services(agent),
            ],
        },
    }


def _to_node_agent(connection: Connection) -> list[MutableManifest]:
    if connection.mode is ConnectionMode.NONE:
        return []
    receivers = (("UDP", connection.dogstatsd_port), ("TCP", connection.apm_port))
    ports = [{"protocol": protocol, "port": port} for protocol, port in receivers if port]
    # Sockets need no rule, and a rule without ports would allow every port.
    return [{"ports": ports}] if ports else []


def _open_ports(agent: Agent) -> list[MutableManifest]:
    sidecar_ports = [port for sidecar in agent.spec.pod.sidecars for port in sidecar.ports]
    return [
        {"protocol": "TCP", "port": env.HTTP_PORT},
        *({"protocol": port.protocol, "port": port.container_port} for port in sidecar_ports),
    ]


def _to_services(agent: Agent) -> list[MutableManifest]:
    ranges = [{"ipBlock": {"cidr": cidr}} for cidr in agent.spec.network.egress_cidrs]
    ports = [{"protocol": "TCP", "port": port} for port in agent.spec.network.egress_ports]
    every_port: list[MutableManifest] = [{"protocol": "TCP", "port": 1, "endPort": 65535}]
    # An empty list for `to` would allow every address, so there is no rule if there are no ranges.
    return [{"to": ranges, "ports": ports or every_port}] if ranges else []
