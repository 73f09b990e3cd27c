"""The monitors: one per danger, each a multi-alert by agent, never one per agent.

Their number does not depend on the number of agents. Anomaly variants are off unless chosen.
"""

from purpleflea_contract import events, facets, metrics, spans, tags
from purpleflea_operator.datadog.definitions import anomalies
from purpleflea_operator.datadog.definitions.monitor_builder import Alert, Audience, monitor
from purpleflea_operator.datadog.definitions.objects import Definition, ObjectKind, Reference
from purpleflea_operator.datadog.definitions.parameters import Parameters, Rule
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


def definitions(parameters: Parameters) -> tuple[Definition, ...]:
    """All monitors, those that others refer to first."""
    alerts = (
        drawdown(parameters),
        wallet_balance(parameters),
        api_error_rate(parameters),
        order_latency(parameters),
        order_span(parameters),
        escrow_failures(parameters),
        heartbeat(parameters),
        dropped_telemetry(parameters),
        degraded(),
        *anomalies.alerts(parameters),
    )
    return tuple(monitor(alert, parameters) for alert in alerts)


def scope(parameters: Parameters) -> tuple[str, str]:
    """Filters of every monitor's query."""
    return (f"env:{parameters.env}", f"service:{parameters.service}")


def condition(aggregation: str, rule: Rule, expression: str, comparator: str) -> str:
    """A metric monitor's query."""
    return f"{aggregation}(last_{rule.window}):{expression} {comparator} {number(rule.critical)}"


def drawdown(parameters: Parameters) -> Alert:
    """Fall of the equity from its peak."""
    rule = parameters.drawdown
    worst = series(of_metric(metrics.DRAWDOWN), "max", scope(parameters), by=BY_AGENT)
    return Alert(
        key="drawdown",
        name="high drawdown",
        query=condition("max", rule, worst, ">"),
        rule=rule,
        priority=1,
        audience=Audience.PAGING,
        text=f"Agent {AGENT}: drawdown is {{{{value}}}} %. Review its open positions now.",
        recovery=f"Agent {AGENT}: drawdown is below {number(rule.critical_recovery or rule.critical)} % again.",
        options={
            **METRIC_OPTIONS,
            "evaluation_delay": 60,
            "renotify_interval": parameters.renotify_minutes,
        },
    )


def wallet_balance(parameters: Parameters) -> Alert:
    """Balance that pays for trades."""
    rule = parameters.balance
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
        query=condition("min", rule, least, "<"),
        rule=rule,
        above=False,
        priority=2,
        audience=Audience.TRADING,
        text=f"Agent {AGENT}: balance is ${{{{value}}}}. It cannot fund new positions.\n"
        "Top up at https://wallet.purpleflea.com or claim at https://faucet.purpleflea.com.",
        recovery=f"Agent {AGENT}: balance is ${{{{value}}}} again.",
        options=METRIC_OPTIONS,
    )


def api_error_rate(parameters: Parameters) -> Alert:
    """Share of failed API calls. Counts are divided as counts: ratios of rates would be summed per bucket."""
    calls = of_metric(metrics.API_REQUESTS)
    failed = series(calls, "sum", scope(parameters), where={tags.SUCCESS: "false"}, by=BY_AGENT)
    made = series(calls, "sum", scope(parameters), by=BY_AGENT)
    rule = parameters.error_rate
    return Alert(
        key=ERROR_RATE.key,
        name="API error rate high",
        query=condition("sum", rule, f"{failed} / {made} * 100", ">"),
        rule=rule,
        audience=Audience.INFRASTRUCTURE,
        text=f"Agent {AGENT}: {{{{value}}}} % of its API calls fail.\n"
        "Check the Purple Flea API and the way to it.",
        options=METRIC_OPTIONS,
    )


