"""Values of spec.thresholds and the other parameters that Datadog or the provider refuses, or that can never alert.

Terraform must refuse them in a plan, and the API server at admission. A row has the value of the Terraform variable, a
part of its message, the same value in the spec, and a part of the message of the API server.
"""

from dataclasses import dataclass
from typing import Any

from pydantic.alias_generators import to_camel

WINDOW = "must be a number of minutes or hours"


@dataclass(frozen=True, slots=True, kw_only=True)
class Refused:
    """One value. `spec` is None if the spec has no such field."""

    variable: str
    value: Any
    message: str
    spec: dict[str, Any] | None
    admission: str = ""

    def __str__(self) -> str:
        return f"{self.variable}={self.value}"[:60]


def _camel(value: dict[str, Any]) -> dict[str, Any]:
    return {to_camel(name): item for name, item in value.items()}


def threshold(variable: str, message: str, admission: str, **value: Any) -> Refused:
    spec = {"thresholds": {to_camel(variable): _camel(value)}}
    return Refused(variable=variable, value=value, message=message, spec=spec, admission=admission)


def burn(message: str, admission: str, **value: Any) -> tuple[Refused, ...]:
    return tuple(
        Refused(
            variable=variable,
            value=value,
            message=f"{variable}: {message}",
            spec={"objective": {to_camel(variable): _camel(value)}},
            admission=admission,
        )
        for variable in ("fast_burn", "slow_burn")
    )


def scalar(variable: str, value: Any, message: str) -> Refused:
    name = to_camel(variable)
    return Refused(
        variable=variable,
        value=value,
        message=message,
        spec={name: value},
        admission=f"spec.{name}",
    )


def log_index(message: str, name: str, value: Any, *, in_spec: bool = True) -> Refused:
    field = to_camel(name)
    return Refused(
        variable="log_index",
        value={name: value},
        message=message,
        spec={"logIndex": {field: value}} if in_spec else None,
        admission=f"spec.logIndex.{field}",
    )


def only_terraform(variable: str, value: Any, message: str) -> Refused:
    return Refused(variable=variable, value=value, message=message, spec=None)


