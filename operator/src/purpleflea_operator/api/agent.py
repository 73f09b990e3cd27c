"""PurpleFleaAgent v1alpha1: the spec.

The strings under the fields become the documentation of the CRD (`kubectl explain pfa.spec`). Fields that the agent
itself reads come from the contract's settings, so that a field has one name from the manifest to the agent.
"""

from typing import Annotated, Any

from pydantic import Field

from purpleflea_contract import settings
from purpleflea_contract.control import Mode
from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.cel_rules import SPEC
from purpleflea_operator.api.datadog import Datadog
from purpleflea_operator.api.pod import Image, Network, Pod, Storage
from purpleflea_operator.api.types import DataKey, DnsName


class SecretKeyRef(SpecModel):
    """One key of a Secret in the namespace of the agent."""

    name: DnsName
    """Name of the Secret."""
    key: DataKey = "api-key"
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
    sends no order, resolves those on their way, closes positions where flattenOnStop says so, and ends the pods when
    all are at rest or the grace period is over; Active starts them again. The annotation purpleflea.com/reason on the
    resource says why."""


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

    model_config = {"json_schema_extra": {"x-kubernetes-validations": [*SPEC]}}

    def settings(self) -> settings.Settings:
        """The part of the spec that the agent reads."""
        picked: dict[str, Any] = self.model_dump(
            include={"strategy", "markets", "api", "trading", "risk", "faucet"}
        )
        return settings.Settings.model_validate(picked)
