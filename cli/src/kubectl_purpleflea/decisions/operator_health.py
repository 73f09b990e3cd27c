"""The installed operators, and whether one of them leads. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from kubectl_purpleflea.decisions.objects import (
    Manifest,
    at,
    items,
    labels_of,
    name_of,
    namespace_of,
    number,
    text,
)

OPERATOR_LABELS = "app.kubernetes.io/name=purpleflea-operator"
DEFAULT_NAMESPACE = "purpleflea-system"
GRACE_S = 5
"""Seconds after the end of a Lease before the operator counts as down, because clocks differ."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installation:
    """A Deployment of the operator."""

    namespace: str
    name: str
    lease: str
    image: str
    version: str
    replicas: int
    ready: int
    watched: tuple[str, ...] = ()
    """Namespaces that the operator is bound to; empty for all."""


def installations(deployments: Iterable[Manifest]) -> list[Installation]:
    """Return the installed operators, sorted by namespace and name."""
    found = [_installation(item) for item in deployments]
    return sorted(found, key=lambda item: (item.namespace, item.name))


def _installation(deployment: Manifest) -> Installation:
    containers = items(at(deployment, "spec", "template", "spec", "containers"))
    container = next((item for item in containers if item.get("name") == "operator"), {})
    env = {text(item.get("name")): text(item.get("value")) for item in items(container.get("env"))}
    watched = env.get("PURPLEFLEA_OPERATOR_WATCH_NAMESPACES", "")
    replicas = at(deployment, "spec", "replicas")
    return Installation(
        namespace=namespace_of(deployment),
        name=name_of(deployment),
        lease=env.get("PURPLEFLEA_OPERATOR_LEASE_NAME") or name_of(deployment),
        image=text(container.get("image")),
        version=labels_of(deployment).get("app.kubernetes.io/version", ""),
        replicas=1 if replicas is None else number(replicas),
        ready=number(at(deployment, "status", "readyReplicas")),
        watched=tuple(item for item in watched.split(",") if item),
    )


def silence_s(lease: Manifest | None, now: datetime) -> float | None:
    """Return the seconds since the Lease ended, at least 0; None if it cannot be read.

    A Lease without a holder was released, so no operator leads.
    """
    if lease is None:
        return None
    if not text(at(lease, "spec", "holderIdentity")):
        return float(GRACE_S)
    try:
        renewed = datetime.fromisoformat(text(at(lease, "spec", "renewTime")))
    except ValueError:
        return None
    duration_s = number(at(lease, "spec", "leaseDurationSeconds")) or 1
    return max(0.0, (now - renewed).total_seconds() - duration_s)


def is_down(lease: Manifest | None, now: datetime) -> bool | None:
    """Return whether no operator leads; None if the Lease does not show it."""
    found = silence_s(lease, now)
    return None if found is None else found >= GRACE_S
