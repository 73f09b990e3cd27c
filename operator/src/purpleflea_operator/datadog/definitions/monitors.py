"""Monitors: one per risk, each a multi-alert by agent.

The number of monitors does not depend on the number of agents. A new monitor needs a function here and its entry in
`definitions`, a class and a field in `api.thresholds` if it has thresholds, and a runbook with its key as the name.
Anomaly monitors are optional; see anomalies.
"""

from typing import ClassVar, Protocol

from purpleflea_contract import events, facets, metrics, spans, tags
from purpleflea_operator.datadog.definitions import anomalies, interval_failures
from purpleflea_operator.datadog.definitions.monitor_builder import Alert, Audience, monitor
from purpleflea_operator.datadog.definitions.objects import Definition, ObjectKind, Reference
from purpleflea_operator.datadog.definitions.parameters import Parameters
from purpleflea_operator.datadog.definitions.queries import number, of_metric, of_span, series

AGENT = "{{agent_id.name}}"
BY_AGENT = (tags.AGENT_ID,)
METRIC_OPTIONS = {
    "notify_no_data": False,
    # Agents report at their trading interval, which may be longer than a bucket of the window.
    "require_full_window": False,
    "new_group_delay": 60,
}
ERROR_RATE = Reference(kind=ObjectKind.MONITOR, key="api-error-rate")
ORDER_LATENCY = Reference(kind=ObjectKind.MONITOR, key="order-latency-p95")


class WindowedThresholds(Protocol):
    """Thresholds that are compared with a metric over a window."""

    fires_above: ClassVar[bool]

    @property
    def critical(self) -> float:
        """Level at which the monitor alerts."""
        ...

    @property
    def window(self) -> str:
        """Evaluation window, such as 5m."""
        ...


def definitions(parameters: Parameters) -> tuple[Definition, ...]:
    """Return all monitors. Monitors that others refer to come first."""
    alerts = (
        drawdown(parameters),
        wallet_balance(parameters),
        api_error_rate(parameters),
        order_latency(parameters),
        order_span(parameters),
        escrow_failures(parameters),
        heartbeat(parameters),
        dropped_telemetry(parameters),
        interval_failures.interval_failures(parameters),
        degraded(),
        *anomalies.alerts(parameters),
    )
    return tuple(monitor(alert, parameters) for alert in alerts)


def scope(parameters: Parameters) -> tuple[str, str]:
    """Return the filters of the query of every monitor."""
    return (f"env:{parameters.env}", f"service:{parameters.service}")


def condition(aggregation: str, expression: str, thresholds: WindowedThresholds) -> str:
    """Return the query of a metric monitor."""
    comparator = ">" if thresholds.fires_above else "<"
    critical = number(thresholds.critical)
    return f"{aggregation}(last_{thresholds.window}):{expression} {comparator} {critical}"


def drawdown(parameters: Parameters) -> Alert:
    """Return the alert on a fall of the equity from its peak."""
    thresholds = parameters.thresholds.drawdown
    worst = series(of_metric(metrics.DRAWDOWN), "max", scope(parameters), by=BY_AGENT)
    recovery = number(thresholds.critical_recovery)
    return Alert(
        key="drawdown",
        name="high drawdown",
        query=condition("max", worst, thresholds),
        levels=thresholds.levels(),
        priority=1,
        audience=Audience.PAGING,
        text=f"Agent {AGENT}: the equity is {{{{value}}}} % below its peak. The strategy is losing money, or money was"
        " withdrawn from the account.\n"
        "Review the open positions now, and halt the agent if the loss is real.",
        recovery=f"Agent {AGENT}: the drawdown is below {recovery} % again.",
        options={
            **METRIC_OPTIONS,
            "evaluation_delay": 60,
            "renotify_interval": parameters.renotify_minutes,
        },
    )


def wallet_balance(parameters: Parameters) -> Alert:
    """Return the alert on the balance that pays for trades."""
    thresholds = parameters.thresholds.balance
    least = series(
        of_metric(metrics.WALLET_BALANCE),
        "min",
        scope(parameters),
        where={tags.CURRENCY: parameters.currency, tags.WALLET_TYPE: "trading"},
        by=BY_AGENT,
    )
    return Alert(
        key="wallet-balance",
        name="wallet balance low",
        query=condition("min", least, thresholds),
        levels=thresholds.levels(),
        above=thresholds.fires_above,
        priority=2,
        audience=Audience.TRADING,
        text=f"Agent {AGENT}: the wallet balance is ${{{{value}}}}, which is too low to fund new positions. The agent"
        " spent the money, or its claim from the faucet was refused.\n"
        "Top up at https://wallet.purpleflea.com or claim at https://faucet.purpleflea.com.",
        recovery=f"Agent {AGENT}: the wallet balance is ${{{{value}}}} again.",
        options=METRIC_OPTIONS,
    )


def api_error_rate(parameters: Parameters) -> Alert:
    """Return the alert on the share of failed API calls.

    Counts are divided as counts, because Datadog would sum ratios of rates per bucket.
    """
    calls = of_metric(metrics.API_REQUESTS)
    failed = series(calls, "sum", scope(parameters), where={tags.SUCCESS: "false"}, by=BY_AGENT)
    total = series(calls, "sum", scope(parameters), by=BY_AGENT)
    thresholds = parameters.thresholds.error_rate
    return Alert(
        key=ERROR_RATE.key,
        name="API error rate high",
        query=condition("sum", f"{failed} / {total} * 100", thresholds),
        levels=thresholds.levels(),
        audience=Audience.INFRASTRUCTURE,
        text=f"Agent {AGENT}: {{{{value}}}} % of the API calls fail. The Purple Flea API is failing, the API key is"
        " invalid, or the network path is broken.\n"
        "Check the status codes of the calls, then the API, the key and the network.",
        options=METRIC_OPTIONS,
    )


