"""PurpleFleaObservability v1alpha1: the spec.

The spec selects the Datadog objects of a fleet, the keys, and the policies for edits and deletion. The strings under
the fields become the documentation of the CRD (`kubectl explain pfo.spec`), with range and default added. Parameters
of the objects have their names and defaults only here and in thresholds. The objects are in `datadog.definitions`.
"""

from typing import Annotated, Literal

from pydantic import Field, JsonValue

from purpleflea_contract.links import RUNBOOKS_URL
from purpleflea_contract.quantities import Duration
from purpleflea_operator.api.documented import DocumentedModel
from purpleflea_operator.api.endpoint_urls import IN_CLUSTER_CEL
from purpleflea_operator.api.objective import Objective
from purpleflea_operator.api.thresholds import Thresholds
from purpleflea_operator.api.types import DnsName, rule

SecretKey = Annotated[str, Field(pattern="^[-._a-zA-Z0-9]+$", min_length=1, max_length=253)]
LowerTagValue = Annotated[
    str, Field(pattern="^[a-z]([a-z0-9_./-]*[a-z0-9])?$", min_length=1, max_length=63)
]
_URL = r"[A-Za-z0-9._~%!$&'()*+,;=:\[\]-]"
"""Characters of a URL, without those of a query and of user information. Other characters must be percent-encoded."""
HttpUrl = Annotated[str, Field(pattern=f"^https?://{_URL}+(/({_URL}|/)*)?$", max_length=253)]
Uid = Annotated[str, Field(pattern="^[-a-zA-Z0-9]+$", min_length=1, max_length=63)]
Target = Annotated[
    str,
    Field(
        pattern="^((slack|pagerduty|webhook|oncall|incident|workflow):[A-Za-z0-9._-]+(/[A-Za-z0-9._-]+)?"
        "|email:[A-Za-z0-9.!#$%&'*+/=?^_|~-]+@[A-Za-z0-9.-]+)$",
        max_length=253,
    ),
]
Targets = Annotated[tuple[Target, ...], Field(max_length=8)]
IndexName = Annotated[str, Field(pattern="^[a-z][a-z0-9-]*$", min_length=1, max_length=63)]


class KeysSecretRef(DocumentedModel):
    """Secret with the keys of the Datadog API, in the namespace of the resource."""

    name: DnsName
    """Name of the Secret. The operator reads only this Secret, and only if the chart value observability.secrets grants
    it."""
    api_key: SecretKey = "api-key"
    """Key in the Secret whose value is the API key."""
    app_key: SecretKey = "app-key"
    """Key in the Secret whose value is the application key. Log monitors need an application key without scopes."""


class Notifications(DocumentedModel):
    """Recipients of the notifications, by kind of monitor."""

    paging: Targets = ("slack:trading-alerts", "pagerduty:trading")
    """Recipients of alerts that need action at once because money is being lost (at most 8). A target is slack:channel,
    slack:account/channel, pagerduty:service, webhook:name, oncall:team, incident:handle or email:address."""
    trading: Targets = ("slack:trading-alerts",)
    """Recipients of other alerts about trading, and of the warnings of paging monitors (at most 8). Targets as in
    paging."""
    infrastructure: Targets = ("slack:infra-alerts",)
    """Recipients of alerts about API errors and lost telemetry (at most 8). Targets as in paging."""
    halt: Targets = ()
    """Datadog Workflows that an alert on drawdown or on positions starts, such as workflow:halt-agent (at most 8). The
    workflow receives agent_id. docs/monitor-halts.md has a workflow that halts the agent."""


class Features(DocumentedModel):
    """Optional groups of objects. Monitors, SLO, dashboard and log pipeline are always created."""

    metrics: bool = True
    """Configure percentiles and restrict the tags of each metric of the agents."""
    scanner: bool = True
    """Mask API keys and wallet addresses in the agents' logs with the Sensitive Data Scanner."""
    notebook: bool = True
    """Create a notebook with the weekly report."""
    anomalies: bool = False
    """Create anomaly monitors for profit and order latency."""
    log_index: bool = False
    """Create a separate log index for the agents' logs. It is placed before all other indexes."""
    downtimes: bool = True
    """Mute the heartbeat monitor for agents that the operator stops, deletes or replaces. The application key needs the
    scope monitors_downtime."""
    deployments: bool = True
    """Report each version that all agents of the service run, as one DORA deployment and one event."""


