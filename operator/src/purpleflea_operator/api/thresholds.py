"""PurpleFleaObservability v1alpha1: spec.thresholds.

This module is the only source of the thresholds: their names, types, bounds, defaults and descriptions. The CRD, the
Terraform variables and the defaults of the exported JSON are derived from it. The API server checks the sequence of
the levels, so a mistake is refused before it reaches Datadog. This module does not define queries or messages.
"""

from collections.abc import Iterable
from itertools import pairwise
from operator import gt, lt
from typing import Annotated, ClassVar, Self

from pydantic import Field, JsonValue, model_validator
from pydantic.alias_generators import to_camel

from purpleflea_contract.quantities import decimal_text
from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.types import rule
from purpleflea_operator.api.windows import LOG_WINDOW, Window, WindowedModel, WindowLimits

Level = Annotated[float, Field(ge=0, le=1_000_000_000)]
Percent = Annotated[float, Field(ge=0, le=100)]

LEAST_LEVEL = 1e-9
"""Least level other than 0. A query contains the level without an exponent, so a smaller one would need many digits."""
MOST_PERCENT = 100
COMPARISONS = {">": gt, "<": lt}
LEVELS = ("critical", "critical_recovery", "warning", "warning_recovery")
"""Levels of a monitor, in the sequence in which a value passes them when it returns to normal."""


def level_comparisons(names: Iterable[str], *, above: bool) -> list[tuple[str, str, str]]:
    """Return the comparisons (level, sign, next level) that must hold between adjacent levels.

    Only critical_recovery and warning may be equal. `above` is True if the monitor fires above its levels.
    """
    sign = ">" if above else "<"
    equal_allowed = ("critical_recovery", "warning")
    return [
        (level, f"{sign}=" if (level, following) == equal_allowed else sign, following)
        for level, following in pairwise(names)
    ]


class MonitorThresholds(WindowedModel):
    """Base of the thresholds of one monitor. A subclass has `critical`, `window` and, as needed, the other levels.

    The CEL rules about the levels follow from the fields and the class variables of the subclass.
    """

    fires_above: ClassVar[bool] = True
    """True if the monitor fires above its levels, False if it fires below them."""
    most: ClassVar[float | None] = None
    """Value that the metric cannot exceed, None if there is no such value. No metric here is below 0."""

    @classmethod
    def level_names(cls) -> tuple[str, ...]:
        """Return the levels that the subclass has, in the sequence of LEVELS."""
        return tuple(name for name in LEVELS if name in cls.model_fields)

    @classmethod
    def number_names(cls) -> tuple[str, ...]:
        """Return the fields that a query contains as numbers: the levels, and other bounds such as a minimum."""
        return tuple(name for name in cls.model_fields if name not in cls.window_limits)

    def levels(self) -> dict[str, float]:
        """Return the levels by name, in the sequence of LEVELS."""
        return {name: getattr(self, name) for name in self.level_names()}

    @classmethod
    def bound(cls) -> tuple[str, float] | None:
        """Return the comparison that `critical` must pass, because no value is beyond the bound; None without one."""
        if not cls.fires_above:
            return ">", 0
        return None if cls.most is None else ("<", cls.most)

    @model_validator(mode="after")
    def _can_alert(self) -> Self:
        """Refuse a level at which the monitor never alerts. The API server refuses it, but its CRD may be older."""
        bound, critical = self.bound(), self.levels()["critical"]
        if bound is not None and not COMPARISONS[bound[0]](critical, bound[1]):
            raise ValueError(_never_alerts(*bound))
        return self

    @classmethod
    def cel_rules(cls) -> list[JsonValue]:
        """Return the rules for the size and the sequence of the levels, and for the window."""
        least = decimal_text(LEAST_LEVEL)
        numbers = ", ".join(f"self.{to_camel(name)}" for name in cls.number_names())
        rules: list[JsonValue] = [
            rule(
                f"[{numbers}].all(level, level == 0.0 || level >= {least})",
                f"a level must be 0, or at least {least}",
            )
        ]
        if (bound := cls.bound()) is not None:
            expression = f"self.critical {bound[0]} {float(bound[1])}"
            rules.append(rule(expression, _never_alerts(*bound)))
        return [
            *rules,
            *super().cel_rules(),
            *cls._sequence_rules(),
        ]

    @classmethod
    def _sequence_rules(cls) -> list[JsonValue]:
        comparisons = [
            (to_camel(level), sign, to_camel(following))
            for level, sign, following in level_comparisons(
                cls.level_names(), above=cls.fires_above
            )
        ]
        if not comparisons:
            return []
        expression = " && ".join(
            f"self.{level} {sign} self.{following}" for level, sign, following in comparisons
        )
        chain = comparisons[0][0] + "".join(f" {sign} {level}" for _, sign, level in comparisons)
        direction = "fall" if cls.fires_above else "rise"
        return [rule(expression, f"levels must {direction}: {chain}")]


def _never_alerts(sign: str, limit: float) -> str:
    return f"critical must be {sign} {decimal_text(limit)}, because otherwise the monitor can never alert"


class Drawdown(MonitorThresholds):
    """Fall of an agent's equity from its peak, in percent."""

    most = MOST_PERCENT

    critical: Percent = 15
    """Percent above which the monitor alerts."""
    # The published message promises a recovery at 8 percent, which needs a recovery level.
    critical_recovery: Percent = 8
    """Percent below which the alert recovers."""
    warning: Percent = 8
    """Percent above which the monitor warns."""
    warning_recovery: Percent = 6
    """Percent below which the warning recovers."""
    window: Window = "5m"
    """Evaluation window in minutes or hours, such as 5m or 1h."""


