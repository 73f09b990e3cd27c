"""PurpleFleaAgent v1alpha1: the spec.

The strings under the fields become the documentation of the CRD (`kubectl explain pfa.spec`). Fields that the agent
itself reads come from the contract's settings, so that a field has one name from the manifest to the agent.
"""

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, JsonValue

from purpleflea_contract import settings
from purpleflea_contract.control import Mode
from purpleflea_contract.settings import SpecModel

TagValue = Annotated[
    str, Field(pattern="^[a-zA-Z0-9]([a-zA-Z0-9._-]*[a-zA-Z0-9])?$", min_length=1, max_length=63)
]
DnsName = Annotated[
    str, Field(pattern="^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$", min_length=1, max_length=253)
]
Quantity = Annotated[
    str,
    Field(
        pattern="^[0-9]{1,15}([.][0-9]{1,6})?(m|k|M|G|T|Ki|Mi|Gi|Ti)?$",
        max_length=24,
        json_schema_extra={"x-kubernetes-int-or-string": True},
    ),
    # Last, so outermost: a number becomes text before the pattern is looked at.
    BeforeValidator(lambda value: str(value) if isinstance(value, int | float) else value),
]
ResourceList = Annotated[dict[str, Quantity], Field(max_length=8)]
Text = Annotated[str, Field(max_length=1024)]


def rule(expression: str, message: str) -> dict[str, JsonValue]:
    """A CEL validation rule (Kubernetes: x-kubernetes-validations)."""
    return {"rule": expression, "message": message}


class Image(SpecModel):
    """The agent image. Left out, the operator's default image is used."""

    repository: Annotated[str, Field(pattern="^[a-z0-9][a-zA-Z0-9._/:-]*$", max_length=253)]
    """Repository without tag, such as ghcr.io/acme/agent."""
    tag: Annotated[str, Field(pattern="^[a-zA-Z0-9_][a-zA-Z0-9._-]*$", max_length=128)] | None = (
        None
    )
    """Tag of the image. Exactly one of tag and digest must be set."""
    digest: Annotated[str, Field(pattern="^sha256:[a-f0-9]{64}$", max_length=71)] | None = None
    """Digest of the image, such as sha256:0123. Exactly one of tag and digest must be set."""
    pull_policy: Literal["Always", "IfNotPresent", "Never"] = "IfNotPresent"
    """When the node pulls the image: Always, IfNotPresent or Never."""
    pull_secrets: Annotated[tuple[DnsName, ...], Field(max_length=8)] = ()
    """Names of Secrets with registry credentials, in the namespace of the agent."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                rule(
                    "has(self.tag) != has(self.digest)",
                    "set exactly one of tag and digest",
                )
            ]
        }
    }

    @property
    def reference(self) -> str:
        """The image as a container's image field takes it."""
        return (
            f"{self.repository}@{self.digest}" if self.digest else f"{self.repository}:{self.tag}"
        )


class SecretKeyRef(SpecModel):
    """One key of a Secret in the namespace of the agent."""

    name: DnsName
    """Name of the Secret."""
    key: Annotated[str, Field(pattern="^[-._a-zA-Z0-9]+$", max_length=253)] = "api-key"
    """Key in the Secret whose value is the Purple Flea API key."""


class Api(settings.Api):
    """The Purple Flea services that the agents talk to, and the key for them."""

    key_secret_ref: SecretKeyRef
    """Secret with the API key. It is mounted as a file and re-read: rotating the key needs no restart."""
    token_secret_ref: DnsName | None = None
    """Name of a Secret whose key `token` is the bearer token of the agents' own money-moving endpoints.
    Left out, those endpoints are closed."""


class Trading(settings.Trading):
    """How the agents trade, and whether they may."""

    mode: Mode = Mode.ACTIVE
    """Active trades. Halted keeps the agents running and sends no order; no restart is needed either way. Stopped
    sends no order, resolves those on their way, and closes positions where flattenOnStop says so."""


class Apm(SpecModel):
    """What the agents trace."""

    sample_rate: (
        Annotated[str, Field(pattern="^(0([.][0-9]{1,6})?|1([.]0{1,6})?)$", max_length=8)] | None
    ) = None
    """Share of the traces that are kept, as a decimal string from 0 to 1, such as 0.25. Left out, the node agent
    decides."""
    runtime_metrics: bool = False
    """Whether the agents send metrics of their Python runtime (runtime.python.*)."""
    profiling: bool = False
    """Whether the agents are profiled continuously; costs a few percent of CPU."""


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
    connection: Literal["Auto", "HostIP", "Service", "Disabled"] = "Auto"
    """How agents reach the Datadog node agent: HostIP (a port of the node), Service (the node-local Service),
    Auto (whichever the installation offers, HostIP first) or Disabled (send nothing)."""
    apm: Apm = Apm()
    """What the agents trace."""
    legacy_histograms: bool = False
    """Whether latencies and amounts are sent as histograms, as older dashboards expect them, instead of
    distributions. A histogram has percentiles per host only, and other names: agent.order.latency_ms.95percentile."""
    check: Check = Check()
    """The Agent check of the agents' status."""
    open_metrics: OpenMetrics = OpenMetrics()
    """Reading the agents' /metrics as well."""
    when_missing: Literal["Warn"] = "Warn"
    """What happens where no node agent is found: Warn runs the agents and reports it."""