def order_latency(parameters: Parameters) -> Alert:
    """Return the alert on the order latency of each agent.

    The distribution needs its percentiles enabled; see metric_tags.
    """
    thresholds = parameters.thresholds.order_latency
    p95 = series(of_metric(metrics.ORDER_LATENCY), "p95", scope(parameters), by=BY_AGENT)
    return Alert(
        key=ORDER_LATENCY.key,
        name="order latency p95 high",
        query=condition("percentile", p95, thresholds),
        levels=thresholds.levels(),
        audience=Audience.TRADING,
        text=f"Agent {AGENT}: p95 of the order latency is {{{{value}}}} ms. The exchange is slow, or the pod is"
        " throttled.\n"
        "Compare with the other agents. If only this agent is slow, check its pod and node.",
        options=METRIC_OPTIONS,
    )


def order_span(parameters: Parameters) -> Alert:
    """Return the alert on order execution in APM over the whole fleet.

    Trace metrics have no agent_id, and a slow exchange is one problem and not one per agent.
    """
    thresholds = parameters.thresholds.order_span
    p95 = series(of_span(spans.ORDER_EXECUTE), "p95", scope(parameters))
    return Alert(
        key="order-span-p95",
        name="order execution slow in APM",
        query=condition("percentile", p95, thresholds),
        levels=thresholds.levels(),
        audience=Audience.TRADING,
        text="p95 of order execution over all agents is {{value}} s. The exchange, or the network path to it, is"
        " slow.\n"
        "Open a slow trace to see which of them is slow, and consider halting the agents.",
        options=METRIC_OPTIONS,
    )


def escrow_failures(parameters: Parameters) -> Alert:
    """Return the alert on failed escrows in the logs.

    Datadog accepts log monitors only from an application key without scopes.
    """
    thresholds = parameters.thresholds.escrow_failures
    search = (
        f"service:{parameters.service} env:{parameters.env}"
        f" @{facets.EVENT_TYPE.path}:{events.ESCROW_TRANSACTION.name}"
        f" @{facets.ESCROW_STATUS.path}:failed"
    )
    count = f'.rollup("count").by("{tags.AGENT_ID.name}").last("{thresholds.window}")'
    return Alert(
        key="escrow-failures",
        name="escrow failures",
        type="log alert",
        query=f'logs("{search}").index("*"){count} > {number(thresholds.critical)}',
        levels=thresholds.levels(),
        priority=2,
        audience=Audience.TRADING,
        text=f"Agent {AGENT}: {{{{value}}}} escrow transactions failed in {thresholds.window}. The escrow service is"
        " down, the wallet has too little money, or the counterparty rejects them.\n"
        "Check https://escrow.purpleflea.com and the balance of the wallet.",
        options={"on_missing_data": "default", "enable_logs_sample": True},
    )


def heartbeat(parameters: Parameters) -> Alert:
    """Return the alert on an agent that completes no trading interval.

    A count without points is missing data, so the monitor also alerts if data is missing.
    """
    thresholds = parameters.thresholds.heartbeat
    beats = series(of_metric(metrics.HEARTBEAT), "sum", scope(parameters), by=BY_AGENT)
    text = (
        f"No heartbeat from agent {AGENT}: it completes no trading interval. The agent has crashed or is stuck, the"
        " exchange or its journal fails, or its node agent does not receive its metrics.\n"
        "Check the pod of the agent and its log, then the Datadog node agent on its node."
    )
    return Alert(
        key="heartbeat",
        name="no heartbeat",
        query=condition("sum", beats, thresholds),
        levels=thresholds.levels(),
        above=thresholds.fires_above,
        priority=1,
        audience=Audience.PAGING,
        text=text,
        no_data=text,
        recovery=f"Agent {AGENT} sends heartbeats again.",
        options={
            **METRIC_OPTIONS,
            "notify_no_data": True,
            "no_data_timeframe": thresholds.no_data_minutes,
        },
    )


def dropped_telemetry(parameters: Parameters) -> Alert:
    """Return the alert on telemetry that an agent dropped.

    Until the telemetry is complete again, the other monitors evaluate incomplete data.
    """
    thresholds = parameters.thresholds.dropped_telemetry
    dropped = series(of_metric(metrics.TELEMETRY_DROPPED), "sum", scope(parameters), by=BY_AGENT)
    return Alert(
        key="dropped-telemetry",
        name="telemetry dropped",
        query=condition("sum", dropped, thresholds),
        levels=thresholds.levels(),
        audience=Audience.INFRASTRUCTURE,
        text=f"Agent {AGENT} dropped {{{{value}}}} telemetry packets in {thresholds.window}, because its node agent did"
        " not accept them. Until this ends, the other monitors use incomplete data.\n"
        "Check the Datadog node agent on the node of the agent.",
        options=METRIC_OPTIONS,
    )


def degraded() -> Alert:
    """Return the composite alert on API errors and slow orders. It is critical only if both monitors are."""
    return Alert(
        key="degraded",
        name="degraded",
        type="composite",
        query=f"{ERROR_RATE.token} && {ORDER_LATENCY.token}",
        references=(ERROR_RATE, ORDER_LATENCY),
        priority=1,
        audience=Audience.PAGING,
        text=f"Agent {AGENT}: API calls fail and orders are slow at the same time. The exchange, or the network path to"
        " it, is degraded.\n"
        "Consider halting the agent until both monitors recover.",
    )