def order_latency(parameters: Parameters) -> Alert:
    """Order latency of each agent; the distribution needs its percentiles switched on (metric configuration)."""
    rule = parameters.order_latency
    p95 = series(of_metric(metrics.ORDER_LATENCY), "p95", scope(parameters), by=BY_AGENT)
    return Alert(
        key=ORDER_LATENCY.key,
        name="order latency p95 high",
        query=condition("percentile", rule, p95, ">"),
        rule=rule,
        audience=Audience.TRADING,
        text=f"Agent {AGENT}: p95 of its order latency is {{{{value}}}} ms.",
        options=METRIC_OPTIONS,
    )


def order_span(parameters: Parameters) -> Alert:
    """The same on APM, over the whole fleet: trace metrics carry no agent_id, and a slow exchange is one problem."""
    rule = parameters.order_span
    p95 = series(of_span(spans.ORDER_EXECUTE), "p95", scope(parameters))
    return Alert(
        key="order-span-p95",
        name="order execution slow in APM",
        query=condition("percentile", rule, p95, ">"),
        rule=rule,
        audience=Audience.TRADING,
        text="p95 of order execution over all agents is {{value}} s: the exchange is degraded.",
        options=METRIC_OPTIONS,
    )


def escrow_failures(parameters: Parameters) -> Alert:
    """Failed escrows in the logs. Datadog lets only an unscoped application key write log monitors."""
    rule = parameters.escrow_failures
    search = (
        f"service:{parameters.service} env:{parameters.env}"
        f" @{facets.EVENT_TYPE.path}:{events.ESCROW_TRANSACTION.name}"
        f" @{facets.ESCROW_STATUS.path}:failed"
    )
    count = f'.rollup("count").by("{tags.AGENT_ID.name}").last("{rule.window}")'
    return Alert(
        key="escrow-failures",
        name="escrow failures",
        type="log alert",
        query=f'logs("{search}").index("*"){count} > {number(rule.critical)}',
        rule=rule,
        priority=2,
        audience=Audience.TRADING,
        text=f"Agent {AGENT}: {{{{value}}}} escrow transactions failed in {rule.window}.\n"
        "Check https://escrow.purpleflea.com.",
        options={"on_missing_data": "default", "enable_logs_sample": True},
    )


def heartbeat(parameters: Parameters) -> Alert:
    """An agent that completes no trading interval, or is not heard at all (a count without points is no data)."""
    rule = parameters.heartbeat
    beats = series(of_metric(metrics.HEARTBEAT), "sum", scope(parameters), by=BY_AGENT)
    gone = f"Agent {AGENT} is not heard: it is dead, hangs, or its node agent does not hear it."
    return Alert(
        key="heartbeat",
        name="no heartbeat",
        query=condition("sum", rule, beats, "<"),
        rule=rule,
        above=False,
        priority=1,
        audience=Audience.PAGING,
        text=gone,
        no_data=gone,
        recovery=f"Agent {AGENT} is heard again.",
        options={
            **METRIC_OPTIONS,
            "notify_no_data": True,
            "no_data_timeframe": rule.no_data_minutes,
        },
    )


def dropped_telemetry(parameters: Parameters) -> Alert:
    """Telemetry that an agent could not hand over: until it is back, the other monitors see less than there is."""
    rule = parameters.dropped_telemetry
    dropped = series(of_metric(metrics.TELEMETRY_DROPPED), "sum", scope(parameters), by=BY_AGENT)
    return Alert(
        key="dropped-telemetry",
        name="telemetry dropped",
        query=condition("sum", rule, dropped, ">"),
        rule=rule,
        audience=Audience.INFRASTRUCTURE,
        text=f"Agent {AGENT} dropped {{{{value}}}} telemetry packets in {rule.window}.",
        options=METRIC_OPTIONS,
    )


def degraded() -> Alert:
    """Many errors and slow orders at once: critical only when both are."""
    return Alert(
        key="degraded",
        name="degraded",
        type="composite",
        query=f"{ERROR_RATE.token} && {ORDER_LATENCY.token}",
        references=(ERROR_RATE, ORDER_LATENCY),
        priority=1,
        audience=Audience.PAGING,
        text=f"Agent {AGENT} fails and is slow at once: consider halting it.",
    )
