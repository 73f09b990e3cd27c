"""Containers: images, ports, probes and resources."""

import re
from collections.abc import Iterator, Mapping

from purpleflea_contract import environment as env
from purpleflea_operator.api.containers import Probe, Sidecar
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.manifests.refusals.quantities import WHOLE_LIMIT, is_whole, value
from purpleflea_operator.manifests.refusals.refusal import (
    Refusal,
    duplicates,
    exactly_one,
    without_nul,
)

STANDARD_RESOURCES = frozenset({"cpu", "memory", "ephemeral-storage"})
DOMAIN_LIMIT = 253 - len("requests.")
"""Longest domain of an extended resource. The name of its quota has the prefix `requests.`."""
_DOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"
_EXTENDED_RESOURCE = re.compile(
    rf"(?P<domain>{_DOMAIN})/[A-Za-z0-9]([-A-Za-z0-9_.]{{0,61}}[A-Za-z0-9])?"
)
_QUOTA_PREFIX = "requests."


def refusals(agent: Agent) -> Iterator[Refusal]:
    """Yield the refused fields of containers."""
    pod = agent.spec.pod
    resources = pod.resources
    yield from _resources("spec.pod.resources", resources.requests, resources.limits)
    yield from duplicates("spec.pod.sidecars", (item.name for item in pod.sidecars), "the name")
    for index, sidecar in enumerate(pod.sidecars):
        yield from _sidecar(f"spec.pod.sidecars.{index}", sidecar)


def _sidecar(field: str, sidecar: Sidecar) -> Iterator[Refusal]:
    if sidecar.image != sidecar.image.strip():
        yield Refusal(f"{field}.image", "the image begins or ends with a space; remove it")
    yield from without_nul(f"{field}.command", sidecar.command or ())
    yield from without_nul(f"{field}.args", sidecar.args or ())
    yield from _ports(field, sidecar)
    for name, probe in (
        ("startupProbe", sidecar.startup_probe),
        ("livenessProbe", sidecar.liveness_probe),
        ("readinessProbe", sidecar.readiness_probe),
    ):
        if probe is not None:
            yield from _probe(f"{field}.{name}", probe)
    resources = sidecar.resources
    yield from _resources(f"{field}.resources", resources.requests, resources.limits)


def _ports(field: str, sidecar: Sidecar) -> Iterator[Refusal]:
    ports = sidecar.ports
    yield from duplicates(f"{field}.ports", (item.name for item in ports), "the name")
    numbers = (f"{item.container_port}/{item.protocol}" for item in ports)
    yield from duplicates(f"{field}.ports", numbers, "the port")
    for index, port in enumerate(ports):
        at = f"{field}.ports.{index}"
        if "--" in port.name or not re.search("[a-z]", port.name):
            yield Refusal(
                f"{at}.name",
                f"the name {port.name} must contain a letter and no two hyphens in sequence",
            )
        if (port.container_port, port.protocol) == (env.HTTP_PORT, "TCP"):
            yield Refusal(
                f"{at}.containerPort",
                f"the agent listens on {env.HTTP_PORT}, and a sidecar there would answer instead; use another port",
            )


def _probe(field: str, probe: Probe) -> Iterator[Refusal]:
    yield from exactly_one(field, probe, "http_get", "tcp_socket", "exec")
    if probe.exec is not None:
        yield from without_nul(f"{field}.exec.command", probe.exec.command)


def _resources(
    field: str, requests: Mapping[str, str], limits: Mapping[str, str]
) -> Iterator[Refusal]:
    for kind, amounts in (("requests", requests), ("limits", limits)):
        for name, amount in amounts.items():
            yield from _resource(f"{field}.{kind}.{name}", name, amount)
    for name, amount in requests.items():
        at = f"{field}.requests.{name}"
        if name in limits and value(amount) > value(limits[name]):
            yield Refusal(
                at,
                f"the request {amount} is larger than the limit {limits[name]}; reduce the request or raise the limit",
            )
        elif name not in STANDARD_RESOURCES and (
            name not in limits or value(amount) != value(limits[name])
        ):
            yield Refusal(at, "this resource needs a limit that equals the request; set both")


def _resource(field: str, name: str, amount: str) -> Iterator[Refusal]:
    if name in STANDARD_RESOURCES:
        return
    extended = _EXTENDED_RESOURCE.fullmatch(name)
    is_native = (
        extended is None
        or len(extended["domain"]) > DOMAIN_LIMIT
        or f".{extended['domain']}".endswith(".kubernetes.io")
    )
    if is_native or name.startswith(_QUOTA_PREFIX):
        yield Refusal(
            field,
            f"{name} is not a resource of containers; use cpu, memory, ephemeral-storage, or a resource of a device "
            "plugin, such as example.com/device",
        )
    elif not is_whole(amount):
        yield Refusal(field, f"the amount of {name} must be a whole number up to {WHOLE_LIMIT}")
