"""Where a pod template may run: selector, required node affinity, tolerations, compared with nodes.

The scheduler's rules as far as they bind: preferences, resources and other pods are left out.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from purpleflea_operator.parsing import Manifest, rows, table, text

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
        number, bound = _integer(found), _integer(next(iter(self.values), None))
        if number is None or bound is None:
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

    def exclusion_reason(self, node: Node) -> str:
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
    affinity = table(table(pod_spec.get("affinity")).get("nodeAffinity"))
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    terms = None if required is None else _terms(rows(table(required).get("nodeSelectorTerms")))
    return Placement(
        node_selector=tuple(sorted(_labels(pod_spec.get("nodeSelector")).items())),
        terms=terms,
        tolerations=tuple(_toleration(item) for item in rows(pod_spec.get("tolerations"))),
    )


def _labels(value: object) -> dict[str, str]:
    return {str(key): text(item) for key, item in table(value).items()}


def _integer(value: str | None) -> int | None:
    """A label as the scheduler compares it: a signed number of 64 bits."""
    is_number = value is not None and re.fullmatch(r"[+-]?[0-9]{1,19}", value, re.ASCII)
    number = int(value) if value is not None and is_number else None
    return number if number is not None and -(2**63) <= number < 2**63 else None


def daemon_set_placement(daemon_set: Manifest) -> Placement:
    """Where the pods of a DaemonSet may run, with what its controller adds."""
    spec = table(table(table(daemon_set.get("spec")).get("template")).get("spec"))
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
    metadata, spec = table(manifest.get("metadata")), table(manifest.get("spec"))
    conditions = rows(table(manifest.get("status")).get("conditions"))
    taints = [
        Taint(key=text(item.get("key")), value=text(item.get("value")), effect=item["effect"])
        for item in rows(spec.get("taints"))
        if item.get("effect") in REPELLING
    ]
    return Node(
        name=text(metadata.get("name")),
        labels=_labels(metadata.get("labels")),
        taints=tuple(taints),
        is_ready=all(
            item.get("status") == "True" for item in conditions if item.get("type") == "Ready"
        ),
    )


def _toleration(item: Manifest) -> Toleration:
    return Toleration(
        key=text(item.get("key")),
        operator=text(item.get("operator")) or "Equal",
        value=text(item.get("value")),
        effect=text(item.get("effect")),
    )


def _terms(items: Iterable[Manifest]) -> tuple[Term, ...]:
    return tuple(
        Term(
            labels=_requirements(rows(item.get("matchExpressions"))),
            fields=_requirements(rows(item.get("matchFields"))),
        )
        for item in items
    )


def _requirements(items: Iterable[Manifest]) -> tuple[Requirement, ...]:
    return tuple(
        Requirement(
            key=text(item.get("key")), operator=text(item.get("operator")), values=_values(item)
        )
        for item in items
    )


def _values(item: Manifest) -> tuple[str, ...]:
    found = item.get("values")
    return tuple(text(value) for value in found) if isinstance(found, list | tuple) else ()


def _holds(term: Term, node: Node) -> bool:
    # An empty term matches nothing.
    return bool(term.labels or term.fields) and (
        all(item.holds(node.labels.get(item.key)) for item in term.labels)
        and all(
            item.holds(node.name if item.key == "metadata.name" else None) for item in term.fields
        )
    )
