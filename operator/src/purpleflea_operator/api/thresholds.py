"""PurpleFleaObservability v1alpha1: spec.thresholds and spec.objective, when monitors fire and recover.

The defaults are those of observability.parameters (a test compares them); the order of the levels is checked by the
API server already, so that a mistake never reaches Datadog.
"""

from typing import Annotated, Literal

from pydantic import ConfigDict, Field

from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.types import rule

Window = Annotated[str, Field(pattern="^[1-9][0-9]{0,2}[mh]$", max_length=4)]
Level = Annotated[float, Field(ge=0, le=1_000_000_000)]
Percent = Annotated[float, Field(ge=0, le=100)]

ABOVE: ConfigDict = {
    "json_schema_extra": {
        "x-kubernetes-validations": [
            rule(
                "self.critical > self.criticalRecovery && self.criticalRecovery >= self.warning"
                " && self.warning > self.warningRecovery",
                "levels must fall: critical > criticalRecovery >= warning > warningRecovery",
            )
        ]
    }
}
BELOW: ConfigDict = {
    "json_schema_extra": {
        "x-kubernetes-validations": [
            rule(
                "self.critical < self.criticalRecovery && self.criticalRecovery <= self.warning"
                " && self.warning < self.warningRecovery",
                "levels must rise: critical < criticalRecovery <= warning < warningRecovery",
            )
        ]
    }
}


class Drawdown(SpecModel):
    """Fall of an agent's equity from its peak, in percent."""

    critical: Percent = 15
    """Percent above which the alert fires (0 to 100)."""
    critical_recovery: Percent = 8
    """Percent below which the alert recovers (0 to 100)."""
    warning: Percent = 8
    """Percent above which it warns (0 to 100)."""
    warning_recovery: Percent = 6
    """Percent below which the warning recovers (0 to 100)."""
    window: Window = "5m"
    """Evaluation window, such as 5m or 1h."""

    model_config = ABOVE


class Balance(SpecModel):
    """Balance of the wallet that pays for trades, in units of spec.currency."""

    critical: Level = 50
    """Balance below which the alert fires."""
    critical_recovery: Level = 60
    """Balance above which the alert recovers."""
    warning: Level = 200
    """Balance below which it warns."""
    warning_recovery: Level = 220
    """Balance above which the warning recovers."""
    window: Window = "5m"
    """Evaluation window, such as 5m or 1h."""

    model_config = BELOW


class ErrorRate(SpecModel):
    """Share of an agent's API calls that fail, in percent."""

    critical: Percent = 5
    """Percent above which the alert fires (0 to 100)."""
    critical_recovery: Percent = 4
    """Percent below which the alert recovers (0 to 100)."""
    warning: Percent = 2
    """Percent above which it warns (0 to 100)."""
    warning_recovery: Percent = 1
    """Percent below which the warning recovers (0 to 100)."""
    window: Window = "5m"
    """Evaluation window, such as 5m or 1h."""

    model_config = ABOVE


class OrderLatency(SpecModel):
    """95th percentile of an agent's order latency, in milliseconds."""

    critical: Level = 1000
    """Milliseconds above which the alert fires."""
    critical_recovery: Level = 900
    """Milliseconds below which the alert recovers."""
    warning: Level = 500
    """Milliseconds above which it warns."""
    warning_recovery: Level = 450
    """Milliseconds below which the warning recovers."""
    window: Window = "5m"
    """Evaluation window, such as 5m or 1h."""

    model_config = ABOVE


class OrderSpan(SpecModel):
    """95th percentile of the order span in APM over all agents, in seconds."""

    critical: Level = 1
    """Seconds above which the alert fires."""
    critical_recovery: Level = 0.9
    """Seconds below which the alert recovers."""
    warning: Level = 0.5
    """Seconds above which it warns."""
    warning_recovery: Level = 0.45
    """Seconds below which the warning recovers."""
    window: Window = "5m"
    """Evaluation window, such as 5m or 1h."""

    model_config = ABOVE


