"""Lists of traces and logs, and a trace with its span layout and its logs. Pure."""

from collections.abc import Mapping, Sequence
from typing import Any

from purpleflea_sandbox.datadog import tags as tagging
from purpleflea_sandbox.datadog.evaluation import logs as searching
from purpleflea_sandbox.datadog.intake.log_store import Log, flattened
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.intake.trace_store import Span, Trace
from purpleflea_sandbox.datadog.queries import tree

TRACE_ID = "dd.trace_id"
_AGENT = "agent_id"
_MAX_ENTRIES = 50
_MAX_TRACE_LOGS = 200

Variables = Mapping[str, str]


def recent_traces(store: Store, variables: Variables, now: float, window_s: float) -> list[Any]:
    """Return the newest traces that match the selected variables. `market` is ignored, because traces lack it."""
    wanted = [f"{k}:{v}" for k, v in variables.items() if k != "market" and v != "*"]
    matches = store.traces.find(tags=wanted, limit=_MAX_ENTRIES)
    shown = [trace_summary(trace) for trace in matches]
    recent = [summary for summary in shown if summary["start"] >= (now - window_s) * 1000]
    return sorted(recent, key=lambda summary: summary["start"], reverse=True)


def recent_logs(store: Store, variables: Variables, now: float, window_s: float) -> list[Any]:
    """Return the newest logs that match the selected variables. `market` is ignored, because few lines have it."""
    terms = [tree.Term(key=k, value=v) for k, v in variables.items() if k != "market" and v != "*"]
    matches = []
    for log in searching.matching(terms, store.logs, since=now - window_s):
        matches.append(log_summary(log))
        if len(matches) == _MAX_ENTRIES:
            break
    return matches


def whole_trace(store: Store, trace_id: str) -> Mapping[str, Any] | None:
    """Return a trace with its spans as rows and its logs sorted by time; None if it is not stored."""
    trace = store.traces.get(trace_id)
    if trace is None:
        return None
    logs = store.logs.find(attributes=[f"{TRACE_ID}:{trace_id}"], limit=_MAX_TRACE_LOGS)
    ordered = sorted(logs, key=lambda log: log.timestamp)
    return {
        **trace_summary(trace),
        "rows": _rows(trace),
        "logs": [log_summary(log) for log in ordered],
    }


def trace_summary(trace: Trace) -> Mapping[str, Any]:
    """Return the list entry of a trace; times are in milliseconds."""
    spans = list(trace.spans.values())
    first = min(span["start"] for span in spans)
    last = max(span["start"] + span["duration"] for span in spans)
    root = next((span for span in spans if not span.get("parent_id")), min(spans, key=_start))
    return {
        "trace_id": trace.trace_id,
        "name": root["name"],
        "resource": root.get("resource") or "",
        "service": root.get("service") or "",
        "agent_id": _agent(trace),
        "start": first / 1e6,
        "duration": (last - first) / 1e6,
        "spans": len(spans),
        "errors": sum(bool(span.get("error")) for span in spans),
    }


def log_summary(log: Log) -> Mapping[str, Any]:
    return {
        "timestamp": log.timestamp,
        "status": log.status,
        "service": log.service,
        "message": log.message,
        # The attribute is used if the line arrived before the pipeline that maps it to a tag was
        # created.
        "agent_id": field(log, _AGENT) or field(log, f"@{_AGENT}"),
        "trace_id": _trace_id(log),
    }


def field(log: Log, name: str) -> str:
    """Return the text of a column in a log list."""
    match name:
        case "status_line":
            return log.status
        case "timestamp":
            return str(log.timestamp)
        case "content":
            return log.message
    if name.startswith("@"):
        return next((text for path, text in flattened(log.attributes) if path == name[1:]), "")
    return next(iter(searching.values(log, name)), "")


def _trace_id(log: Log) -> str:
    """Return the log's trace id; empty if it is 0, which means that there was no active span."""
    text = field(log, f"@{TRACE_ID}")
    return text if text.strip("0") else ""


def _agent(trace: Trace) -> str:
    ids = [value for name, value in sorted(trace.terms) if name == _AGENT]
    return ids[0] if ids else ""


def _rows(trace: Trace) -> Sequence[Mapping[str, Any]]:
    """Return spans depth first, as in a call tree. If the parent of a span is not stored, the span starts a tree."""
    children: dict[int, list[Span]] = {}
    for span in sorted(trace.spans.values(), key=_start):
        parent = span.get("parent_id") or 0
        children.setdefault(parent if parent in trace.spans else 0, []).append(span)
    first = min(span["start"] for span in trace.spans.values())
    rows, stack = [], [(span, 0) for span in reversed(children.get(0, ()))]
    while stack:
        span, depth = stack.pop()
        rows.append(_row(span, depth, first))
        below = children.get(span["span_id"], ()) if span["span_id"] else ()
        stack += [(child, depth + 1) for child in reversed(below)]
    return rows


def _row(span: Span, depth: int, first: int) -> Mapping[str, Any]:
    meta = span.get("meta") or {}
    return {
        "name": span["name"],
        "resource": span.get("resource") or "",
        "service": span.get("service") or "",
        "depth": depth,
        "offset": (span["start"] - first) / 1e6,
        "duration": span["duration"] / 1e6,
        "error": bool(span.get("error")),
        "message": str(meta.get("error.message") or meta.get("error.msg") or ""),
    }


def _start(span: Span) -> int:
    return int(span["start"])


def known_values(store: Store, name: str) -> Sequence[str]:
    """Return all values that a template variable can have, from metrics and traces."""
    values = {
        *store.series.tag_values(name),
        *(tagging.normalised(value) for value in store.traces.tag_values(name)),
    }
    return sorted(value for value in values if value)
