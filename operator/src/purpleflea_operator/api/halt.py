"""PurpleFleaHalt v1alpha1: a request to halt or stop agents for as long as the resource exists.

Creating the resource halts and deleting it resumes, so RBAC separates the two rights. The spec is immutable, because a
right to change it would be a right to resume.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.agent_status import Condition, ShortText
from purpleflea_operator.api.types import (
    DnsLabel,
    DnsName,
    LabelValue,
    QualifiedName,
    rule,
    rules,
)

MAX_OPEN = 10
"""Items of status.open."""
TimeText = Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})]


class HaltLevel(StrEnum):
    """Strength of a halt. If several halts select an agent, the strongest applies."""

    HALT = "Halt"
    STOP = "Stop"


class HaltCondition(StrEnum):
    """Types of conditions, in the sequence in which they are listed."""

    ACCEPTED = "Accepted"
    HALTED = "Halted"
    DRAINING = "Draining"


class LabelRequirement(SpecModel):
    """A condition on a label of an agent resource."""

    key: QualifiedName
    """Key of the label."""
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """Comparison of the label with values: In, NotIn, Exists or DoesNotExist."""
    values: Annotated[tuple[LabelValue, ...], Field(max_length=32)] = ()
    """Values for In and NotIn (at most 32)."""

    model_config = rules(
        rule(
            "self.operator in ['In', 'NotIn'] ? has(self.values) && size(self.values) > 0"
            " : !has(self.values) || size(self.values) == 0",
            "In and NotIn need values, and Exists and DoesNotExist must not have any; set or remove values",
        )
    )


class HaltSelector(SpecModel):
    """Selects agent resources. An agent must match all parts that are set. `{}` selects all agents of the namespace."""

    scope: Literal["Namespace", "Cluster"] = "Namespace"
    """Namespace selects agents in the namespace of the PurpleFleaHalt. Cluster selects agents in all namespaces that
    the operator watches; it applies only to a PurpleFleaHalt in the operator's own namespace, and in another namespace
    it is limited to that namespace (default Namespace)."""
    namespaces: Annotated[tuple[DnsLabel, ...], Field(max_length=64)] = ()
    """With scope Cluster: only agents in these namespaces (at most 64)."""
    names: Annotated[tuple[DnsName, ...], Field(max_length=256)] = ()
    """Only agent resources with these names (at most 256)."""
    match_labels: Annotated[dict[QualifiedName, LabelValue], Field(max_length=16)] = {}
    """Only agent resources with these labels (at most 16). A user who may change the labels of an agent can remove the
    agent from the selection."""
    match_expressions: Annotated[tuple[LabelRequirement, ...], Field(max_length=16)] = ()
    """Only agent resources whose labels meet these conditions (at most 16)."""

    model_config = rules(
        rule(
            "!has(self.namespaces) || size(self.namespaces) == 0 || self.scope == 'Cluster'",
            "selector.namespaces needs scope Cluster; set selector.scope, or remove selector.namespaces",
        )
    )


class HaltSpec(SpecModel):
    """The agents to halt, and the reason. The spec is immutable. To change it, create a second PurpleFleaHalt, and then
    delete the first."""

    level: HaltLevel
    """Halt or Stop. Halt: the agents run and send no orders; resting orders are canceled. Stop: the agents also drain,
    and their pods end. If several halts and spec.trading.mode apply to an agent, the strongest applies."""
    flatten: bool = False
    """With level Stop: if true, the agents also close their positions at market price, as with
    spec.trading.flattenOnStop, within half of the grace period of their pods. If false, the setting of each agent
    applies (default false)."""
    selector: HaltSelector
    """The agents that are halted, including agents that are created later."""
    reason: Annotated[str, Field(pattern=r"\S", min_length=1, max_length=253)]
    """Reason for the halt. It is shown in the status of each agent."""
    expires_at: TimeText | None = None
    """Time at which the halt ends by itself (RFC 3339). If it is not set, the halt ends when it is deleted."""

    model_config = rules(
        rule(
            "self == oldSelf",
            "the spec of a PurpleFleaHalt is immutable, because a change could resume trading; create a second "
            "PurpleFleaHalt, and then delete this one",
        ),
        rule(
            "!self.flatten || self.level == 'Stop'",
            "flatten needs level Stop, because a halted agent closes no positions; set level to Stop, or flatten to "
            "false",
            fieldPath=".flatten",
        ),
    )


class HaltStatus(SpecModel):
    """The effect of the halt, as the operator observed it."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """metadata.generation that this status was computed from."""
    matched: Annotated[int, Field(ge=0)] = 0
    """Agent resources that the selector matches."""
    running: Annotated[int, Field(ge=0)] = 0
    """Agents (pods) of these resources that must acknowledge the halt."""
    acknowledged: Annotated[int, Field(ge=0)] = 0
    """Agents among them that have acknowledged it, so that they send no more orders."""
    drained: Annotated[int, Field(ge=0)] = 0
    """Agents among them that have also reported that nothing is open."""
    first_acknowledged_at: TimeText | None = None
    """Time of the first acknowledgement."""
    last_acknowledged_at: TimeText | None = None
    """Time of the last acknowledgement."""
    open: Annotated[tuple[ShortText, ...], Field(max_length=MAX_OPEN)] = ()
    """The first agents that are not drained or left work undone, as <namespace>/<agent>: <text> (at most 10)."""
    created_by: ShortText | None = None
    """Field manager that created the halt, such as kubectl-create."""
    requested_by: ShortText | None = None
    """User who created the halt, from the annotation purpleflea.com/requested-by. The chart's admission policy sets and
    checks the annotation; without this policy it is only a claim."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=8,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            },
        ),
    ] = ()
    """Accepted, Halted and Draining."""


class PurpleFleaHalt(SpecModel):
    """Halts or stops agents for as long as it exists. Deleting it resumes them."""

    spec: HaltSpec
    """The request."""
    status: HaltStatus | None = None
    """Its effect. Only the operator writes it."""
