"""The NetworkPolicy: what may reach the agents, and what they may reach.

A policy that names the ports of the node agent is honoured differently by network plugins (traffic to the own node is
always allowed by some, never matched by an ipBlock by others), hence ports to anywhere rather than addresses.
"""

from purpleflea_contract import environment as env
from purpleflea_operator.datadog.detection.connection import Connection, ConnectionMode
from purpleflea_operator.manifests.metadata import Agent, manifest, selector
from purpleflea_operator.parsing import MutableManifest


def network_policy(agent: Agent, connection: Connection) -> MutableManifest:
    """Default deny; in: the HTTP port and those of sidecars; out: DNS, the node agent, the configured ranges by TCP."""
    return {
        **manifest(agent, "networking.k8s.io/v1", "NetworkPolicy"),
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
    # Sockets need no rule, and a rule without ports would mean all of them.
    return [{"ports": ports}] if ports else []


def _open_ports(agent: Agent) -> list[MutableManifest]:
    of_sidecars = [port for sidecar in agent.spec.pod.sidecars for port in sidecar.ports]
    return [
        {"protocol": "TCP", "port": env.HTTP_PORT},
        *({"protocol": port.protocol, "port": port.container_port} for port in of_sidecars),
    ]


def _to_services(agent: Agent) -> list[MutableManifest]:
    ranges = [{"ipBlock": {"cidr": cidr}} for cidr in agent.spec.network.egress_cidrs]
    ports = [{"protocol": "TCP", "port": port} for port in agent.spec.network.egress_ports]
    every_port: list[MutableManifest] = [{"protocol": "TCP", "port": 1, "endPort": 65535}]
    # "from/to: []" would mean everywhere: no range must mean no rule.
    return [{"to": ranges, "ports": ports or every_port}] if ranges else []
