"""Where a pod template may run: selector, required node affinity, tolerations, compared with nodes.

The scheduler's rules as far as they bind: preferences, resources and other pods are left out.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Manifest = Mapping[str, Any]
REPELLING = ("NoSchedule", "NoExecute")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A taint of a node that keeps pods away."""

    key: str
    value: str = ""
    effect: str

    def __str__(self) -> str:
        """As kubectl writes it."""
        value = f"={self.value}" if self.value else ""
        return f"{self.key}{value}:{self.effect}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Toleration:
    """A taint that a pod puts up with; an empty key or effect means any."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def tolerates(self, taint: Taint) -> bool:
        """Whether a pod with this toleration may run in spite of the taint."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        return self.operator == "Exists" or (bool(self.key) and self.value == taint.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One condition on a label (or on the name) of a node."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def holds(self, found: str | None) -> bool:
        """Whether a label of this value, or a missing one, is acceptable."""
        match self.operator:
            case "In":
                return found in self.values
            case "NotIn":
                return found not in self.values
            case "Exists":
                return found is not None
            case "DoesNotExist":
                return found is None
            case "Gt" | "Lt":
                return self._compares(found)
        return False

    def _compares(self, found: str | None) -> bool:
        try:
            number, bound = int(found or ""), int(self.values[0])
        except (ValueError, IndexError):
            return False
        return number > bound if self.operator == "Gt" else number < bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """Conditions that must all hold: on labels, and on fields (only the name exists)."""

    labels: tuple[Requirement, ...] = ()
    fields: tuple[Requirement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """What of a node decides who may run there. `taints` are those that keep pods away."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    is_ready: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Where the pods of a template may run."""

    node_selector: tuple[tuple[str, str], ...] = ()
    terms: tuple[Term, ...] | None = None
    """Required node affinity: one of them must hold. None: there is none."""
    tolerations: tuple[Toleration, ...] = ()

    def obstacle(self, node: Node) -> str:
        """Why a pod of the template cannot run on a node; empty where it can."""
        for key, value in self.node_selector:
            if node.labels.get(key) != value:
                return f"node selector {key}={value} does not match"
        if self.terms is not None and not any(_holds(term, node) for term in self.terms):
            return "required node affinity does not match"
        for taint in node.taints:
            if not any(item.tolerates(taint) for item in self.tolerations):
                return f"taint {taint} not tolerated"
        return ""


ANYWHERE = Placement()

# What the DaemonSet controller lets every pod of a DaemonSet tolerate.
DAEMON_SET_TOLERATIONS: tuple[Toleration, ...] = (
    Toleration(key="node.kubernetes.io/not-ready", operator="Exists", effect="NoExecute"),
    Toleration(key="node.kubernetes.io/unreachable", operator="Exists", effect="NoExecute"),
    Toleration(key="node.kubernetes.io/disk-pressure", operator="Exists", effect="NoSchedule"),
    Toleration(key="node.kubernetes.io/memory-pressure", operator="Exists", effect="NoSchedule"),
    Toleration(key="node.kubernetes.io/pid-pressure", operator="Exists", effect="NoSchedule"),
    Toleration(key="node.kubernetes.io/unschedulable", operator="Exists", effect="NoSchedule"),
)
HOST_NETWORK_TOLERATION = Toleration(
    key="node.kubernetes.io/network-unavailable", operator="Exists", effect="NoSchedule"
)


def placement(pod_spec: Manifest) -> Placement:
    """Where a pod with this spec may run."""
    affinity = pod_spec.get("affinity", {}).get("nodeAffinity", {})
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    return Placement(
        node_selector=tuple(sorted(pod_spec.get("nodeSelector", {}).items())),
        terms=None if required is None else _terms(required.get("nodeSelectorTerms", [])),
        tolerations=tuple(_toleration(item) for item in pod_spec.get("tolerations", [])),
    )


def daemon_set_placement(daemon_set: Manifest) -> Placement:
    """Where the pods of a DaemonSet may run, with what its controller adds."""
    spec = daemon_set["spec"]["template"]["spec"]
    found = placement(spec)
    added = DAEMON_SET_TOLERATIONS
    if spec.get("hostNetwork"):
        added = (*added, HOST_NETWORK_TOLERATION)
    return Placement(
        node_selector=found.node_selector,
        terms=found.terms,
        tolerations=(*found.tolerations, *added),
    )


def node(manifest: Manifest) -> Node:
    """The node that `manifest` describes, without what changes all the time."""
    metadata, spec = manifest["metadata"], manifest.get("spec", {})
    conditions = manifest.get("status", {}).get("conditions", [])
    taints = [
        Taint(key=item["key"], value=item.get("value", ""), effect=item["effect"])
        for item in spec.get("taints", [])
        if item["effect"] in REPELLING
    ]
    return Node(
        name=metadata["name"],
        labels=dict(metadata.get("labels", {})),
        taints=tuple(taints),
        is_ready=all(item["status"] == "True" for item in conditions if item["type"] == "Ready"),
    )


def _toleration(item: Manifest) -> Toleration:
    return Toleration(
        key=item.get("key", ""),
        operator=item.get("operator", "Equal"),
        value=item.get("value", ""),
        effect=item.get("effect", ""),
    )


def _terms(items: Iterable[Manifest]) -> tuple[Term, ...]:
    return tuple(
        Term(
            labels=_requirements(item.get("matchExpressions", [])),
            fields=_requirements(item.get("matchFields", [])),
        )
        for item in items
    )


def _requirements(items: Iterable[Manifest]) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(
            key=item["key"], operator=item["operator"], values=tuple(item.get("values", ()))
        )
        for item in items
    )


def _holds(term: Term, node: Node) -> bool:
    # An empty term matches nothing.
    return bool(term.labels or term.fields) and (
        all(item.holds(node.labels.get(item.key)) for item in term.labels)
        and all(
            item.holds(node.name if item.key == "metadata.name" else None) for item in term.fields
        )
    )
