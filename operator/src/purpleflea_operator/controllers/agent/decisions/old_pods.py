"""Additions to children that pods of an earlier revision still need. Pure.

A change of the template replaces the pods one after the other, or waits for a restart slot. Until the last pod of the
earlier revision is gone, the NetworkPolicy allows the ports of its node agent and of its sidecars, too, and its
ServiceAccount stays. The additions follow from the pods and not from the live policy, whose rules another client can
have changed.
"""

from collections.abc import Iterable, Sequence
from typing import Any

from purpleflea_contract import environment as env
from purpleflea_operator.controllers.agent.decisions.observed_state import AgentPod, ObservedState
from purpleflea_operator.manifests import recorded_connection, template_record
from purpleflea_operator.manifests.metadata import with_desired_hash
from purpleflea_operator.parsing import Manifest, MutableManifest

Ports = Iterable[tuple[str, int]]


def with_rules_of_old_pods(
    children: Sequence[MutableManifest], observed: ObservedState, workload: Manifest
) -> list[MutableManifest]:
    """Return the children with a NetworkPolicy that also allows the traffic of pods with another template."""
    wanted = template_record.template_hash(workload)
    old = [pod for pod in observed.pods if pod.template_hash != wanted]
    return [_widened(item, old) if item["kind"] == "NetworkPolicy" else item for item in children]


def is_used(account: str, pods: Iterable[AgentPod]) -> bool:
    """Return whether a pod runs with a ServiceAccount."""
    return any(pod.service_account == account for pod in pods)


def _widened(policy: MutableManifest, old: Sequence[AgentPod]) -> MutableManifest:
    spec = policy["spec"]
    egress = _missing((port for pod in old for port in _receivers(pod)), spec["egress"])
    ingress = _missing((port for pod in old for port in pod.sidecar_ports), spec["ingress"])
    if not egress and not ingress:
        return policy
    rules = {"ingress": [*spec["ingress"], *ingress], "egress": [*spec["egress"], *egress]}
    return with_desired_hash({**policy, "spec": {**spec, **rules}})


def _missing(ports: Ports, rules: Iterable[Manifest]) -> list[dict[str, Any]]:
    """Return a rule with the ports that no rule without addresses allows; empty if there are none."""
    allowed = {
        (port["protocol"], port["port"])
        for rule in rules
        if rule.keys() == {"ports"}
        for port in rule["ports"]
    }
    missing = sorted(set(ports) - allowed)
    return (
        [{"ports": [{"protocol": name, "port": port} for name, port in missing]}] if missing else []
    )


def _receivers(pod: AgentPod) -> list[tuple[str, int]]:
    """Return the ports of the node agent that a pod uses, before and after the translation of a node port."""
    connection = recorded_connection.connection_from_variables(pod.environment)
    if connection is None:
        return []
    ports = (
        ("UDP", connection.dogstatsd_port, env.DOGSTATSD_PORT),
        ("TCP", connection.apm_port, env.TRACE_PORT),
    )
    return [
        (protocol, port)
        for protocol, given, translated in ports
        if given is not None
        for port in (given, translated)
    ]
