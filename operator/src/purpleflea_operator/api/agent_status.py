"""PurpleFleaAgent v1alpha1: the status, and the resource as a whole.

Only what a user can act on stands in the status; profit, balances and other fast numbers are metrics.
"""

from enum import StrEnum
from typing import Annotated, Literal

from pydantic import Field

from purpleflea_contract.control import Mode
from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.agent import AgentSpec

ShortText = Annotated[str, Field(max_length=253)]


REASON_LIMIT = 256
"""Length of the reason for which a node has no node agent; taints and selectors may be longer."""


class ConditionType(StrEnum):
    """Types of conditions, in the order in which they are shown."""

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


ConditionStatus = Literal["True", "False", "Unknown"]


class Condition(SpecModel):
    """One aspect of the state of the resource (Kubernetes API conventions)."""

    type: Annotated[str, Field(max_length=63)]
    """Aspect: Ready, SpecValid, WorkloadAvailable, DatadogInstalled, TelemetryReady, TradingActive, Progressing,
    DuplicateIdentity or StorageReady."""
    status: ConditionStatus
    """True, False or Unknown."""
    reason: Annotated[str, Field(pattern="^[A-Za-z][A-Za-z0-9]*$", min_length=1, max_length=63)]
    """Why, as one word for programs."""
    message: Annotated[str, Field(max_length=2048)]
    """Why, and what to do next, for people."""
    last_transition_time: Annotated[
        str, Field(max_length=32, json_schema_extra={"format": "date-time"})
    ]
    """When the status last changed."""
    observed_generation: Annotated[int, Field(ge=0)] = 0
    """metadata.generation that this condition was computed from."""


class MissingNode(SpecModel):
    """A node whose agents nobody hears."""

    node: ShortText
    """Name of the node."""
    reason: Annotated[str, Field(max_length=REASON_LIMIT)]
    """Why no node agent hears them there."""


class NodeCoverage(SpecModel):
    """Nodes that run agents, or could run those that wait for one, and whether a node agent hears them there."""

    needed: Annotated[int, Field(ge=0)] = 0
    """Nodes that need a node agent."""
    covered: Annotated[int, Field(ge=0)] = 0
    """Nodes among them that have a ready one."""
    missing: Annotated[tuple[MissingNode, ...], Field(max_length=10)] = ()
    """The first of the others (at most 10), in the order of their names."""


class DatadogStatus(SpecModel):
    """The Datadog node agent as found in the cluster."""

    installer: ShortText | None = None
    """What installed it: Helm, Operator or None."""
    release: ShortText | None = None
    """Name of the Helm release, or of the DatadogAgent."""
    namespace: ShortText | None = None
    """Namespace of the node agent."""
    chart_version: ShortText | None = None
    """Version of the Helm chart."""
    agent_version: ShortText | None = None
    """Version of the node agent, from the tag of its image."""
    connection: ShortText | None = None
    """How the agents reach it: HostIP, Service, Socket, CSI or None."""
    dogstatsd: Annotated[str, Field(max_length=512)] | None = None
    """Address for metrics, as host:port or unix://path; Off where none are taken, Unknown where that is hidden."""
    apm: Annotated[str, Field(max_length=512)] | None = None
    """Address for traces, as host:port or unix://path; Off where none are taken, Unknown where that is hidden."""
    logs: ShortText | None = None
    """Whether container logs are collected: On, Off or Unknown."""
    nodes: NodeCoverage | None = None
    """How far the nodes of the agents have a node agent. Left out where nodes cannot be seen."""


class TradingStatus(SpecModel):
    """The trading mode: who set it, and which agents have acknowledged it."""

    mode: Mode = Mode.ACTIVE
    """Mode that was passed on to the agents."""
    since: (
        Annotated[str, Field(max_length=32, json_schema_extra={"format": "date-time"})] | None
    ) = None
    """When it was set."""
    changed_by: ShortText | None = None
    """Field manager that set it, such as kubectl-edit."""
    reason: ShortText | None = None
    """Why, as the annotation purpleflea.com/reason says."""
    running: Annotated[int, Field(ge=0)] = 0
    """Agents that have to acknowledge it: all that run, while Halted or Stopped; those that were told, while Active."""
    acknowledged: Annotated[int, Field(ge=0)] = 0
    """Agents that have acknowledged it, and are at rest unless it is Active."""
    undone: Annotated[tuple[ShortText, ...], Field(max_length=10)] = ()
    """What stopped agents could not do in time, as <agent>: <what>."""


class CustomMetrics(SpecModel):
    """Custom metrics of all agents of this resource together."""

    estimated: Annotated[int, Field(ge=0)] = 0
    """Custom metrics to be expected in ordinary operation."""
    budget: Annotated[int, Field(ge=1)] | None = None
    """spec.datadog.customMetricsBudget, where it is set."""


class AgentStatus(SpecModel):
    """What the operator saw and did."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """metadata.generation that this status was computed from."""
    replicas: Annotated[int, Field(ge=0)] = 0
    """Pods that exist."""
    ready_replicas: Annotated[int, Field(ge=0)] = 0
    """Pods that are ready to trade, or halted on purpose."""
    updated_replicas: Annotated[int, Field(ge=0)] = 0
    """Pods that run the current spec."""
    selector: Annotated[str, Field(max_length=512)] = ""
    """Label selector of the pods, for the scale subresource."""
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
    """Aspects of the state, one per type."""
    trading: TradingStatus | None = None
    """The trading mode, as acknowledged."""
    datadog: DatadogStatus | None = None
    """The Datadog node agent as found in the cluster."""
    custom_metrics: CustomMetrics | None = None
    """Custom metrics that the agents are to be expected to cost."""


class PurpleFleaAgent(SpecModel):
    """A fleet of trading agents that run one strategy, each identity exactly once, observed in Datadog."""

    spec: AgentSpec
    """What is wanted."""
    status: AgentStatus | None = None
    """What is."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                {
                    "rule": "size(self.metadata.name) <= 45 && "
                    "self.metadata.name.matches('^[a-z]([-a-z0-9]*[a-z0-9])?$')",
                    "message": "metadata.name must be a DNS label of at most 45 characters that starts with a letter: "
                    "the agents are named <name>-<ordinal>",
                }
            ]
        }
    }
