"""One look at the fleet: what was last heard of each agent, by metric, trace and log. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from purpleflea_sandbox.datadog.intake.series import Series
from purpleflea_sandbox.datadog.intake.store import Store

AGENT = "agent_id"
PNL = "agent.trade.pnl_usd"
ORDERS = "agent.order.executions_total"


def summary(store: Store) -> Mapping[str, Any]:
    """Agents by their id; one is listed as soon as one of the three has been heard."""
    ids: set[str] = set()
    for values in (
        store.series.tag_values(AGENT),
        store.traces.tag_values(AGENT),
        # The pods of a StatefulSet share their annotations: a log line says its agent by an attribute.
        store.logs.values(AGENT),
    ):
        ids.update(values)
    return {
        "agents": {one: agent_summary(store, one) for one in sorted(ids) if one},
        "totals": {
            "series": len(store.series),
            "traces": len(store.traces),
            "logs": len(store.logs),
            "events": len(store.events),
        },
    }


def agent_summary(store: Store, agent_id: str) -> Mapping[str, Any]:
    """What is known of one agent; null where nothing was heard."""
    tag = f"{AGENT}:{agent_id}"
    series = store.series.find(tags=[tag])
    traces = store.traces.find(tags=[tag], limit=1)
    log_count, logs = store.logs.about(AGENT, agent_id, limit=1)
    last = logs[0] if logs else None
    return {
        "metric_contexts": len(series),
        "orders": sum(one.total for one in series if one.metric == ORDERS),
        "last_pnl": _last_sum([one for one in series if one.metric == PNL]),
        "traces": store.traces.count(tag),
        "last_trace_id": traces[0].trace_id if traces else None,
        "logs": log_count,
        "last_log": last
        and {"timestamp": last.timestamp, "status": last.status, "message": last.message},
    }


def _last_sum(series: Sequence[Series]) -> Mapping[str, float] | None:
    """The newest value of each series, added up: markets, and what is realized and what is not."""
    points = [last for one in series if (last := one.points.last())]
    if not points:
        return None
    return {"timestamp": max(t for t, _ in points), "value": sum(value for _, value in points)}
