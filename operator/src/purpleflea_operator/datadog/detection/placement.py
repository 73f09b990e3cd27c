"""Compare the node selector, required node affinity and tolerations of a pod template with nodes.

The module implements only the required rules of the scheduler. It ignores preferences, resources and other pods.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from purpleflea_operator.parsing import Manifest, mapping, mappings, text

SCHEDULING_EFFECTS = ("NoSchedule", "NoExecute")


@dataclass(frozen=True, slots=True, kw_only=True)
class Taint:
    """A taint of a node with an effect that excludes pods."""

    key: str
    value: str = ""
    effect: str

    def __str__(self) -> str:
        """Return the taint in the notation of kubectl."""
        value = f"={self.value}" if self.value else ""
        return f"{self.key}{value}:{self.effect}"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementToleration:
    """A toleration of a pod. An empty key or effect matches every key or effect."""

    key: str = ""
    operator: str = "Equal"
    value: str = ""
    effect: str = ""

    def tolerates(self, taint: Taint) -> bool:
        """Return True if a pod with this toleration may run on a node with the taint."""
        if self.effect and self.effect != taint.effect:
            return False
        if self.key and self.key != taint.key:
            return False
        return self.operator == "Exists" or (bool(self.key) and self.value == taint.value)


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacementRequirement:
    """One condition on a label, or on the name, of a node."""

    key: str
    operator: str
    values: tuple[str, ...] = ()

    def matches(self, label: str | None) -> bool:
        """Return True if the condition accepts a label with this value; None is a missing label."""
        match self.operator:
            case "In":
                return label in self.values
            case "NotIn":
                return label not in self.values
            case "Exists":
                return label is not None
            case "DoesNotExist":
                return label is None
            case "Gt" | "Lt":
                return self._compares(label)
        return False

    def _compares(self, label: str | None) -> bool:
        number, bound = _integer(label), _integer(next(iter(self.values), None))
        if number is None or bound is None:
            return False
        return number > bound if self.operator == "Gt" else number < bound


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """Conditions that must all match, on labels and on fields. The only supported field is metadata.name."""

    labels: tuple[PlacementRequirement, ...] = ()
    fields: tuple[PlacementRequirement, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """Properties of a node that decide which pods may run on it. `taints` has only those that exclude pods."""

    name: str
    labels: Mapping[str, str] = field(default_factory=dict)
    taints: tuple[Taint, ...] = ()
    is_ready: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """Rules for the nodes that the pods of a template may run on."""

    node_selector: tuple[tuple[str, str], ...] = ()
    terms: tuple[Term, ...] | None = None
    """Terms of the required node affinity, of which one must match. None if the template has no required affinity."""
    tolerations: tuple[PlacementToleration, ...] = ()

    def exclusion_reason(self, node: Node) -> str:
        """Return why a pod of the template cannot run on a node; empty if it can."""
        for key, value in self.node_selector:
            if node.labels.get(key) != value:
                return f"node selector {key}={value} does not match"
        if self.terms is not None and not any(_matches(term, node) for term in self.terms):
            return "required node affinity does not match"
        for taint in node.taints:
            if not any(item.tolerates(taint) for item in self.tolerations):
                return f"taint {taint} not tolerated"
        return ""


ANYWHERE = Placement()

# The DaemonSet controller adds these tolerations to every pod of a DaemonSet.
DAEMON_SET_TOLERATIONS: tuple[PlacementToleration, ...] = (
    PlacementToleration(key="node.kubernetes.io/not-ready", operator="Exists", effect="NoExecute"),
    PlacementToleration(
        key="node.kubernetes.io/unreachable", operator="Exists", effect="NoExecute"
    ),
    PlacementToleration(
        key="node.kubernetes.io/disk-pressure", operator="Exists", effect="NoSchedule"
    ),
    PlacementToleration(
        key="node.kubernetes.io/memory-pressure", operator="Exists", effect="NoSchedule"
    ),
    PlacementToleration(
        key="node.kubernetes.io/pid-pressure", operator="Exists", effect="NoSchedule"
    ),
    PlacementToleration(
        key="node.kubernetes.io/unschedulable", operator="Exists", effect="NoSchedule"
    ),
)
HOST_NETWORK_TOLERATION = PlacementToleration(
    key="node.kubernetes.io/network-unavailable", operator="Exists", effect="NoSchedule"
)


def placement(pod_spec: Manifest) -> Placement:
    """Return the rules for the nodes that a pod with this spec may run on."""
    affinity = mapping(mapping(pod_spec.get("affinity")).get("nodeAffinity"))
    required = affinity.get("requiredDuringSchedulingIgnoredDuringExecution")
    terms = (
        None if required is None else _terms(mappings(mapping(required).get("nodeSelectorTerms")))
    )
    return Placement(
        node_selector=tuple(sorted(_labels(pod_spec.get("nodeSelector")).items())),
        terms=terms,
        tolerations=tuple(_toleration(item) for item in mappings(pod_spec.get("tolerations"))),
    )


def _labels(value: object) -> dict[str, str]:
    return {str(key): text(item) for key, item in mapping(value).items()}


def _integer(value: str | None) -> int | None:
    """Return a label as the scheduler compares it: a signed number of 64 bits; None if it is not a number."""
    is_number = value is not None and re.fullmatch(r"[+-]?[0-9]{1,19}", value, re.ASCII)
    number = int(value) if value is not None and is_number else None
    return number if number is not None and -(2**63) <= number < 2**63 else None


def daemon_set_placement(daemon_set: Manifest) -> Placement:
    """Return the rules for the pods of a DaemonSet, with the tolerations that its controller adds."""
    spec = mapping(mapping(mapping(daemon_set.get("spec")).get("template")).get("spec"))
    template = placement(spec)
    added = DAEMON_SET_TOLERATIONS
    if spec.get("hostNetwork"):
        added = (*added, HOST_NETWORK_TOLERATION)
    return replace(template, tolerations=(*template.tolerations, *added))


def node(manifest: Manifest) -> Node:
    """Return the node that `manifest` describes, without fields that change with every heartbeat."""
    metadata, spec = mapping(manifest.get("metadata")), mapping(manifest.get("spec"))
    conditions = mappings(mapping(manifest.get("status")).get("conditions"))
    taints = [
        Taint(key=text(item.get("key")), value=text(item.get("value")), effect=item["effect"])
        for item in mappings(spec.get("taints"))
        if item.get("effect") in SCHEDULING_EFFECTS
    ]
    return Node(
        name=text(metadata.get("name")),
        labels=_labels(metadata.get("labels")),
        taints=tuple(taints),
        is_ready=all(
            item.get("status") == "True" for item in conditions if item.get("type") == "Ready"
        ),
    )


def _toleration(item: Manifest) -> PlacementToleration:
    return PlacementToleration(
        key=text(item.get("key")),
        operator=text(item.get("operator")) or "Equal",
        value=text(item.get("value")),
        effect=text(item.get("effect")),
    )


def _terms(items: Iterable[Manifest]) -> tuple[Term, ...]:
    return tuple(
        Term(
            labels=_requirements(mappings(item.get("matchExpressions"))),
            fields=_requirements(mappings(item.get("matchFields"))),
        )
        for item in items
    )


def _requirements(items: Iterable[Manifest]) -> tuple[PlacementRequirement, ...]:
    return tuple(
        PlacementRequirement(
            key=text(item.get("key")), operator=text(item.get("operator")), values=_values(item)
        )
        for item in items
    )


def _values(item: Manifest) -> tuple[str, ...]:
    values = item.get("values")
    return tuple(text(value) for value in values) if isinstance(values, list | tuple) else ()


def _matches(term: Term, node: Node) -> bool:
    # As in the scheduler, an empty term matches no node.
    return bool(term.labels or term.fields) and (
        all(item.matches(node.labels.get(item.key)) for item in term.labels)
        and all(
            item.matches(node.name if item.key == "metadata.name" else None) for item in term.fields
        )
    )
