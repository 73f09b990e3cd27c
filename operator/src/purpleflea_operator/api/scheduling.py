"""PurpleFleaAgent v1alpha1: where pods run - tolerations, affinity, spreading - in the words of Kubernetes.

The CRD leaves the inner fields of affinity out, as they are many; the operator checks them by these models.
"""

from typing import Annotated, Literal

from pydantic import Field

from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.types import (
    FREE_FORM,
    DnsLabel,
    LabelValue,
    OrNone,
    QualifiedName,
    rule,
    rules,
)


class Toleration(SpecModel):
    """A taint that the pods tolerate (Kubernetes: PodSpec.tolerations)."""

    key: Annotated[str | None, Field(max_length=317), OrNone] = None
    """Key of the taint; left out with operator Exists, every taint."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """How value is compared: Equal or Exists."""
    value: Annotated[str | None, Field(max_length=63), OrNone] = None
    """Value of the taint, with operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; left out, every effect."""
    toleration_seconds: Annotated[int, Field(ge=0, le=86400)] | None = None
    """Seconds that a pod stays on a node with this taint, with effect NoExecute (0 to 86400). Left out, for ever."""

    model_config = rules(
        rule(
            "self.operator == 'Equal' ? has(self.key) : !has(self.value)",
            "operator Equal needs a key; operator Exists takes no value",
        ),
        rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "tolerationSeconds needs effect NoExecute",
        ),
    )


class Requirement(SpecModel):
    """A condition on a label."""

    key: QualifiedName
    """Key of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    """How values are compared: In, NotIn, Exists, DoesNotExist; for nodes also Gt and Lt."""
    values: Annotated[tuple[LabelValue, ...] | None, Field(max_length=64), OrNone] = None
    """Values to compare with (at most 64)."""


class LabelSelector(SpecModel):
    """Which pods, by their labels; both parts must hold."""

    match_labels: Annotated[
        dict[QualifiedName, LabelValue] | None, Field(max_length=16), OrNone
    ] = None
    """Labels that a pod must have (at most 16)."""
    match_expressions: Annotated[tuple[Requirement, ...] | None, Field(max_length=16), OrNone] = (
        None
    )
    """Conditions on the labels of a pod (at most 16)."""


class NodeSelectorTerm(SpecModel):
    """Which nodes; all conditions must hold."""

    match_expressions: Annotated[tuple[Requirement, ...] | None, Field(max_length=16), OrNone] = (
        None
    )
    """Conditions on the labels of a node (at most 16)."""
    match_fields: Annotated[tuple[Requirement, ...] | None, Field(max_length=16), OrNone] = None
    """Conditions on the fields of a node, such as metadata.name (at most 16)."""


class NodeSelector(SpecModel):
    """Which nodes; one of the terms must hold."""

    node_selector_terms: Annotated[tuple[NodeSelectorTerm, ...], Field(min_length=1, max_length=16)]
    """Terms, of which one must hold (1 to 16)."""


Weight = Annotated[int, Field(ge=1, le=100)]


class PreferredNodes(SpecModel):
    """Nodes that are better than others."""

    weight: Weight
    """How much better (1 to 100)."""
    preference: NodeSelectorTerm
    """Which nodes."""


class NodeAffinity(SpecModel):
    """Which nodes the pods may, and would rather, run on."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    """Nodes that the pods may run on."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        tuple[PreferredNodes, ...] | None, Field(max_length=16), OrNone
    ] = None
    """Nodes that the pods would rather run on (at most 16)."""


class PodAffinityTerm(SpecModel):
    """Which pods, and how near."""

    topology_key: QualifiedName
    """Label of nodes that says what near means, such as kubernetes.io/hostname."""
    label_selector: LabelSelector | None = None
    """Which pods."""
    namespaces: Annotated[tuple[DnsLabel, ...] | None, Field(max_length=16), OrNone] = None
    """Namespaces of those pods; left out, the agent's own (at most 16)."""
    namespace_selector: LabelSelector | None = None
    """Namespaces of those pods, by label."""


class PreferredPods(SpecModel):
    """Pods that are better, or worse, to be near to than others."""

    weight: Weight
    """How much (1 to 100)."""
    pod_affinity_term: PodAffinityTerm
    """Which pods, and how near."""


class PodAffinity(SpecModel):
    """Which pods the agents must, and would rather, be near to (or, for podAntiAffinity, far from)."""

    required_during_scheduling_ignored_during_execution: Annotated[
        tuple[PodAffinityTerm, ...] | None, Field(max_length=16), OrNone
    ] = None
    """What must hold (at most 16)."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        tuple[PreferredPods, ...] | None, Field(max_length=16), OrNone
    ] = None
    """What had better hold (at most 16)."""


class Affinity(SpecModel):
    """Which nodes and pods the agents are to be near to (Kubernetes: PodSpec.affinity)."""

    node_affinity: Annotated[NodeAffinity | None, Field(json_schema_extra=FREE_FORM)] = None
    """Which nodes the pods may, and would rather, run on; inner fields as in Kubernetes."""
    pod_affinity: Annotated[PodAffinity | None, Field(json_schema_extra=FREE_FORM)] = None
    """Which pods the agents are to be near to; inner fields as in Kubernetes."""
    pod_anti_affinity: Annotated[PodAffinity | None, Field(json_schema_extra=FREE_FORM)] = None
    """Which pods the agents are to be far from; inner fields as in Kubernetes."""


class TopologySpread(SpecModel):
    """How evenly the pods of this agent are spread (Kubernetes: PodSpec.topologySpreadConstraints)."""

    topology_key: QualifiedName
    """Label of nodes whose values are spread over, such as topology.kubernetes.io/zone."""
    max_skew: Annotated[int, Field(ge=1, le=1000)] = 1
    """By how many pods two values may differ (1 to 1000)."""
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"] = "ScheduleAnyway"
    """What happens to a pod that fits nowhere: DoNotSchedule keeps it waiting, ScheduleAnyway runs it."""
