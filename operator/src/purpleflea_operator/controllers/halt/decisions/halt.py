"""A PurpleFleaHalt as the operator applies it. Pure.

The API server checks halts when they are created. An object that it did not check, such as one of a newer version, is
read in the sequence from strong to weak: a field that cannot be read never makes the halt weaker or narrower, and it
becomes a problem that the status reports.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from purpleflea_contract import kubernetes
from purpleflea_contract.control import Mode
from purpleflea_operator.api.halt import HaltLevel
from purpleflea_operator.kube.kept_metadata import has_too_many
from purpleflea_operator.parsing import Manifest, mapping, mappings, text, timestamp

_MODES: Mapping[str, Mode] = {HaltLevel.HALT: Mode.HALTED, HaltLevel.STOP: Mode.STOPPED}
_STRONGEST_FIRST = (Mode.STOPPED, Mode.HALTED)
_OPERATORS = ("In", "NotIn", "Exists", "DoesNotExist")


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """A condition on a label, with an operator of Kubernetes label selectors."""

    key: str
    operator: str
    values: frozenset[str] = frozenset()

    def is_met(self, labels: Mapping[str, str]) -> bool:
        """Return whether labels meet the condition. Like in Kubernetes, NotIn is met by a missing label."""
        value = labels.get(self.key)
        match self.operator:
            case "In":
                return value in self.values
            case "NotIn":
                return value not in self.values
            case "Exists":
                return value is not None
            case _:
                return value is None


@dataclass(frozen=True, slots=True, kw_only=True)
class Selector:
    """The agents that a halt selects."""

    namespaces: frozenset[str] | None
    """Namespaces of the agents; None for all namespaces."""
    names: frozenset[str] | None = None
    """Names of the agents; None for all names."""
    requirements: tuple[Requirement, ...] = ()

    def selects(self, namespace: str, name: str, labels: Mapping[str, str]) -> bool:
        """Return whether an agent is selected. An agent with too many labels meets each condition on labels.

        Its labels are not kept, and no tenant may avoid a halt with them.
        """
        if self.namespaces is not None and namespace not in self.namespaces:
            return False
        if self.names is not None and name not in self.names:
            return False
        return has_too_many(labels) or all(item.is_met(labels) for item in self.requirements)


@dataclass(frozen=True, slots=True, kw_only=True)
class Halt:
    """One PurpleFleaHalt."""

    namespace: str
    name: str
    uid: str
    generation: int
    created_at: datetime | None
    mode: Mode
    flatten: bool
    selector: Selector
    reason: str
    expires_at: datetime | None = None
    created_by: str = ""
    """Field manager that created the halt."""
    requested_by: str = ""
    """User who created the halt, from an annotation."""
    is_limited: bool = False
    """True if the scope Cluster does not apply, because the halt is not in the namespace of the operator."""
    problems: tuple[str, ...] = ()
    """Fields that cannot be read."""

    @property
    def id(self) -> str:
        """Namespace and name of the halt."""
        return f"{self.namespace}/{self.name}"


class HaltView(Protocol):
    """The halts, as the controller of the agents reads them."""

    def of(self, namespace: str, name: str, labels: Mapping[str, str]) -> tuple[Halt, ...]:
        """Return the halts that apply to an agent, the strongest first."""

    def are_known(self, namespace: str) -> bool:
        """Return whether all halts that can apply to agents of a namespace have been read."""

    def unread_reason(self, namespace: str) -> str:
        """Return why halts that can apply to agents of a namespace cannot be read, and the remedy; empty if they can.

        If the kind is not installed, there are no halts.
        """


class _NoHalts:
    def of(self, namespace: str, name: str, labels: Mapping[str, str]) -> tuple[Halt, ...]:
        return ()

    def are_known(self, namespace: str) -> bool:
        return True

    def unread_reason(self, namespace: str) -> str:
        return ""


NO_HALTS: HaltView = _NoHalts()


def by_strength(halts: Iterable[Halt]) -> tuple[Halt, ...]:
    """Return halts sorted: the strongest first, then the oldest."""
    return tuple(
        sorted(
            halts,
            key=lambda item: (
                _STRONGEST_FIRST.index(item.mode),
                not item.flatten,
                "" if item.created_at is None else item.created_at.isoformat(),
                item.id,
            ),
        )
    )


def halt(manifest: Manifest, *, operator_namespace: str) -> Halt:
    """Return the halt that a manifest describes."""
    metadata, spec = manifest["metadata"], mapping(manifest.get("spec"))
    namespace, problems = metadata["namespace"], list[str]()
    annotations = mapping(metadata.get("annotations"))
    mode = _MODES.get(text(spec.get("level")))
    if mode is None:
        problems.append("spec.level is neither Halt nor Stop, so it counts as Halt")
    reason = text(spec.get("reason")).strip()
    if not reason:
        problems.append("spec.reason is missing")
    expires_at = timestamp(spec.get("expiresAt"))
    if expires_at is None and spec.get("expiresAt") is not None:
        problems.append("spec.expiresAt is not a time, so the halt does not end by itself")
    is_cluster = mapping(spec.get("selector")).get("scope") == "Cluster"
    return Halt(
        namespace=namespace,
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata.get("generation", 0),
        created_at=timestamp(metadata.get("creationTimestamp")),
        mode=mode or Mode.HALTED,
        flatten=spec.get("flatten") is True and mode is Mode.STOPPED,
        selector=_selector(spec.get("selector"), namespace, operator_namespace, problems),
        reason=reason or "no reason given",
        expires_at=expires_at,
        created_by=_creator(metadata),
        requested_by=text(annotations.get(kubernetes.ANNOTATION_REQUESTED_BY)),
        is_limited=is_cluster and namespace != operator_namespace,
        problems=tuple(problems),
    )


def _selector(
    value: object, namespace: str, operator_namespace: str, problems: list[str]
) -> Selector:
    """Return a selector. A part that cannot be read is left out, so that it selects more agents and not fewer."""
    fields = mapping(value)
    if not isinstance(value, Mapping):
        problems.append("spec.selector is not an object, so all agents of the namespace are halted")
    scope = fields.get("scope", "Namespace")
    if scope not in ("Namespace", "Cluster"):
        problems.append("spec.selector.scope is neither Namespace nor Cluster")
    limited = scope != "Cluster" or namespace != operator_namespace
    return Selector(
        namespaces=frozenset({namespace}) if limited else _names(fields, "namespaces", problems),
        names=_names(fields, "names", problems),
        requirements=(*_equalities(fields, problems), *_expressions(fields, problems)),
    )


def _names(fields: Mapping[str, Any], field: str, problems: list[str]) -> frozenset[str] | None:
    """Return the names in a list; None, for all names, if the list is absent, empty or unreadable."""
    value = fields.get(field)
    if not value:
        return None
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        problems.append(f"spec.selector.{field} is not a list of names, so it is left out")
        return None
    return frozenset(value)


def _equalities(fields: Mapping[str, Any], problems: list[str]) -> list[Requirement]:
    value = fields.get("matchLabels") or {}
    if not isinstance(value, Mapping) or not all(isinstance(item, str) for item in value.values()):
        problems.append("spec.selector.matchLabels is not a map of labels, so it is left out")
        return []
    return [
        Requirement(key=key, operator="In", values=frozenset({item})) for key, item in value.items()
    ]


def _expressions(fields: Mapping[str, Any], problems: list[str]) -> list[Requirement]:
    value = fields.get("matchExpressions") or []
    found = [_requirement(item) for item in mappings(value)]
    known = [item for item in found if item is not None]
    if not isinstance(value, list) or len(known) < len(value):
        problems.append(
            "spec.selector.matchExpressions has an item that is not a condition on a label, so the item is left out"
        )
    return known


def _requirement(item: Mapping[str, Any]) -> Requirement | None:
    key, operator, values = item.get("key"), item.get("operator"), item.get("values") or []
    is_list = isinstance(values, list) and all(isinstance(value, str) for value in values)
    if not isinstance(key, str) or operator not in _OPERATORS or not is_list:
        return None
    needs_values = operator in ("In", "NotIn")
    if needs_values is not bool(values):
        return None
    return Requirement(key=key, operator=operator, values=frozenset(values))


def _creator(metadata: Manifest) -> str:
    """Return the field manager of the oldest entry of managedFields that owns a field of the spec."""
    entries = [
        entry
        for entry in mappings(metadata.get("managedFields"))
        if "f:spec" in mapping(entry.get("fieldsV1"))
    ]
    oldest = min(entries, key=lambda entry: text(entry.get("time")), default={})
    return text(oldest.get("manager"))