class LogIndex(DocumentedModel):
    """Settings of the log index, which is created only if its feature is enabled."""

    name: IndexName = "purpleflea-agents"
    """Name of the index. Datadog cannot rename an index, so a new name creates a new index."""
    retention_days: Annotated[int, Field(ge=1, le=360)] = 15
    """Days for which log lines are kept. Your contract with Datadog limits the possible values."""
    daily_limit: Annotated[int, Field(ge=1, le=1_000_000_000)] = 5_000_000
    """Log lines per day after which the index accepts no more lines."""


class ObservabilitySpec(DocumentedModel):
    """Monitors, SLO, dashboard, log pipeline and other objects that are kept in sync with one Datadog organization. The
    number of objects does not depend on the number of agents."""

    keys_secret_ref: KeysSecretRef
    """Secret with the keys of the Datadog API."""
    site: Literal[
        "datadoghq.com",
        "us3.datadoghq.com",
        "us5.datadoghq.com",
        "datadoghq.eu",
        "ap1.datadoghq.com",
        "ap2.datadoghq.com",
        "uk1.datadoghq.com",
        "ddog-gov.com",
        "us2.ddog-gov.com",
    ] = "datadoghq.com"
    """Datadog site of the organization. It cannot be changed, because objects at the former site would be left
    behind."""
    url: HttpUrl | None = None
    """Base URL of the API, for a proxy or a stand-in. If it is not set, the URL follows from site. The chart value
    observability.urls must allow it, because keys are sent to it. It must be https (see allowInsecureUrl), and it
    cannot be changed."""
    allow_insecure_url: bool = False
    """Allow an http url, but only for loopback (also http://[::1]) and for Services of this cluster
    (http://name.namespace.svc), because keys are sent to it."""
    mode: Literal["Manage", "Plan"] = "Manage"
    """Manage keeps Datadog in sync. Plan writes nothing to Datadog and shows in the status which objects would
    change."""
    drift_policy: Literal["Revert", "Keep"] = "Revert"
    """Policy for objects that were edited by hand in Datadog. Revert restores them. Keep leaves them until the spec
    changes them. Both report the edit. Objects that were deleted by hand are always recreated."""
    deletion_policy: Literal["Delete", "Retain"] = "Delete"
    """Policy for the objects in Datadog when this resource is deleted. Delete removes exactly the objects that this
    resource created. Retain removes none."""
    resync: Duration = "10m"
    """Longest time until an edit in Datadog is detected, such as 10m (10s to 24h). One pass costs at most 12 read
    requests."""
    adopt_from: Annotated[tuple[Uid, ...], Field(max_length=4)] = ()
    """Uids of former PurpleFleaObservability resources (at most 4). This resource takes over their objects that were
    retained in Datadog. Nothing is synchronized as long as one of them exists."""
    env: LowerTagValue = "production"
    """Unified service tag env of the observed agents, in lower case."""
    service: LowerTagValue = "purpleflea-trading-agent"
    """Unified service tag service of the observed agents, in lower case."""
    team: LowerTagValue = "trading"
    """Value of the tag team on each object, in lower case."""
    currency: LowerTagValue = "usdc"
    """Currency of the balance that pays for trades, as a tag value in lower case."""
    runbooks_url: HttpUrl = RUNBOOKS_URL
    """Base URL of the runbooks. A monitor links to this URL followed by its key and .md."""
    renotify_minutes: Annotated[int, Field(ge=0, le=1440)] = 60
    """Minutes after which an alert on drawdown is repeated. 0 means never."""
    notifications: Notifications = Notifications()
    features: Features = Features()
    thresholds: Thresholds = Thresholds()
    objective: Objective = Objective()
    log_index: LogIndex = LogIndex()

    @classmethod
    def cel_rules(cls) -> list[JsonValue]:
        """Return the rules for the URL, for the address that cannot change, and for the resync period."""
        return [
            rule(
                "!has(self.url) || self.url.startsWith('https://') || (self.allowInsecureUrl && "
                f"self.url.matches('{IN_CLUSTER_CEL}'))",
                "url must be https; with allowInsecureUrl it may also be http, for loopback or a Service",
            ),
            rule(
                "self.site == oldSelf.site && has(self.url) == has(oldSelf.url) && "
                "(!has(self.url) || self.url == oldSelf.url)",
                "site and url cannot be changed, because the objects at the former address would be left behind. "
                "Delete the resource and create it again; with deletionPolicy Retain and adoptFrom the objects stay",
            ),
            rule(
                "duration(self.resync) >= duration('10s') && duration(self.resync) <= duration('24h')",
                "resync must be between 10s and 24h",
            ),
        ]
