"""The NetworkPolicy: ranges of addresses. And the checks that the node agent runs with regular expressions."""

import ipaddress
import re
from collections.abc import Iterator

from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.manifests.refusals.refusal import Refusal


def refusals(agent: Agent) -> Iterator[Refusal]:
    """Yield the refused ranges and expressions."""
    for index, cidr in enumerate(agent.spec.network.egress_cidrs):
        error = _error(cidr)
        if error:
            yield Refusal(
                f"spec.network.egressCidrs.{index}",
                f"{error}; write a range such as 203.0.113.0/24 or 2001:db8::/32",
            )
    for index, expression in enumerate(agent.spec.datadog.open_metrics.metrics):
        try:
            re.compile(expression)
        except re.error as error:
            yield Refusal(
                f"spec.datadog.openMetrics.metrics.{index}",
                f"the regular expression is invalid ({error}); correct it",
            )


def _error(cidr: str) -> str:
    try:
        network = ipaddress.ip_network(cidr, strict=False)
    except ValueError as error:
        return str(error)
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped:
        return f"{cidr} is a range of IPv4 addresses in the form of IPv6"
    return ""