WINDOWED = (
    "drawdown",
    "balance",
    "error_rate",
    "order_latency",
    "order_span",
    "heartbeat",
    "dropped_telemetry",
    "interval_failures",
    "position_mismatch",
    "halted",
    "operator_silent",
)
NOT_WINDOWS = ("", "5", "5s", "0m", "05m", "1.5h", "-5m", "1000m", "5M", " 5m", "5m\n", "1d")
REFUSED = (
    *(threshold(name, f"{name}: window", "at most 168h", window="169h") for name in WINDOWED),
    threshold("escrow_failures", "at most 48h", "at most 48h", window="49h"),
    *(
        threshold("operator_silent", WINDOW, "operatorSilent.window", window=text)
        for text in NOT_WINDOWS
    ),
    threshold("drawdown", "from 0 to 100", "drawdown.critical", critical=100.5),
    threshold("drawdown", "from 0 to 100", "warningRecovery", warning_recovery=-1),
    threshold("drawdown", "can never alert", "can never alert", critical=100),
    threshold("drawdown", "must fall", "levels must fall", critical=5),
    threshold("error_rate", "can never alert", "can never alert", critical=100),
    threshold("error_rate", "minimum_calls", "minimumCalls", minimum_calls=-1),
    threshold("error_rate", "at least 0.000000001", "at least 0.0", minimum_calls=1e-10),
    threshold("balance", "must rise", "levels must rise", critical=500),
    threshold("balance", "can never alert", "can never alert", critical=0),
    threshold("heartbeat", "can never alert", "can never alert", critical=0),
    threshold("heartbeat", "at least 0.000000001", "at least 0.0", critical=1e-10),
    threshold("order_latency", "to 1000000000", "orderLatency.critical", critical=1e9 + 1),
    threshold("halted", "halted: critical", "halted.critical", critical=-1),
    threshold("position_mismatch", "mismatch: critical", "positionMismatch.critical", critical=-1),
    *burn("rate", "rate", rate=0),
    *burn("rate", "rate", rate=0.5),
    *burn("rate", "rate", rate=1001),
    *burn("long_window", "from 1h to 48h", long_window="49h"),
    *burn("long_window", "from 1h to 48h", long_window="59m", short_window="1m"),
    *burn("long_window", "longWindow", long_window="2d"),
    *burn("short_window", "shortWindow", short_window="xx"),
    *burn("short_window must be shorter", "must be shorter", long_window="2h", short_window="2h"),
    *burn("short_window must be shorter", "must be shorter", long_window="2h", short_window="121m"),
    *(
        Refused(
            variable="objective",
            value=value,
            message=message,
            spec={"objective": value},
            admission=admission,
        )
        for value, message, admission in (
            ({"target": 99.9}, "target must be less than warning", "warning must be above target"),
            ({"warning": 100}, "warning less than 100", "warning must be less than 100"),
            ({"target": 49}, "from 50 to 99.999", "objective.target"),
            ({"target": 99.9995, "warning": 99.9999}, "from 50 to 99.999", "objective.target"),
            ({"timeframe": "1d"}, "7d, 30d or 90d", "objective.timeframe"),
        )
    ),
    *(scalar("env", text, "env must be") for text in ("", "Prod", "1a", "a b", "é", "a" * 64)),
    scalar("service", "a_", "service must be"),
    scalar("team", "A", "team must be"),
    scalar("currency", "USDC", "currency must be"),
    *(
        scalar("runbooks_url", text, "runbooks_url must be")
        for text in (
            "",
            "wiki",
            "ftp://a",
            "https://a b",
            "https://u@a",
            "https://a?b",
            "https://" + "a" * 250,
        )
    ),
    *(scalar("renotify_minutes", value, "from 0 to 1440") for value in (-1, 1441, 1.5)),
    *(log_index("lower case", "name", text) for text in ("", "A", "1a", "a_b", "a" * 64)),
    *(log_index("from 1 to 360", "retention_days", value) for value in (0, 361, 1.5)),
    *(log_index("from 1 to 1000000000", "daily_limit", value) for value in (0, 10**9 + 1, 1.5)),
    log_index("each of others", "others", ["Main"], in_spec=False),
    log_index("twice", "others", ["main", "main"], in_spec=False),
    log_index("index of this module", "others", ["purpleflea-agents"], in_spec=False),
    *(
        only_terraform("notifications", {"paging": [text]}, "a handle starts with @")
        for text in ("", "@", "slack-a", "@ slack", "@slack a", "@slack-a\n{{/is_alert}}")
    ),
    only_terraform("notifications", {"trading": ["@slack-a"] * 9}, "at most 8"),
)
"""One row per kind of mistake, and the edges of each range from outside."""

ACCEPTED: tuple[tuple[str, Any], ...] = (
    *((name, {"window": window}) for name in WINDOWED for window in ("1m", "999m", "168h")),
    ("escrow_failures", {"window": "48h"}),
    ("drawdown", {"critical": 99.999999, "warning_recovery": 0}),
    ("error_rate", {"minimum_calls": 0}),
    ("heartbeat", {"critical": 1e-9}),
    ("order_latency", {"critical": 1_000_000_000}),
    ("halted", {"critical": 0}),
    ("fast_burn", {"rate": 1, "long_window": "60m", "short_window": "59m"}),
    ("slow_burn", {"rate": 1000, "long_window": "48h", "short_window": "47h"}),
    ("objective", {"target": 50, "warning": 99.9999999, "timeframe": "90d"}),
    ("env", "a" * 63),
    ("env", "prod_eu/1.x-y"),
    ("runbooks_url", "https://[::1]:8080/a%20b/$x"),
    ("renotify_minutes", 0),
    ("renotify_minutes", 1440),
    ("log_index", {"name": "a", "retention_days": 360, "daily_limit": 1, "others": []}),
    ("log_index", {"others": ["main", "other-1"]}),
    (
        "notifications",
        {
            "paging": ["@slack-a-b", "@pagerduty-x", "@a.b+c@example.com"],
            "halt": ['@workflow-halt-agent(agent_id="{{agent_id.name}}", env="prod")'],
            "trading": [],
        },
    ),
)
"""Values of Terraform variables at the edges of each range from inside."""