class Storage(SpecModel):
    """The volume of the trade journal. Left out, the journal is lost when its pod leaves the node."""

    size: Quantity = "1Gi"
    """Size of the volume claim of each agent."""
    storage_class_name: DnsName | None = None
    """Storage class of the volume claim. Left out, the cluster's default class is used."""


class Resources(SpecModel):
    """Compute resources of the agent container."""

    requests: ResourceList = {"cpu": "50m", "memory": "160Mi"}
    """Least resources the container needs, by name (cpu, memory, ephemeral-storage)."""
    limits: ResourceList = {"cpu": "1", "memory": "320Mi"}
    """Most resources the container may use, by name (cpu, memory, ephemeral-storage)."""


class Toleration(SpecModel):
    """A taint that the pods tolerate (Kubernetes: PodSpec.tolerations)."""

    key: Annotated[str, Field(max_length=253)] | None = None
    """Key of the taint; left out with operator Exists, every taint."""
    operator: Literal["Equal", "Exists"] = "Equal"
    """How value is compared: Equal or Exists."""
    value: Annotated[str, Field(max_length=63)] | None = None
    """Value of the taint, with operator Equal."""
    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """Effect of the taint; left out, every effect."""


class Pod(SpecModel):
    """The pods of the agents: where they run and with how much."""

    resources: Resources = Resources()
    """Compute resources of the agent container."""
    node_selector: Annotated[
        dict[str, Annotated[str, Field(max_length=63)]], Field(max_length=16)
    ] = {}
    """Labels that a node must have."""
    tolerations: Annotated[tuple[Toleration, ...], Field(max_length=16)] = ()
    """Taints that the pods tolerate."""
    priority_class_name: DnsName | None = None
    """Priority class of the pods."""
    termination_grace_period_seconds: Annotated[int, Field(ge=5, le=3600)] = 30
    """Seconds an agent has to resolve its orders in flight and stop (5 to 3600)."""


Cidr = Annotated[str, Field(pattern="^[0-9a-fA-F:.]+/[0-9]{1,3}$", max_length=43)]


class Network(SpecModel):
    """What the pods may talk to."""

    policy: Literal["Enforce", "None"] = "Enforce"
    """Enforce makes a NetworkPolicy: in, only the agent's HTTP port; out, only DNS, the Datadog node agent and
    egressCidrs. None makes none."""
    egress_cidrs: Annotated[tuple[Cidr, ...], Field(max_length=32)] = ("0.0.0.0/0",)
    """Address ranges the agents may reach over TCP (the Purple Flea services), such as 203.0.113.0/24."""


class AgentSpec(SpecModel):
    """One trading strategy, run by one or more identities named <name>-<ordinal>, each exactly once."""

    strategy: Annotated[str, Field(pattern="^[a-z]([a-z0-9_-]*[a-z0-9])?$", max_length=63)]
    """Trading strategy: momentum, mean_reversion, or one that an entry point of the image registers."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Number of identities (0 to 1000). Each is one pod that is never started twice."""
    markets: Annotated[
        tuple[settings.Market, ...],
        Field(
            min_length=1,
            max_length=32,
            json_schema_extra={"x-kubernetes-list-type": "set"},
        ),
    ]
    """Markets to trade, such as BTC-USD (1 to 32, no duplicates)."""
    image: Image | None = None
    """The agent image. Left out, the operator's default image is used."""
    api: Api
    """The Purple Flea services and the key for them."""
    trading: Trading = Trading()
    """How the agents trade."""
    risk: settings.Risk = settings.Risk()
    """Limits past which an agent refuses to send an order."""
    faucet: settings.Faucet = settings.Faucet()
    """When the agents claim from the faucet."""
    datadog: Datadog = Datadog()
    """How the agents are observed in Datadog."""
    storage: Storage | None = None
    """The volume of the trade journal."""
    pod: Pod = Pod()
    """Where the pods run and with how much."""
    network: Network = Network()
    """What the pods may talk to."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                rule(
                    "has(self.storage) ? has(oldSelf.storage) && self.storage == oldSelf.storage"
                    " : !has(oldSelf.storage)",
                    "storage is immutable; make a new agent to change it",
                )
            ]
        }
    }

    def settings(self) -> settings.Settings:
        """The part of the spec that the agent reads."""
        picked: dict[str, Any] = self.model_dump(
            include={"strategy", "markets", "api", "trading", "risk", "faucet"}
        )
        return settings.Settings.model_validate(picked)
