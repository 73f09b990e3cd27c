"""What users may choose: thresholds, windows, tags, targets. The defaults are those of the published integration.

Where the published values cannot work, they are corrected, with the reason beside them. It knows nothing of Datadog's
API; the rules of the thresholds' order are the monitors' (they know in which direction each one looks).
"""

from dataclasses import dataclass, field
from enum import StrEnum

from purpleflea_operator.datadog.definitions.notification_targets import PagerDuty, Slack, Target


class Feature(StrEnum):
    """Groups of objects that can be left out."""

    METRICS = "metrics"
    SCANNER = "scanner"
    NOTEBOOK = "notebook"
    ANOMALIES = "anomalies"
    LOG_INDEX = "log_index"


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """When a monitor fires and recovers. `window` is the evaluation window, such as 5m; None leaves a level out."""

    critical: float
    warning: float | None = None
    critical_recovery: float | None = None
    warning_recovery: float | None = None
    window: str = "5m"
    no_data_minutes: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BurnRate:
    """How fast the error budget may burn: both windows have to be above `rate`."""

    rate: float
    long_window: str
    short_window: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Objective:
    """Share of successful API calls, in percent of all calls over `timeframe`."""

    target: float = 99.0
    warning: float = 99.5
    timeframe: str = "30d"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogIndex:
    """The optional log index. It goes before the organisation's `others`: a log line enters the first that takes it."""

    name: str = "purpleflea-agents"
    retention_days: int = 15
    daily_limit: int = 5_000_000
    others: tuple[str, ...] = ("main",)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifications:
    """Who is told: `paging` for what loses money now, `trading` and `infrastructure` for the rest and for warnings."""

    paging: tuple[Target, ...] = (Slack(channel="trading-alerts"), PagerDuty(service="trading"))
    trading: tuple[Target, ...] = (Slack(channel="trading-alerts"),)
    infrastructure: tuple[Target, ...] = (Slack(channel="infra-alerts"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """Everything that can be chosen. `currency` is the tag value of the balance that pays for trades."""

    env: str = "production"
    service: str = "purpleflea-trading-agent"
    team: str = "trading"
    currency: str = "usdc"
    runbooks_url: str = "https://github.com/purpleflea/purpleflea-operator/blob/main/docs/runbooks"
    notifications: Notifications = Notifications()
    features: frozenset[Feature] = frozenset({Feature.METRICS, Feature.SCANNER, Feature.NOTEBOOK})
    renotify_minutes: int = 60
    # The recovery at 8 percent that the published message promises needs a recovery threshold of its own.
    drawdown: Rule = Rule(critical=15, warning=8, critical_recovery=8, warning_recovery=6)
    balance: Rule = Rule(critical=50, warning=200, critical_recovery=60, warning_recovery=220)
    error_rate: Rule = Rule(critical=5, warning=2, critical_recovery=4, warning_recovery=1)
    order_latency: Rule = Rule(
        critical=1000, warning=500, critical_recovery=900, warning_recovery=450
    )
    # Trace metrics are in seconds.
    order_span: Rule = Rule(critical=1, warning=0.5, critical_recovery=0.9, warning_recovery=0.45)
    # Log monitors take no recovery thresholds.
    escrow_failures: Rule = Rule(critical=5, warning=2, window="10m")
    heartbeat: Rule = Rule(critical=1, no_data_minutes=10)
    dropped_telemetry: Rule = Rule(
        critical=100, warning=10, critical_recovery=50, warning_recovery=5, window="10m"
    )
    objective: Objective = Objective()
    # 2 percent of a 30 day budget in one hour, 5 percent in six.
    fast_burn: BurnRate = BurnRate(rate=14.4, long_window="1h", short_window="5m")
    slow_burn: BurnRate = BurnRate(rate=6, long_window="6h", short_window="30m")
    log_index: LogIndex = field(default_factory=LogIndex)

    @property
    def tags(self) -> list[str]:
        """Tags of every object that takes tags."""
        return [f"team:{self.team}", f"service:{self.service}", f"env:{self.env}"]
