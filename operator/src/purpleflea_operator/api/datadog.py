"""PurpleFleaAgent v1alpha1: spec.datadog, the telemetry of the agents."""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from purpleflea_contract.settings import SpecModel
from purpleflea_contract.tags import stored_value
from purpleflea_operator import parsing
from purpleflea_operator.api.types import TagKey, TagValue, rule, rules


class Apm(SpecModel):
    """Traces and profiles of the agents."""

    enabled: bool = True
    """If true, the agents send traces (default true)."""
    sample_rate: (
        Annotated[str, Field(pattern="^(0([.][0-9]{1,6})?|1([.]0{1,6})?)$", max_length=8)] | None
    ) = None
    """Share of the traces that are kept, as a decimal string from 0 to 1, such as 0.25. If it is not set, the node
    agent selects the share."""
    runtime_metrics: bool = False
    """If true, the agents send metrics of their Python runtime, runtime.python.* (default false)."""
    profiling: bool = False
    """If true, the agents are profiled continuously, which costs a few percent of CPU (default false)."""


class Logs(SpecModel):
    """Collection of the agents' logs."""

    enabled: bool = True
    """If true, the node agent collects the logs (default true). If false, it does not collect them, even if it collects
    the logs of all other containers."""
    mask_secrets: bool = True
    """If true, the node agent masks API keys and private keys (default true). The agents mask their own log lines; this
    setting also masks the lines of their libraries."""


class Check(SpecModel):
    """The Agent check `purpleflea_agent`, run by the Datadog node agent."""

    enabled: bool = False
    """If true, the node agent requests the status of each agent, which also detects an agent that sends no telemetry
    (default false). The check costs custom metrics, and it must be installed in the node agent (Helm:
    datadog.checksd)."""
    interval_seconds: Annotated[int, Field(ge=5, le=3600)] = 15
    """Seconds between two runs of the check (5 to 3600, default 15)."""


class OpenMetrics(SpecModel):
    """Datadog's check `openmetrics`, run by the Datadog node agent on the agents' /metrics."""

    enabled: bool = False
    """If true, the node agent also reads /metrics of each agent, as purpleflea.agent_... (default false). Metrics that
    agents send through DogStatsD are then stored and charged twice. This setting is for images that only expose
    Prometheus metrics."""
    interval_seconds: Annotated[int, Field(ge=5, le=3600)] = 15
    """Seconds between two runs of the check (5 to 3600, default 15)."""
    metrics: Annotated[
        tuple[Annotated[str, Field(min_length=1, max_length=200)], ...],
        Field(min_length=1, max_length=64),
    ] = (".+",)
    """Names of the metrics to read, as regular expressions (1 to 64; by default all)."""


def _host(value: str) -> str:
    found = parsing.host(value)
    if found is None:
        raise ValueError(
            "it is neither the name of a host nor an IP address; write it without a port"
        )
    return found


class Endpoint(SpecModel):
    """Address of a Datadog agent that the operator does not detect."""

    host: (
        Annotated[
            str,
            Field(
                pattern=r"^([a-z0-9]([a-z0-9.-]*[a-z0-9])?\.?|\[?[0-9A-Fa-f.:]*:[0-9A-Fa-f.:]*\]?)$",
                max_length=253,
            ),
            AfterValidator(_host),
        ]
        | None
    ) = None
    """Name or IP address, such as datadog.monitoring.svc.cluster.local, 10.0.0.7 or fd00::7. It is required for
    connection Endpoint. With connection Sidecar it must not be set, because that agent is at 127.0.0.1."""
    dogstatsd_port: Annotated[int, Field(ge=1, le=65535, strict=True)] = 8125
    """UDP port for metrics (1 to 65535, default 8125)."""
    apm_port: Annotated[int, Field(ge=1, le=65535, strict=True)] = 8126
    """TCP port for traces (1 to 65535, default 8126)."""


