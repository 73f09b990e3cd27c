"""PurpleFleaAgent v1alpha1: tolerations, affinity and topology spread, with the field names of Kubernetes.

Of the inner fields of affinity, the CRD has only types and bounds, to stay small. The operator validates them with
these models.
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
    """Key of the taint. If it is not set, which needs operator Exists, every key matches."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """Comparison of the value: Equal or Exists (default Equal)."""
    value: Annotated[str | None, Field(max_length=63), OrNone] = None
    """Value of the taint, with operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint. If it is not set, every effect matches."""
    toleration_seconds: Annotated[int, Field(ge=0, le=86400)] | None = None
    """Seconds that a pod stays on a node with this taint (0 to 86400); it needs effect NoExecute. If it is not set,
    there is no limit."""

    model_config = rules(
        rule(
            "self.operator == 'Equal' ? has(self.key) : !has(self.value)",
            "operator Equal needs a key, and operator Exists must not have a value; set key, or remove value",
        ),
        rule(
            "!has(self.tolerationSeconds) || (has(self.effect) && self.effect == 'NoExecute')",
            "tolerationSeconds needs effect NoExecute; set effect, or remove tolerationSeconds",
        ),
    )


class Requirement(SpecModel):
    """A condition on a label."""

    key: QualifiedName
    """Key of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist", "Gt", "Lt"]
    """Comparison of the label with values: In, NotIn, Exists or DoesNotExist. For nodes, Gt and Lt are also allowed."""
    values: Annotated[tuple[LabelValue, ...] | None, Field(max_length=64), OrNone] = None
    """Values for the comparison (at most 64)."""


class LabelSelector(SpecModel):
    """Selects objects by labels. Both matchLabels and matchExpressions must match."""

    match_labels: Annotated[
        dict[QualifiedName, LabelValue] | None, Field(max_length=16), OrNone
    ] = None
    """Labels that the object must have (at most 16)."""
    match_expressions: Annotated[tuple[Requirement, ...] | None, Field(max_length=16), OrNone] = (
        None
    )
    """Conditions on the labels of the object (at most 16)."""


class NodeSelectorTerm(SpecModel):
    """Selects nodes. All conditions must match."""

    match_expressions: Annotated[tuple[Requirement, ...] | None, Field(max_length=16), OrNone] = (
        None
    )
    """Conditions on the labels of a node (at most 16)."""
    match_fields: Annotated[tuple[Requirement, ...] | None, Field(max_length=16), OrNone] = None
    """Conditions on the fields of a node, such as metadata.name (at most 16)."""


class NodeSelector(SpecModel):
    """Selects nodes. One of the terms must match."""

    node_selector_terms: Annotated[tuple[NodeSelectorTerm, ...], Field(min_length=1, max_length=16)]
    """Terms, of which one must match (1 to 16)."""


Weight = Annotated[int, Field(ge=1, le=100)]


class PreferredNodes(SpecModel):
    """Preferred nodes."""

    weight: Weight
    """Weight of the preference (1 to 100)."""
    preference: NodeSelectorTerm
    """Selects the preferred nodes."""


class NodeAffinity(SpecModel):
    """Required and preferred nodes of the pods."""

    required_during_scheduling_ignored_during_execution: NodeSelector | None = None
    """Nodes that the pods may run on."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        tuple[PreferredNodes, ...] | None, Field(max_length=16), OrNone
    ] = None
    """Nodes that are preferred for the pods (at most 16)."""


class PodAffinityTerm(SpecModel):
    """Selects pods, and the topology in which they are near."""

    topology_key: QualifiedName
    """Label of nodes that defines the topology, such as kubernetes.io/hostname."""
    label_selector: LabelSelector | None = None
    """Selects the pods by label."""
    namespaces: Annotated[tuple[DnsLabel, ...] | None, Field(max_length=16), OrNone] = None
    """Namespaces of the pods (at most 16). If it is not set, the namespace of the agent is used."""
    namespace_selector: LabelSelector | None = None
    """Selects the namespaces of the pods by label."""


class PreferredPods(SpecModel):
    """Pods to which nearness is preferred, or avoided for podAntiAffinity."""

    weight: Weight
    """Weight of the preference (1 to 100)."""
    pod_affinity_term: PodAffinityTerm
    """Selects the pods and the topology."""


class PodAffinity(SpecModel):
    """Required and preferred nearness to pods, or distance from pods for podAntiAffinity."""

    required_during_scheduling_ignored_during_execution: Annotated[
        tuple[PodAffinityTerm, ...] | None, Field(max_length=16), OrNone
    ] = None
    """Terms that must match (at most 16)."""
    preferred_during_scheduling_ignored_during_execution: Annotated[
        tuple[PreferredPods, ...] | None, Field(max_length=16), OrNone
    ] = None
    """Terms that should match (at most 16)."""


class Affinity(SpecModel):
    """Affinity of the pods to nodes and to other pods (Kubernetes: PodSpec.affinity)."""

    node_affinity: Annotated[NodeAffinity | None, Field(json_schema_extra=FREE_FORM)] = None
    """Required and preferred nodes of the pods. The inner fields are those of Kubernetes."""
    pod_affinity: Annotated[PodAffinity | None, Field(json_schema_extra=FREE_FORM)] = None
    """Pods near which the agents run. The inner fields are those of Kubernetes."""
    pod_anti_affinity: Annotated[PodAffinity | None, Field(json_schema_extra=FREE_FORM)] = None
    """Pods near which the agents do not run. The inner fields are those of Kubernetes."""


class TopologySpread(SpecModel):
    """A constraint for an even distribution of pods (Kubernetes: PodSpec.topologySpreadConstraints)."""

    topology_key: QualifiedName
    """Label of nodes over whose values the pods are distributed, such as topology.kubernetes.io/zone."""
    max_skew: Annotated[int, Field(ge=1, le=1000)] = 1
    """Maximum difference of the number of pods between two values of the label (1 to 1000, default 1)."""
    when_unsatisfiable: Literal["DoNotSchedule", "ScheduleAnyway"] = "ScheduleAnyway"
    """Action on a pod that cannot satisfy the constraint (default ScheduleAnyway). DoNotSchedule leaves the pod
    pending. ScheduleAnyway runs it."""