class Balance(MonitorThresholds):
    """Balance of the trading wallet, in units of the chosen currency."""

    fires_above = False

    critical: Level = 50
    """Balance below which the monitor alerts."""
    critical_recovery: Level = 60
    """Balance above which the alert recovers."""
    warning: Level = 200
    """Balance below which the monitor warns."""
    warning_recovery: Level = 220
    """Balance above which the warning recovers."""
    window: Window = "5m"
    """Evaluation window in minutes or hours, such as 5m or 1h."""


class ErrorRate(MonitorThresholds):
    """Share of an agent's API calls that fail, in percent."""

    most = MOST_PERCENT

    critical: Percent = 5
    """Percent above which the monitor alerts."""
    critical_recovery: Percent = 4
    """Percent below which the alert recovers."""
    warning: Percent = 2
    """Percent above which the monitor warns."""
    warning_recovery: Percent = 1
    """Percent below which the warning recovers."""
    minimum_calls: Level = 10
    """Calls within the window that an agent must exceed, so that one failed call of a few is not an alert."""
    window: Window = "5m"
    """Evaluation window in minutes or hours, such as 5m or 1h."""


class OrderLatency(MonitorThresholds):
    """95th percentile of an agent's order latency, in milliseconds."""

    critical: Level = 1000
    """Milliseconds above which the monitor alerts."""
    critical_recovery: Level = 900
    """Milliseconds below which the alert recovers."""
    warning: Level = 500
    """Milliseconds above which the monitor warns."""
    warning_recovery: Level = 450
    """Milliseconds below which the warning recovers."""
    window: Window = "5m"
    """Evaluation window in minutes or hours, such as 5m or 1h."""


class OrderSpan(MonitorThresholds):
    """95th percentile of the order span in APM over all agents, in seconds."""

    # Trace metrics are in seconds.
    critical: Level = 1
    """Seconds above which the monitor alerts."""
    critical_recovery: Level = 0.9
    """Seconds below which the alert recovers."""
    warning: Level = 0.5
    """Seconds above which the monitor warns."""
    warning_recovery: Level = 0.45
    """Seconds below which the warning recovers."""
    window: Window = "5m"
    """Evaluation window in minutes or hours, such as 5m or 1h."""


class EscrowFailures(MonitorThresholds):
    """Failed escrow transactions of an agent within the window. Log monitors do not support recovery levels."""

    window_limits: ClassVar[dict[str, WindowLimits]] = {"window": LOG_WINDOW}

    critical: Level = 5
    """Failures within the window above which the monitor alerts."""
    warning: Level = 2
    """Failures within the window above which the monitor warns."""
    window: Window = "10m"
    """Evaluation window in minutes or hours, such as 10m or 1h."""


class Heartbeat(MonitorThresholds):
    """Heartbeats of an agent within the window. Missing data counts as zero."""

    fires_above = False

    critical: Level = 1
    """Heartbeats within the window below which the monitor alerts."""
    window: Window = "5m"
    """Evaluation window in minutes or hours, such as 5m or 1h. An agent that waits for its next
    interval sends a heartbeat every 20 s. With less than 3m, one failed interval may alert."""


class DroppedTelemetry(MonitorThresholds):
    """Telemetry packets that an agent dropped within the window."""

    critical: Level = 100
    """Packets within the window above which the monitor alerts."""
    critical_recovery: Level = 50
    """Packets within the window below which the alert recovers."""
    warning: Level = 10
    """Packets within the window above which the monitor warns."""
    warning_recovery: Level = 5
    """Packets within the window below which the warning recovers."""
    window: Window = "10m"
    """Evaluation window in minutes or hours, such as 10m or 1h."""


class IntervalFailures(MonitorThresholds):
    """Failures of one class in the trading intervals of an agent within the window."""

    critical: Level = 10
    """Failures within the window above which the monitor alerts."""
    critical_recovery: Level = 5
    """Failures within the window below which the alert recovers."""
    warning: Level = 3
    """Failures within the window above which the monitor warns."""
    warning_recovery: Level = 1
    """Failures within the window below which the warning recovers."""
    window: Window = "10m"
    """Evaluation window in minutes or hours, such as 10m or 1h. The default levels are for trading intervals of up to
    a minute. An interval without any market is repeated after a minute, so longer ones reach them too."""


class PositionMismatch(MonitorThresholds):
    """Markets whose reported position differs from the fills of an agent during the whole window."""

    critical: Level = 0
    """Markets above which the monitor alerts."""
    window: Window = "10m"
    """Evaluation window in minutes or hours, such as 10m or 1h. Fills in flight end within it."""


class Halted(MonitorThresholds):
    """Longest time, in hours, for which an agent of the fleet has been halted."""

    critical: Level = 24
    """Hours above which the monitor alerts."""
    window: Window = "10m"
    """Evaluation window in minutes or hours, such as 10m or 1h."""


class OperatorSilent(WindowedModel):
    """Reports of the operator itself, which the node agent scrapes."""

    window: Window = "10m"
    """Time without a report after which the monitor alerts, in minutes or hours, such as 10m or 1h."""


class Thresholds(SpecModel):
    """Levels at which the monitors alert, warn and recover. The defaults are those of the published integration."""

    # The class of a field documents the field.
    drawdown: Drawdown = Drawdown()
    balance: Balance = Balance()
    error_rate: ErrorRate = ErrorRate()
    order_latency: OrderLatency = OrderLatency()
    order_span: OrderSpan = OrderSpan()
    escrow_failures: EscrowFailures = EscrowFailures()
    heartbeat: Heartbeat = Heartbeat()
    dropped_telemetry: DroppedTelemetry = DroppedTelemetry()
    interval_failures: IntervalFailures = IntervalFailures()
    position_mismatch: PositionMismatch = PositionMismatch()
    halted: Halted = Halted()
    operator_silent: OperatorSilent = OperatorSilent()
