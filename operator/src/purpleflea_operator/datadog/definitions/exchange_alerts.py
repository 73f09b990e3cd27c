"""Alerts on the exchange: failed API calls, slow orders, failed escrows, and the composite of the first two."""

from purpleflea_contract import events, facets, metrics, spans, tags
from purpleflea_operator.datadog.definitions.alert_conditions import (
    AGENT,
    BY_AGENT,
    OPTIONS,
    OR_GONE,
    condition,
    scope,
)
from purpleflea_operator.datadog.definitions.monitor_builder import Alert, Audience
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference
from purpleflea_operator.datadog.definitions.parameters import Parameters
from purpleflea_operator.datadog.definitions.queries import number, of_metric, of_span, series

ERROR_RATE = Reference(kind=ObjectKind.MONITOR, key="api-error-rate")
ORDER_LATENCY = Reference(kind=ObjectKind.MONITOR, key="order-latency-p95")


def alerts(parameters: Parameters) -> tuple[Alert, ...]:
    """Return the alerts. Those that others refer to come first."""
    return (
        api_error_rate(parameters),
        order_latency(parameters),
        order_span(parameters),
        escrow_failures(parameters),
        degraded(),
    )


def api_error_rate(parameters: Parameters) -> Alert:
    """Return the alert on the share of failed API calls, for agents that made more calls than the minimum.

    Counts are divided as counts, because Datadog would sum ratios of rates per bucket. The factor is_greater is 0 up to
    the minimum (Datadog documentation, "Add a minimum request threshold for error rate alerts").
    """
    calls = of_metric(metrics.API_REQUESTS)
    failed = series(calls, "sum", scope(parameters), where={tags.SUCCESS: "false"}, by=BY_AGENT)
    total = series(calls, "sum", scope(parameters), by=BY_AGENT)
    thresholds = parameters.thresholds.error_rate
    enough = f"is_greater({total}, {number(thresholds.minimum_calls)})"
    return Alert(
        key=ERROR_RATE.key,
        name="API error rate high",
        query=condition("sum", f"{failed} / {total} * 100 * {enough}", thresholds),
        levels=thresholds.levels(),
        audience=Audience.INFRASTRUCTURE,
        text=f"Agent {AGENT}: {{{{value}}}} % of the API calls fail. The Purple Flea API is failing, the API key is"
        " invalid, or the network path is broken.\n"
        "Check the status codes of the calls, then the API, the key and the network.",
        recovery=f"Agent {AGENT}: the error rate is low again, or the agent makes too few calls for a rate.",
        options=OPTIONS,
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
        recovery=f"Agent {AGENT}: orders are fast again." + OR_GONE,
        options=OPTIONS,
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
        recovery="Order execution is fast again, or there were no orders for two hours.",
        options=OPTIONS,
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
        recovery=f"Agent {AGENT}: no more than the allowed number of escrow transactions failed in"
        f" {thresholds.window}.",
        options={"on_missing_data": "default", "enable_logs_sample": True},
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
        text=f"Agent {AGENT}: {{{{a.value}}}} % of the API calls fail, and p95 of the order latency is {{{{b.value}}}}"
        " ms. The exchange, or the network path to it, is degraded.\n"
        "Consider halting the agent until both monitors recover.",
        recovery=f"Agent {AGENT}: API calls succeed, or orders are fast again.",
    )