class Datadog(SpecModel):
    """Telemetry of the agents in Datadog."""

    env: TagValue = "production"
    """Unified service tag env of all telemetry of the agents (default production)."""
    service: TagValue = "purpleflea-trading-agent"
    """Unified service tag service of all telemetry of the agents (default purpleflea-trading-agent)."""
    version: TagValue | None = None
    """Unified service tag version. If it is not set, the tag of the image is used."""
    team: TagValue | None = None
    """Tag team of all telemetry of the agents."""
    cluster: TagValue | None = None
    """Name of the only cluster in which the agents may run. An operator with another name, or without a name (chart
    value datadog.cluster), starts nothing and reports the field. So a manifest that is applied to two clusters runs
    once. It is also the tag agent_cluster of logs and traces. If it is not set, the agents run in any cluster, with the
    name of the operator as the tag."""
    tags: Annotated[dict[TagKey, TagValue], Field(max_length=16)] = {}
    """Additional tags of all telemetry of the agents, such as desk: crypto (at most 16). Tags that the operator, the
    agent or the node agent sets, in any spelling, are ignored and reported."""
    connection: Literal[
        "Auto", "HostIP", "Service", "Socket", "CSI", "Sidecar", "Endpoint", "Disabled"
    ] = "Auto"
    """Connection of the agents to the Datadog node agent (default Auto). HostIP: a port of the node. Service: the
    node-local Service. Socket: UNIX sockets in a folder of the node, which Pod Security levels baseline and restricted
    forbid. CSI: the sockets through Datadog's CSI driver, which every level allows. Auto: the first of these that the
    installation offers; agents keep it as long as it is offered. Sidecar: a Datadog agent in the same pod. Endpoint:
    the address in endpoint. For these two the operator detects nothing, and variables in pod.env such as DD_AGENT_HOST
    take precedence. Disabled: the agents send no telemetry. If the connection is not available, the condition
    TelemetryReady reports the reason."""
    endpoint: Endpoint | None = None
    """Address for connection Endpoint, or ports for connection Sidecar. If it is not set, the ports are 8125 and
    8126."""
    apm: Apm = Apm()
    """Traces and profiles of the agents."""
    logs: Logs = Logs()
    """Collection of the agents' logs."""
    remote_configuration: bool = False
    """If true, Datadog's servers may change the configuration of the agents' tracer, and add the probes of Dynamic
    Instrumentation to their code (default false). A client that controls the node agent or the Datadog account can then
    read the memory of the agents, also the API key."""
    legacy_histograms: bool = False
    """If true, latencies and amounts are sent as histograms instead of distributions, for older dashboards (default
    false). A histogram has percentiles per host only, and other names, such as agent.order.latency_ms.95percentile."""
    check: Check = Check()
    """The Agent check of the agents' status."""
    open_metrics: OpenMetrics = OpenMetrics()
    """The check that reads /metrics of the agents."""
    duplicate_identity: Literal["Refuse", "Allow"] = "Refuse"
    """Action if an older agent in another namespace has the same name, env and service, so that Datadog cannot
    distinguish the two (default Refuse). Refuse starts no pods. Allow runs the agents. Both report the conflict in the
    condition DuplicateIdentity."""
    when_missing: Literal["Warn", "Hold"] = "Warn"
    """Action if no node agent receives the telemetry of an agent (default Warn). Warn runs the agent and reports the
    problem. Hold starts a pod only after the node agent of its own node answers. Neither stops a running agent if its
    node agent disappears later."""
    custom_metrics_budget: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Budget of custom metrics for all agents of this resource together (1 to 10000000). status.customMetrics has the
    estimate, and the condition WithinBudget reports an estimate above the budget. If it is not set, there is no
    limit."""
    budget_policy: Literal["Warn", "Enforce"] = "Warn"
    """Action if the estimate exceeds customMetricsBudget (default Warn). Warn reports it in the condition WithinBudget.
    Enforce also rejects the change of the spec or the scaling."""

    model_config = rules(
        rule(
            "!has(self.connection) || self.connection != 'Endpoint' || (has(self.endpoint) && has(self.endpoint.host))",
            "connection Endpoint needs endpoint.host; set the name of the Datadog agent",
            fieldPath=".endpoint",
        ),
        rule(
            "!has(self.endpoint) || (has(self.connection) && (self.connection == 'Endpoint' || "
            "(self.connection == 'Sidecar' && !has(self.endpoint.host))))",
            "endpoint needs connection Endpoint, or connection Sidecar without endpoint.host; correct the connection",
            fieldPath=".endpoint",
        ),
    )

    @property
    def runs_status_check(self) -> bool:
        """True if the node agent runs the check that reads the status of the agents."""
        return self.check.enabled and self.connection != "Disabled"


_DEFAULTS = {name: Datadog.model_fields[name].default for name in ("env", "service")}


def stored_service(datadog: Mapping[str, Any]) -> tuple[str, str]:
    """Return env and service as Datadog stores them, from a spec.datadog that need not be valid or complete.

    The API server stores no defaults, so a field that is not set has the default of the model.
    """
    env, service = (
        stored_value(name, str(datadog.get(name, default))) for name, default in _DEFAULTS.items()
    )
    return env, service
