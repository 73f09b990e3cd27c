"""PurpleFleaAgent v1alpha1: the spec.

The strings under the fields become the documentation of the CRD (`kubectl explain pfa.spec`). Fields that the agent
reads come from the settings of the contract, so a field has the same name from the manifest to the agent.
"""

from typing import Annotated, Any

from pydantic import ConfigDict, Field

from purpleflea_contract.control import Mode
from purpleflea_contract.settings import (
    ApiSettings,
    Faucet,
    Market,
    Risk,
    Settings,
    SpecModel,
    TradingSettings,
)
from purpleflea_operator.api.cel_rules import spec_rules
from purpleflea_operator.api.datadog import Datadog
from purpleflea_operator.api.endpoint_urls import endpoints_rule
from purpleflea_operator.api.pod import Image, Network, Pod, Storage
from purpleflea_operator.api.types import DataKey, DnsName, rules


class SecretKeyRef(SpecModel):
    """A key of a Secret in the namespace of the agent."""

    name: DnsName
    """Name of the Secret."""
    key: DataKey = "api-key"
    """Key in the Secret whose value is the Purple Flea API key (default api-key)."""


class Api(ApiSettings):
    """The Purple Flea services that the agents use, and the key for them."""

    key_secret_ref: SecretKeyRef
    """Secret with the API key. The agents read it again when it changes, so rotating the key needs no restart."""
    token_secret_ref: DnsName | None = None
    """Name of a Secret whose key `token` is the bearer token of the agents' own endpoints that move money or show the
    account. If it is not set, the endpoints that move money are closed."""
    allow_insecure_endpoints: bool = False
    """If true, endpoints may be http:// URLs outside the cluster (default false). They send the API key and the orders
    unencrypted. Without this field, http:// is allowed only for names without a dot, for names that end in .svc or
    .svc.cluster.local, and for loopback addresses."""

    model_config = rules(endpoints_rule())


class Trading(TradingSettings):
    """Trading of the agents, and the trading mode."""

    mode: Mode = Mode.ACTIVE
    """Active, Halted or Stopped (default Active). Active: the agents trade. Halted: the agents run but send no new
    orders; the change needs no restart. Stopped: the agents send no new orders, resolve orders in flight, and close
    positions if flattenOnStop is true. The pods end when all agents are idle or the grace period is over, and Active
    starts them again. Set the annotation purpleflea.com/reason on the resource to record the reason."""


def _with_rules(schema: dict[str, Any], model: type[Any]) -> None:
    """Add the CEL rules between the fields of the spec."""
    schema["x-kubernetes-validations"] = spec_rules(model)


class AgentSpec(SpecModel):
    """A trading strategy and the identities that run it. Each identity, named <name>-<ordinal>, runs at most once."""

    strategy: Annotated[str, Field(pattern="^[a-z]([a-z0-9_-]*[a-z0-9])?$", max_length=63)]
    """Trading strategy: momentum, mean_reversion, or a strategy that an entry point of the image registers."""
    replicas: Annotated[int, Field(ge=0, le=1000)] = 1
    """Number of identities (0 to 1000, default 1). Each identity is one pod that never runs twice at the same time."""
    markets: Annotated[
        tuple[Market, ...],
        Field(
            min_length=1,
            max_length=32,
            json_schema_extra={"x-kubernetes-list-type": "set"},
        ),
    ]
    """Markets to trade, such as BTC-USD (1 to 32, no duplicates)."""
    image: Image | None = None
    """The agent image. If it is not set, the operator's default image is used."""
    api: Api
    """The Purple Flea services and the key for them."""
    trading: Trading = Trading()
    """Trading of the agents, and the trading mode."""
    risk: Risk = Risk()
    """Risk limits. An agent rejects an order that exceeds one of them."""
    faucet: Faucet = Faucet()
    """When the agents claim from the faucet."""
    datadog: Datadog = Datadog()
    """Telemetry of the agents in Datadog."""
    storage: Storage | None = None
    """The volume of the trade journal."""
    pod: Pod = Pod()
    """Settings of the pods: scheduling, resources, and additions such as sidecars."""
    network: Network = Network()
    """Network access of the pods."""

    model_config = ConfigDict(json_schema_extra=_with_rules)

    def settings(self) -> Settings:
        """Return the part of the spec that the agent reads."""
        picked: dict[str, Any] = self.model_dump(
            include={"strategy", "markets", "api", "trading", "risk", "faucet"}
        )
        if self.datadog.runs_status_check and "status_access" not in self.api.model_fields_set:
            picked["api"]["status_access"] = "Network"
        return Settings.model_validate(picked)
