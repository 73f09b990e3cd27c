"""Fleet dashboard: profit, risk, latency, wallets, errors and health of the fleet, filtered by template variables.

Each query is filtered by the template variables whose tags its data has, because a filter on a missing tag would empty
the widget. The format of the widgets is in widgets.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import accumulate

from purpleflea_contract import events, facets, metrics, spans, tags
from purpleflea_contract.metrics import Metric
from purpleflea_operator.datadog.definitions.objects import Body, Definition, ObjectKind
from purpleflea_operator.datadog.definitions.parameters import Parameters
from purpleflea_operator.datadog.definitions.queries import (
    Source,
    Where,
    of_metric,
    of_span,
    series,
)
from purpleflea_operator.datadog.definitions.widgets import (
    GRID_COLUMNS,
    ConditionalFormat,
    Layout,
    distribution,
    heat_map,
    log_stream,
    metric_query,
    note_widget,
    query_value,
    timeseries,
    toplist,
    with_layout,
)

VARIABLES = ("env", "service", tags.AGENT_ID.name, tags.STRATEGY.name, tags.MARKET.name)
LOG_VARIABLES = VARIABLES[:-1]
"""The market is not a tag of log lines: it is an attribute in upper case."""
BY_AGENT = (tags.AGENT_ID,)
RUNBOOKS = {
    "Fleet P&L (USD)": "pnl-anomaly",
    "Max drawdown": "drawdown",
    "API calls that succeed": "slo-fast-burn",
    "Agents with a heartbeat": "heartbeat",
    "Order latency over time": "order-latency-p95",
    "Order execution in APM, p95 (s)": "order-span-p95",
    "Wallet balance": "wallet-balance",
    "Open positions": "position-mismatch",
    "Error rate by endpoint (%)": "api-error-rate",
    "Error rate by agent (%)": "api-error-rate",
    "Escrow transactions": "escrow-failures",
    "Telemetry dropped": "dropped-telemetry",
}
"""Runbook of the monitor on the data of a widget, by the title of the widget."""
LOGS_LINK = (
    "/logs?query=env%3A{{$env.value}}%20service%3A{{$service.value}}"
    "%20agent_id%3A{{$agent_id.value}}"
)
"""Relative, because the host depends on the site of the organization."""
REALIZED_AND_OPEN = ({tags.REALIZED: "true"}, {tags.REALIZED: "false"})


@dataclass(frozen=True, slots=True)
class Row:
    """Widgets side by side, which share the width equally."""

    height: int
    widgets: tuple[Body, ...]


def definitions(parameters: Parameters) -> tuple[Definition, ...]:
    """Return the dashboard."""
    body = {
        "title": "Purple Flea agent fleet",
        "description": "Money, risk and health of the trading agents.",
        "layout_type": "ordered",
        "reflow_type": "fixed",
        "template_variables": [_variable(name, parameters) for name in VARIABLES],
        "widgets": _laid_out(
            parameters,
            (
                Row(2, (_commands(),)),
                Row(
                    2,
                    (
                        _profit(),
                        _drawdown(parameters),
                        _success(parameters),
                        _agents_with_heartbeat(),
                    ),
                ),
                Row(4, (_profit_by_market(), _profit_by_strategy())),
                Row(4, (_latency_distribution(), _latency_over_time(), _latency_in_apm())),
                Row(4, (_balances(parameters), _positions())),
                Row(4, (_errors_by_endpoint(), _errors_by_agent())),
                Row(4, (_refusals(), _escrows(), _dropped())),
                Row(5, (_escrow_failures(),)),
            ),
        ),
    }
    return (Definition(kind=ObjectKind.DASHBOARD, key="fleet", body=body),)


def _variable(name: str, parameters: Parameters) -> Body:
    chosen = {"env": parameters.env, "service": parameters.service}.get(name, "*")
    return {"name": name, "prefix": name, "defaults": [chosen], "available_values": []}


def _laid_out(parameters: Parameters, rows: tuple[Row, ...]) -> list[Body]:
    tops = accumulate((row.height for row in rows), initial=0)
    return [
        with_layout(
            _linked(widget, parameters),
            Layout(x=column * width, y=top, width=width, height=row.height),
        )
        for row, top in zip(rows, tops, strict=False)
        for width in [GRID_COLUMNS // len(row.widgets)]
        for column, widget in enumerate(row.widgets)
    ]


def _linked(widget: Body, parameters: Parameters) -> Body:
    """Return the widget with context links: to the runbook of its monitor, and to the logs of the selected agents."""
    runbook = RUNBOOKS.get(widget.get("title", ""))
    if runbook is None:
        return widget
    links = (
        ("Runbook", f"{parameters.runbooks_url}/{runbook}.md"),
        ("Logs of the agents", LOGS_LINK),
    )
    return widget | {"custom_links": [{"label": label, "link": link} for label, link in links]}


def _commands() -> Body:
    agent = f"${tags.AGENT_ID.name}.value"
    return note_widget(
        "Select one agent in `agent_id`, then: "
        f"`kubectl describe pod {agent}`, `kubectl logs {agent}`, `kubectl get pfa,pfh`"
    )


def _scope(source: Source) -> tuple[str, ...]:
    return tuple(f"${name}" for name in VARIABLES if name in source.tags)


def _series(
    metric: Metric,
    aggregator: str,
    where: Where | None = None,
    by: tuple[tags.Tag, ...] = (),
) -> str:
    source = of_metric(metric)
    return series(source, aggregator, _scope(source), where=where, by=by)


def _realized_and_open(by: tuple[tags.Tag, ...] = (), aggregator: str = "") -> list[Body]:
    names = ("realized", "open")
    return [
        metric_query(name, _series(metrics.PNL, "sum", where, by), aggregator)
        for name, where in zip(names, REALIZED_AND_OPEN, strict=True)
    ]


def _failed_and_total(by: tuple[tags.Tag, ...] = (), aggregator: str = "") -> list[Body]:
    failed = _series(metrics.API_REQUESTS, "sum", {tags.SUCCESS: "false"}, by)
    total = _series(metrics.API_REQUESTS, "sum", None, by)
    return [metric_query("failed", failed, aggregator), metric_query("made", total, aggregator)]


def conditional_formats(levels: Mapping[str, float]) -> tuple[ConditionalFormat, ...]:
    """Return the colors of a widget whose monitor fires above `levels`."""
    palettes = {"critical": "white_on_red", "warning": "white_on_yellow"}
    return tuple(
        ConditionalFormat(comparator=">", value=levels[name], palette=palette)
        for name, palette in palettes.items()
        if name in levels
    )


def _profit() -> Body:
    formats = (
        ConditionalFormat(comparator="<", value=0, palette="white_on_red"),
        ConditionalFormat(comparator=">=", value=0, palette="white_on_green"),
    )
    queries = _realized_and_open(aggregator="last")
    return query_value("Fleet P&L (USD)", queries, "realized + open", unit="USD", formats=formats)


def _drawdown(parameters: Parameters) -> Body:
    queries = [metric_query("drawdown", _series(metrics.DRAWDOWN, "max"), "max")]
    formats = conditional_formats(parameters.thresholds.drawdown.levels())
    return query_value("Max drawdown", queries, "drawdown", unit="%", formats=formats)


def _success(parameters: Parameters) -> Body:
    formats = (
        ConditionalFormat(
            comparator="<", value=parameters.objective.target, palette="white_on_red"
        ),
    )
    formula = "100 - failed / made * 100"
    queries = _failed_and_total(aggregator="sum")
    return query_value("API calls that succeed", queries, formula, unit="%", formats=formats)


def _agents_with_heartbeat() -> Body:
    beats = _series(metrics.HEARTBEAT, "sum", by=BY_AGENT)
    queries = [metric_query("beats", beats, "sum")]
    return query_value("Agents with a heartbeat", queries, "count_nonzero(beats)", unit="agents")


def _profit_by_market() -> Body:
    return timeseries("P&L by market", _realized_and_open((tags.MARKET,)), "realized + open")


def _profit_by_strategy() -> Body:
    queries = _realized_and_open((tags.STRATEGY,), "last")
    return toplist("P&L by strategy", queries, "realized + open")


def _latency_distribution() -> Body:
    return distribution("Order latency distribution", _series(metrics.ORDER_LATENCY, "histogram"))


def _latency_over_time() -> Body:
    return heat_map("Order latency over time", _series(metrics.ORDER_LATENCY, "histogram"))


def _latency_in_apm() -> Body:
    source = of_span(spans.ORDER_EXECUTE)
    p95 = series(source, "p95", _scope(source))
    queries = [metric_query("p95", p95)]
    return timeseries("Order execution in APM, p95 (s)", queries, "p95", alias="p95")


def _balances(parameters: Parameters) -> Body:
    where = {tags.CURRENCY: parameters.currency}
    balance = _series(metrics.WALLET_BALANCE, "min", where, BY_AGENT)
    return timeseries("Wallet balance", [metric_query("balance", balance)], "balance")


def _positions() -> Body:
    positions = _series(metrics.OPEN_POSITIONS, "sum", by=(tags.MARKET,))
    return timeseries("Open positions", [metric_query("held", positions)], "held", display="bars")


def _errors_by_endpoint() -> Body:
    queries = _failed_and_total((tags.ENDPOINT,), "sum")
    return toplist("Error rate by endpoint (%)", queries, "failed / made * 100")


def _errors_by_agent() -> Body:
    return timeseries("Error rate by agent (%)", _failed_and_total(BY_AGENT), "failed / made * 100")


def _refusals() -> Body:
    refused = _series(metrics.RISK_REFUSALS, "sum", by=(tags.REASON,))
    queries = [metric_query("refused", refused, "sum")]
    return toplist("Orders refused by limits", queries, "refused")


def _escrows() -> Body:
    transactions = _series(metrics.ESCROW_TRANSACTIONS, "sum", by=(tags.STATUS,))
    queries = [metric_query("reached", transactions)]
    return timeseries("Escrow transactions", queries, "reached", display="bars")


def _dropped() -> Body:
    dropped = _series(metrics.TELEMETRY_DROPPED, "sum", by=(tags.AGENT_ID, tags.SIGNAL))
    queries = [metric_query("dropped", dropped)]
    return timeseries("Telemetry dropped", queries, "dropped", display="bars")


def _escrow_failures() -> Body:
    variables = " ".join(f"${name}" for name in LOG_VARIABLES)
    search = (
        f"@{facets.EVENT_TYPE.path}:{events.ESCROW_TRANSACTION.name}"
        f" @{facets.ESCROW_STATUS.path}:failed {variables}"
    )
    columns = (tags.AGENT_ID.name, "@counterparty", "@amount_usd")
    return log_stream("Failed escrows", search, columns)
