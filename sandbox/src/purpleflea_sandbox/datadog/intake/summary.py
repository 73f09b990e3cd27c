"""Summary of the fleet: the last data of each agent, from metrics, traces and logs. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from purpleflea_sandbox.datadog.intake.series import Series
from purpleflea_sandbox.datadog.intake.store import Store

AGENT = "agent_id"
PNL = "agent.trade.pnl_usd"
ORDERS = "agent.order.executions_total"


def summary(store: Store) -> Mapping[str, Any]:
    """Return the agents by id. An agent is listed if a metric, a trace or a log contains its id."""
    ids: set[str] = set()
    for values in (
        store.series.tag_values(AGENT),
        store.traces.tag_values(AGENT),
        # The pods of a StatefulSet share their annotations, so a log line names its agent by an
        # attribute.
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
    """Return the summary of one agent; values without data are null."""
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
    """Return the sum of the newest values of all series (per market, realized and unrealized)."""
    points = [last for one in series if (last := one.points.last())]
    if not points:
        return None
    return {"timestamp": max(t for t, _ in points), "value": sum(value for _, value in points)}
