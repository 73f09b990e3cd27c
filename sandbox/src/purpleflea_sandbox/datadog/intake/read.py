"""Read routes: received data as JSON, for people, tests and the demo.

These routes exist only in the sandbox. They need no key, because they are reachable on this machine only.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any

from aiohttp import web

from purpleflea_sandbox.datadog.intake import summary
from purpleflea_sandbox.datadog.intake.check_store import ServiceCheckState
from purpleflea_sandbox.datadog.intake.log_store import Log
from purpleflea_sandbox.datadog.intake.series import Series, statistics
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.intake.trace_store import Trace

_MAX_LIMIT = 5_000
_DEFAULT_LIMIT = 100


def add_routes(app: web.Application, store: Store) -> None:
    """Mount /received and the health route."""
    reader = _ReadRoutes(store)
    app.router.add_get("/received/metrics", reader.metrics)
    app.router.add_get("/received/traces", reader.traces)
    app.router.add_get("/received/traces/{trace_id}", reader.trace)
    app.router.add_get("/received/logs", reader.logs)
    app.router.add_get("/received/events", reader.events)
    app.router.add_get("/received/checks", reader.checks)
    app.router.add_get("/received/summary", reader.agents)
    app.router.add_get("/healthz", reader.health)


class _ReadRoutes:
    """Handlers of the routes. If `tag` or `attribute` is repeated, all of them must match."""

    def __init__(self, store: Store) -> None:
        self._store = store

    async def metrics(self, request: web.Request) -> web.Response:
        name, tags = request.query.get("name", ""), request.query.getall("tag", [])
        matches = self._store.series.find(name, tags)
        return web.json_response({"series": [series_json(series) for series in matches]})

    async def traces(self, request: web.Request) -> web.Response:
        matches = self._store.traces.find(
            tags=request.query.getall("tag", []),
            service=request.query.get("service", ""),
            name=request.query.get("name", ""),
            limit=_limit(request),
        )
        return web.json_response({"traces": [trace_json(trace) for trace in matches]})

    async def trace(self, request: web.Request) -> web.Response:
        trace = self._store.traces.get(request.match_info["trace_id"].lower())
        if trace is None:
            raise web.HTTPNotFound(
                text="trace not found: it was not received, or is no longer stored\n"
            )
        return web.json_response(trace_json(trace))

    async def logs(self, request: web.Request) -> web.Response:
        matches = self._store.logs.find(
            tags=request.query.getall("tag", []),
            attributes=request.query.getall("attribute", []),
            limit=_limit(request),
        )
        return web.json_response({"logs": [log_json(log) for log in matches]})

    async def events(self, request: web.Request) -> web.Response:
        return web.json_response({"events": list(self._store.events)[::-1]})

    async def checks(self, request: web.Request) -> web.Response:
        name, tags = request.query.get("name", ""), request.query.getall("tag", [])
        matches = self._store.checks.find(name, tags)[: _limit(request)]
        return web.json_response({"checks": [check_json(check) for check in matches]})

    async def agents(self, request: web.Request) -> web.Response:
        return web.json_response(summary.summary(self._store))

    async def health(self, request: web.Request) -> web.Response:
        return web.json_response({"ok": True})


def series_json(series: Series) -> Mapping[str, Any]:
    """Return a series as JSON; the points of a distribution are [time, count, sum, min, max]."""
    shown: dict[str, Any] = {
        "metric": series.metric,
        "type": series.type,
        "tags": list(series.tags),
        "host": series.host,
        "total": series.total,
        "points": [list(point) for point in series.points],
    }
    figures = statistics(series)
    if figures is not None:
        shown |= dataclasses.asdict(figures)
        shown["points"] = [[t, p.count, p.sum, p.min, p.max] for t, p in series.distributions]
    return shown


def trace_json(trace: Trace) -> Mapping[str, Any]:
    """Return a trace as JSON, with its spans sorted by start time. Ids are texts, because JSON readers round large
    numbers.
    """
    spans = sorted(trace.spans.values(), key=lambda span: int(span["start"]))
    return {
        "trace_id": trace.trace_id,
        "tags": list(trace.tags),
        "spans": [
            {
                "name": span["name"],
                "resource": span.get("resource") or "",
                "service": span.get("service") or "",
                "type": span.get("type") or "",
                "start": span["start"],
                "duration": span["duration"],
                "error": span.get("error") or 0,
                "meta": span.get("meta") or {},
                "metrics": span.get("metrics") or {},
                "span_id": str(span["span_id"]),
                "parent_id": str(span.get("parent_id") or 0),
            }
            for span in spans
        ],
    }


def log_json(log: Log) -> Mapping[str, Any]:
    return {
        "timestamp": log.timestamp,
        "status": log.status,
        "message": log.message,
        "service": log.service,
        "host": log.host,
        "tags": list(log.tags),
        "attributes": dict(log.attributes),
    }


def check_json(check: ServiceCheckState) -> Mapping[str, Any]:
    """Return a service check as JSON: 0 OK, 1 warning, 2 critical, 3 unknown; its changes are [time, status]."""
    return {
        "check": check.check,
        "status": check.status,
        "message": check.message,
        "timestamp": check.timestamp,
        "host": check.host,
        "tags": list(check.tags),
        "count": check.count,
        "changes": [list(change) for change in check.changes],
    }


def _limit(request: web.Request) -> int:
    text = request.query.get("limit", str(_DEFAULT_LIMIT))
    if not text.isdigit() or not 0 < int(text) <= _MAX_LIMIT:
        raise web.HTTPBadRequest(
            text=f"limit is {text!r}; it must be a number from 1 to {_MAX_LIMIT}\n"
        )
    return int(text)
