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
        "agents": {
            agent_id: agent_summary(store, agent_id) for agent_id in sorted(ids) if agent_id
        },
        "totals": {
            "series": len(store.series),
            "traces": len(store.traces),
            "logs": len(store.logs),
            "events": len(store.events),
        },
    }


def agent_summary(store: Store, agent_id: str) -> Mapping[str, Any]:
    """Return the summary of an agent; values without data are null."""
    tag = f"{AGENT}:{agent_id}"
    series = store.series.find(tags=[tag])
    traces = store.traces.find(tags=[tag], limit=1)
    log_count, logs = store.logs.with_value(AGENT, agent_id, limit=1)
    last = logs[0] if logs else None
    return {
        "metric_contexts": len(series),
        "orders": sum(entry.total for entry in series if entry.metric == ORDERS),
        "last_pnl": _last_sum([entry for entry in series if entry.metric == PNL]),
        "traces": store.traces.count(tag),
        "last_trace_id": traces[0].trace_id if traces else None,
        "logs": log_count,
        "last_log": last
        and {"timestamp": last.timestamp, "status": last.status, "message": last.message},
    }


def _last_sum(series: Sequence[Series]) -> Mapping[str, float] | None:
    """Return the sum of the newest values of all series (per market, realized and unrealized)."""
    points = [last for entry in series if (last := entry.points.last())]
    if not points:
        return None
    return {"timestamp": max(t for t, _ in points), "value": sum(value for _, value in points)}
