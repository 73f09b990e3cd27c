"""The NetworkPolicy: ranges of addresses. And telemetry: the address of a Datadog agent, and regular expressions."""

import ipaddress
import re
from collections.abc import Iterator

from purpleflea_operator.api.datadog import Datadog
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
    yield from _endpoint(agent.spec.datadog)
    for index, expression in enumerate(agent.spec.datadog.open_metrics.metrics):
        try:
            re.compile(expression)
        except re.error as error:
            yield Refusal(
                f"spec.datadog.openMetrics.metrics.{index}",
                f"the regular expression is invalid ({error}); correct it",
            )


def _endpoint(datadog: Datadog) -> Iterator[Refusal]:
    host = None if datadog.endpoint is None else datadog.endpoint.host
    if datadog.connection == "Endpoint" and host is None:
        yield Refusal(
            "spec.datadog.endpoint.host",
            "connection Endpoint needs a host; set the name or the IPv4 address of the Datadog agent",
        )
    elif datadog.connection == "Sidecar" and host is not None:
        yield Refusal(
            "spec.datadog.endpoint.host",
            "connection Sidecar is at 127.0.0.1; remove the host, or set connection to Endpoint",
        )
    elif datadog.endpoint is not None and datadog.connection not in ("Sidecar", "Endpoint"):
        yield Refusal(
            "spec.datadog.endpoint",
            f"connection {datadog.connection} does not use it; remove it, or set connection to Endpoint",
        )


def _error(cidr: str) -> str:
    try:
        network = ipaddress.ip_network(cidr, strict=False)
    except ValueError as error:
        return str(error)
    if isinstance(network, ipaddress.IPv6Network) and network.network_address.ipv4_mapped:
        return f"{cidr} is a range of IPv4 addresses in the form of IPv6"
    return ""
