"""PurpleFleaAgent v1alpha1: spec.datadog, how the agents are observed."""

from typing import Annotated, Literal

from pydantic import Field

from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.types import TagValue


class Apm(SpecModel):
    """What the agents trace."""

    enabled: bool = True
    """Whether the agents trace."""
    sample_rate: (
        Annotated[str, Field(pattern="^(0([.][0-9]{1,6})?|1([.]0{1,6})?)$", max_length=8)] | None
    ) = None
    """Share of the traces that are kept, as a decimal string from 0 to 1, such as 0.25. Left out, the node agent
    decides."""
    runtime_metrics: bool = False
    """Whether the agents send metrics of their Python runtime (runtime.python.*)."""
    profiling: bool = False
    """Whether the agents are profiled continuously; costs a few percent of CPU."""


class Logs(SpecModel):
    """What becomes of the agents' log lines."""

    enabled: bool = True
    """Whether the node agent collects them. If not, they stay on the node, also where it collects all containers."""
    mask_secrets: bool = True
    """Whether the node agent masks API keys and private keys. The agents mask what they log themselves; this is for
    what a library of theirs logs."""


class Check(SpecModel):
    """The Agent check `purpleflea_agent`, run by the Datadog node agent."""

    enabled: bool = False
    """Whether the node agent asks each agent for its status, so that one that sends nothing any more is still seen.
    It costs custom metrics, and the check has to be installed in the node agent (Helm: datadog.checksd)."""
    interval_seconds: Annotated[int, Field(ge=5, le=3600)] = 15
    """Seconds between two runs (5 to 3600)."""


class OpenMetrics(SpecModel):
    """Datadog's check `openmetrics`, run by the Datadog node agent on the agents' /metrics."""

    enabled: bool = False
    """Whether the node agent also reads each agent's /metrics, as purpleflea.agent_...; what agents send by DogStatsD
    is then there twice, and paid for twice. Meant for images that only expose Prometheus metrics."""
    interval_seconds: Annotated[int, Field(ge=5, le=3600)] = 15
    """Seconds between two runs (5 to 3600)."""
    metrics: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=200)], ...],
        Field(min_length=1, max_length=64),
    ] = (".+",)
    """Names of the metrics to read, as regular expressions (1 to 64)."""


class Datadog(SpecModel):
    """How the agents are observed in Datadog."""

    env: TagValue = "production"
    """Unified service tag env of everything the agents send."""
    service: TagValue = "purpleflea-trading-agent"
    """Unified service tag service of everything the agents send."""
    version: TagValue | None = None
    """Unified service tag version. Left out, it is the tag of the image."""
    team: TagValue | None = None
    """Tag team of everything the agents send."""
    tags: Annotated[dict[str, TagValue], Field(max_length=16)] = {}
    """More tags of everything the agents send, such as desk: crypto (at most 16)."""
    connection: Literal["Auto", "HostIP", "Service", "Socket", "CSI", "Disabled"] = "Auto"
    """How agents reach the Datadog node agent: HostIP (a port of the node), Service (the node-local Service),
    Socket (UNIX sockets in a folder of the node; Pod Security levels baseline and restricted forbid it), CSI (the same
    by Datadog's CSI driver, allowed everywhere), Auto (whichever the installation offers, in this order; agents keep
    theirs while it is offered) or Disabled (send nothing). A way that is not to be had is refused in the condition
    TelemetryReady."""
    apm: Apm = Apm()
    """What the agents trace."""
    logs: Logs = Logs()
    """What becomes of the agents' log lines."""
    legacy_histograms: bool = False
    """Whether latencies and amounts are sent as histograms, as older dashboards expect them, instead of
    distributions. A histogram has percentiles per host only, and other names: agent.order.latency_ms.95percentile."""
    check: Check = Check()
    """The Agent check of the agents' status."""
    open_metrics: OpenMetrics = OpenMetrics()
    """Reading the agents' /metrics as well."""
    duplicate_identity: Literal["Refuse", "Allow"] = "Refuse"
    """What happens where an older agent, of another namespace, has the same name, env and service, so that Datadog
    cannot tell the two apart: Refuse starts no pod and reports it, Allow runs the agents and reports it."""
    when_missing: Literal["Warn", "Hold"] = "Warn"
    """What happens where no node agent hears an agent: Warn runs it and reports it; Hold starts no pod before the node
    agent of its own node answers. A node agent that goes away later stops nobody."""
    custom_metrics_budget: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Custom metrics that all agents of this resource together may be expected to cost (1 to 10000000). The estimate is
    in status.customMetrics; the condition WithinBudget tells when it is larger."""
    budget_policy: Literal["Warn", "Enforce"] = "Warn"
    """What happens above customMetricsBudget: Warn tells by a condition, Enforce also refuses the change (and scaling)
    in the first place."""
