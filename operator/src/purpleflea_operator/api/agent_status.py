"""PurpleFleaAgent v1alpha1: the status, and the resource as a whole.

The status contains only values that a user can act on. Profit, balances and other values that change fast are metrics.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from purpleflea_contract.control import Mode
from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.agent import AgentSpec

ShortText = Annotated[str, Field(max_length=253)]


REASON_LIMIT = 256
"""Characters of the reason for which a node has no node agent; taints and selectors may be longer."""


class ConditionType(StrEnum):
    """Types of conditions, in the sequence of status.conditions."""

    READY = "Ready"
    SPEC_VALID = "SpecValid"
    WORKLOAD_AVAILABLE = "WorkloadAvailable"
    DATADOG_INSTALLED = "DatadogInstalled"
    TELEMETRY_READY = "TelemetryReady"
    TRADING_ACTIVE = "TradingActive"
    PROGRESSING = "Progressing"
    DUPLICATE_IDENTITY = "DuplicateIdentity"
    STORAGE_READY = "StorageReady"
    WITHIN_BUDGET = "WithinBudget"
    POSITIONS_CONSISTENT = "PositionsConsistent"


ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(SpecModel):
    """One aspect of the state of the resource (Kubernetes API conventions)."""

    type: Annotated[str, Field(max_length=63)]
    """Type of the condition, such as Ready. docs/conditions.md lists the types of each resource."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9]*$", min_length=1, max_length=63)]
    """Cause of the status as a fixed identifier for programs."""
    message: Annotated[str, Field(max_length=2048)]
    """Symptom, cause and remedy for people."""
    last_transition_time: Annotated[
        str, Field(max_length=32, json_schema_extra={"format": "date-time"})
    ]
    """Time of the last change of the status."""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    """metadata.generation that this condition was computed from."""


class MissingNode(SpecModel):
    """A node that runs agents and has no node agent for them."""

    node: ShortText
    """Name of the node."""
    reason: Annotated[str, Field(max_length=REASON_LIMIT)]
    """Why the node has no node agent for them."""


class NodeCoverage(SpecModel):
    """Nodes that run agents, or could run agents that wait for a node, and whether a node agent serves them."""

    needed: Annotated[int, Field(ge=0)] = 0
    """Nodes that need a node agent."""
    covered: Annotated[int, Field(ge=0)] = 0
    """Nodes among them that have a ready node agent."""
    missing: Annotated[tuple[MissingNode, ...], Field(max_length=10)] = ()
    """The first of the other nodes, sorted by name (at most 10)."""


class DatadogStatus(SpecModel):
    """The Datadog node agent that the operator detected in the cluster."""

    installer: ShortText | None = None
    """Tool that installed the node agent: Helm, Operator or None."""
    release: ShortText | None = None
    """Name of the Helm release, or of the DatadogAgent."""
    namespace: ShortText | None = None
    """Namespace of the node agent."""
    chart_version: ShortText | None = None
    """Version of the Helm chart."""
    agent_version: ShortText | None = None
    """Version of the node agent, from the tag of its image."""
    connection: ShortText | None = None
    """Connection of the agents to the node agent: HostIP, Service, Socket, CSI or None."""
    dogstatsd: Annotated[str, Field(max_length=512)] | None = None
    """Address for metrics, as host:port or unix://path; Off if metrics are not accepted, Unknown if this is hidden."""
    apm: Annotated[str, Field(max_length=512)] | None = None
    """Address for traces, as host:port or unix://path; Off if traces are not accepted, Unknown if this is hidden."""
    logs: ShortText | None = None
    """Whether logs of containers are collected: On, Off or Unknown."""
    nodes: NodeCoverage | None = None
    """Nodes of the agents with and without a node agent. Absent if the operator cannot see nodes."""


class TradingStatus(SpecModel):
    """The trading mode, its author, and the number of agents that have acknowledged it."""

    mode: Mode = Mode.ACTIVE
    """Mode that the operator passed to the agents."""
    since: (
        Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})] | None
    ) = None
    """Time at which the mode was set."""
    changed_by: ShortText | None = None
    """Field manager that set the mode, such as kubectl-edit, or the PurpleFleaHalt that requests it."""
    reason: ShortText | None = None
    """Reason for the mode, from the annotation purpleflea.com/reason or from the PurpleFleaHalt."""
    halts: Annotated[tuple[Annotated[str, Field(max_length=317)], ...], Field(max_length=10)] = ()
    """The PurpleFleaHalts that request the mode, as <namespace>/<name>, the strongest first (at most 10)."""
    running: Annotated[int, Field(ge=0)] = 0
    """Agents that must acknowledge the mode: all that run if it is Halted or Stopped, those that had another mode
    before if it is Active."""
    acknowledged: Annotated[int, Field(ge=0)] = 0
    """Agents that have acknowledged the mode, and are drained unless it is Active."""
    undone: Annotated[tuple[ShortText, ...], Field(max_length=10)] = ()
    """Work that stopped agents could not finish in time, as <agent>: <work>."""


class CustomMetrics(SpecModel):
    """Custom metrics of all agents of this resource together."""

    estimated: Annotated[int, Field(ge=0)] = 0
    """Expected number of custom metrics in ordinary operation."""
    budget: Annotated[int, Field(ge=1)] | None = None
    """spec.datadog.customMetricsBudget, if it is set."""


class AgentStatus(SpecModel):
    """The state of the agents, as observed by the operator."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """metadata.generation that this status was computed from."""
    replicas: Annotated[int, Field(ge=0)] = 0
    """Pods that exist."""
    ready_replicas: Annotated[int, Field(ge=0)] = 0
    """Pods that are ready to trade, or that are halted on request."""
    updated_replicas: Annotated[int, Field(ge=0)] = 0
    """Pods that run the current spec."""
    selector: Annotated[str, Field(max_length=512)] = ""
    """Label selector of the pods, for the scale subresource."""
    never_started: bool | None = None
    """True as long as no container of the agents has ever run; absent afterwards. Such an agent loses its identities to
    an agent of another namespace that can start."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=16,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            },
        ),
    ] = ()
    """Conditions, one per type."""
    trading: TradingStatus | None = None
    """The trading mode and its acknowledgements."""
    datadog: DatadogStatus | None = None
    """The Datadog node agent that the operator detected in the cluster."""
    custom_metrics: CustomMetrics | None = None
    """Custom metrics that the agents are expected to send."""


class PurpleFleaAgent(SpecModel):
    """A fleet of trading agents that run one strategy, each identity exactly once, observed in Datadog."""

    spec: AgentSpec
    """Desired state."""
    status: AgentStatus | None = None
    """Observed state."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                {
                    "rule": "size(self.metadata.name) <= 45 && "
                    "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                    "message": "metadata.name must be a DNS label of at most 45 characters that starts with a "
                    "letter, because the agents are named <name>-<ordinal>; choose another name",
                }
            ]
        }
    }
