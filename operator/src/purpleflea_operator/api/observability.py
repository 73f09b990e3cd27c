"""PurpleFleaObservability v1alpha1: the spec.

What Datadog should hold about a fleet, with which keys, and how strictly. The strings under the fields become the
documentation of the CRD (`kubectl explain pfo.spec`); what the objects look like is decided in observability.
"""

from typing import Annotated, Literal

from pydantic import Field

from purpleflea_contract.quantities import Duration
from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.thresholds import Objective, Thresholds
from purpleflea_operator.api.types import DnsName, rule

SecretKey = Annotated[str, Field(pattern="^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)]
LowerTagValue = Annotated[
    str, Field(pattern="^[a-z]([a-z0-9_./-]*[a-z0-9])?$", min_length=1, max_length=63)
]
HttpUrl = Annotated[str, Field(pattern="^https?://[^/?# @]+(/[^?# @]*)?$", max_length=253)]
Uid = Annotated[str, Field(pattern="^[-a-zA-Z0-9]+$", min_length=1, max_length=63)]
Target = Annotated[
    str,
    Field(
        pattern="^((slack|pagerduty|webhook|oncall|incident):[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?|email:[^@ ]+@[^@ ]+)$",
        max_length=253,
    ),
]
Targets = Annotated[tuple[Target, ...], Field(max_length=8)]
IndexName = Annotated[str, Field(pattern="^[a-z][a-z0-9-]*$", min_length=1, max_length=63)]


class KeysSecretRef(SpecModel):
    """The Secret with the keys for Datadog's API, in the namespace of the resource."""

    name: DnsName
    """Name of the Secret. The operator reads it by its name only; the chart value observability.secrets grants it."""
    api_key: SecretKey = "api-key"
    """Key in the Secret whose value is the API key."""
    app_key: SecretKey = "app-key"
    """Key in the Secret whose value is the application key. Log monitors need one without scopes."""


class Notifications(SpecModel):
    """Who is told. A target is slack:channel, slack:account/channel, pagerduty:service, webhook:name, oncall:team,
    incident:handle or email:address."""

    paging: Targets = ("slack:trading-alerts", "pagerduty:trading")
    """Who is told of what loses money now (at most 8)."""
    trading: Targets = ("slack:trading-alerts",)
    """Who is told of the rest of trading, and of warnings (at most 8)."""
    infrastructure: Targets = ("slack:infra-alerts",)
    """Who is told of errors and of lost telemetry (at most 8)."""


class Features(SpecModel):
    """What can be left out. Monitors, SLO, dashboard and log pipeline are always there."""

    metrics: bool = True
    """Whether percentiles are switched on and tags restricted, for every metric of the agents."""
    scanner: bool = True
    """Whether the Sensitive Data Scanner masks API keys and wallet addresses in the agents' logs."""
    notebook: bool = True
    """Whether there is a notebook with the weekly report."""
    anomalies: bool = False
    """Whether there are anomaly monitors of profit and order latency."""
    log_index: bool = False
    """Whether the agents' logs have an index of their own; it is put before all others."""
    deployments: bool = True
    """Whether each version that all agents of the service run is marked: one DORA deployment and one event."""


class LogIndex(SpecModel):
    """The log index, with features.logIndex."""

    name: IndexName = "purpleflea-agents"
    """Name of the index. Datadog cannot rename one: another name is another index."""
    retention_days: Annotated[int, Field(ge=1, le=360)] = 15
    """Days for which lines are kept (1 to 360); your contract with Datadog decides which are possible."""
    daily_limit: Annotated[int, Field(ge=1, le=1_000_000_000)] = 5_000_000
    """Lines a day after which the index takes no more."""


class ObservabilitySpec(SpecModel):
    """Monitors, SLO, dashboard, log pipeline and the rest, kept in sync with one Datadog organisation. Their number
    does not depend on the number of agents."""

    keys_secret_ref: KeysSecretRef
    """The Secret with the keys for Datadog's API."""
    site: Literal[
        "datadoghq.com",
        "us3.datadoghq.com",
        "us5.datadoghq.com",
        "datadoghq.eu",
        "ap1.datadoghq.com",
        "ap2.datadoghq.com",
        "ddog-gov.com",
    ] = "datadoghq.com"
    """Datadog site of the organisation. It cannot be changed: what was made there would be left behind."""
    url: HttpUrl | None = None
    """Base URL of the API in place of the site's, for a proxy or a stand-in. The chart value observability.urls must
    allow it, as keys are sent to it. It must be https, see allowInsecureUrl, and cannot be changed."""
    allow_insecure_url: bool = False
    """Whether url may be http. Even then only for loopback and for Services of this cluster
    (http://name.namespace.svc): keys are sent to it."""
    mode: Literal["Manage", "Plan"] = "Manage"
    """Manage keeps Datadog in sync. Plan writes nothing to Datadog and shows in the status what would change."""
    drift_policy: Literal["Revert", "Keep"] = "Revert"
    """What happens to objects that were edited by hand in Datadog: Revert restores them, Keep leaves them until the
    spec changes what they should be. Both report it. What was deleted by hand is made again either way."""
    deletion_policy: Literal["Delete", "Retain"] = "Delete"
    """What happens in Datadog when this resource is deleted: Delete removes exactly what it made, Retain nothing."""
    resync: Duration = "10m"
    """Longest time until an edit in Datadog is seen, such as 10m (10s to 24h). A look costs at most 12 reads."""
    adopt_from: Annotated[tuple[Uid, ...], Field(max_length=4)] = ()
    """Uids of former PurpleFleaObservability resources whose objects, retained in Datadog, this one takes over."""
    env: LowerTagValue = "production"
    """Unified service tag env of the agents that are watched."""
    service: LowerTagValue = "purpleflea-trading-agent"
    """Unified service tag service of the agents that are watched."""
    team: LowerTagValue = "trading"
    """Tag team of every object."""
    currency: LowerTagValue = "usdc"
    """Currency of the balance that pays for trades, as a tag value."""
    runbooks_url: HttpUrl = (
        "https://github.com/purpleflea/purpleflea-operator/blob/main/docs/runbooks"
    )
    """Where the runbooks are; the name of a monitor and .md are added."""
    renotify_minutes: Annotated[int, Field(ge=0, le=1440)] = 60
    """Minutes after which an alert on drawdown is repeated (0 to 1440; 0 for never)."""
    notifications: Notifications = Notifications()
    """Who is told."""
    features: Features = Features()
    """What can be left out."""
    thresholds: Thresholds = Thresholds()
    """When monitors fire and recover."""
    objective: Objective = Objective()
    """The service level objective."""
    log_index: LogIndex = LogIndex()
    """The log index, with features.logIndex."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                rule(
                    "!has(self.url) || self.url.startsWith('https://') || (self.allowInsecureUrl && "
                    "self.url.matches('^http://(localhost|127[.]0[.]0[.]1|[a-z0-9-]+([.][a-z0-9-]+)?[.]svc"
                    "([.]cluster[.]local)?)(:[0-9]+)?(/.*)?$'))",
                    "url must be https; with allowInsecureUrl also http, for loopback or a Service",
                ),
                rule(
                    "self.site == oldSelf.site && has(self.url) == has(oldSelf.url) && "
                    "(!has(self.url) || self.url == oldSelf.url)",
                    "site and url cannot be changed: what was made there would be left behind. Delete the resource and "
                    "make it anew; with deletionPolicy Retain and adoptFrom the objects stay",
                ),
                rule(
                    "duration(self.resync) >= duration('10s') && duration(self.resync) <= duration('24h')",
                    "resync must lie between 10s and 24h",
                ),
            ]
        }
    }