class EscrowFailures(SpecModel):
    """Failed escrow transactions in an agent's logs. Log monitors take no recovery levels."""

    critical: Level = 5
    """Failures within the window above which the alert fires."""
    warning: Level = 2
    """Failures within the window above which it warns."""
    window: Window = "10m"
    """Evaluation window, such as 10m or 1h."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                rule("self.critical > self.warning", "levels must fall: critical > warning")
            ]
        }
    }


class Heartbeat(SpecModel):
    """Completed trading intervals of an agent."""

    critical: Level = 1
    """Intervals within the window below which the alert fires."""
    window: Window = "5m"
    """Evaluation window, such as 5m or 1h; longer than the agents' trading interval."""
    no_data_minutes: Annotated[int, Field(ge=2, le=1440)] = 10
    """Minutes of silence after which the alert fires as well (2 to 1440)."""


class DroppedTelemetry(SpecModel):
    """Telemetry packets that an agent could not hand over."""

    critical: Level = 100
    """Packets within the window above which the alert fires."""
    critical_recovery: Level = 50
    """Packets within the window below which the alert recovers."""
    warning: Level = 10
    """Packets within the window above which it warns."""
    warning_recovery: Level = 5
    """Packets within the window below which the warning recovers."""
    window: Window = "10m"
    """Evaluation window, such as 10m or 1h."""

    model_config = ABOVE


class Thresholds(SpecModel):
    """When monitors fire and recover. The defaults are those of the published integration."""

    drawdown: Drawdown = Drawdown()
    """Fall of an agent's equity from its peak, in percent."""
    balance: Balance = Balance()
    """Balance of the wallet that pays for trades, in units of spec.currency."""
    error_rate: ErrorRate = ErrorRate()
    """Share of an agent's API calls that fail, in percent."""
    order_latency: OrderLatency = OrderLatency()
    """95th percentile of an agent's order latency, in milliseconds."""
    order_span: OrderSpan = OrderSpan()
    """95th percentile of the order span in APM over all agents, in seconds."""
    escrow_failures: EscrowFailures = EscrowFailures()
    """Failed escrow transactions in an agent's logs."""
    heartbeat: Heartbeat = Heartbeat()
    """Completed trading intervals of an agent."""
    dropped_telemetry: DroppedTelemetry = DroppedTelemetry()
    """Telemetry packets that an agent could not hand over."""


class FastBurn(SpecModel):
    """An error budget that burns so fast that somebody has to be woken."""

    rate: Annotated[float, Field(ge=1, le=1000)] = 14.4
    """How many times as fast as it lasts the budget burns (1 to 1000; at most 100 / (100 - target))."""
    long_window: Window = "1h"
    """Long window, over which the rate has to be exceeded."""
    short_window: Window = "5m"
    """Short window, over which it has to be exceeded as well."""


class SlowBurn(SpecModel):
    """An error budget that burns too fast to last."""

    rate: Annotated[float, Field(ge=1, le=1000)] = 6
    """How many times as fast as it lasts the budget burns (1 to 1000; at most 100 / (100 - target))."""
    long_window: Window = "6h"
    """Long window, over which the rate has to be exceeded."""
    short_window: Window = "30m"
    """Short window, over which it has to be exceeded as well."""


class Objective(SpecModel):
    """The service level objective: share of successful API calls of all agents."""

    target: Annotated[float, Field(ge=50, le=99.999)] = 99
    """Percent of the calls that have to succeed (50 to 99.999)."""
    warning: Annotated[float, Field(ge=50, le=100)] = 99.5
    """Percent below which it warns (above target, to 100)."""
    timeframe: Literal["7d", "30d", "90d"] = "30d"
    """Over which time: 7d, 30d or 90d."""
    fast_burn: FastBurn = FastBurn()
    """An error budget that burns so fast that somebody has to be woken."""
    slow_burn: SlowBurn = SlowBurn()
    """An error budget that burns too fast to last."""

    model_config = {
        "json_schema_extra": {
            "x-kubernetes-validations": [
                rule("self.warning > self.target", "warning must lie above target")
            ]
        }
    }
