"""Write routes: Datadog's intake routes, their key check and their responses."""

import gzip
import json
import time
import zlib
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from aiohttp import web

from purpleflea_sandbox.datadog.intake import messages
from purpleflea_sandbox.datadog.intake.series import MetricType
from purpleflea_sandbox.datadog.intake.store import Store

_API_TYPES: Mapping[Any, MetricType] = {
    0: "gauge",
    1: "count",
    2: "rate",
    3: "gauge",
    "gauge": "gauge",
    "count": "count",
    "rate": "rate",
}

Take = Callable[[Store, Any], None]

DATA_PATHS = (
    "/api/v2/series",
    "/api/v1/distribution_points",
    "/api/v2/logs",
    "/api/v0.2/traces",
    "/api/v1/check_run",
)
"""Paths of continuous data. Events are not included, because the API handles them."""


def add_routes(app: web.Application, store: Store, api_key: str) -> None:
    """Mount the intake routes. If `api_key` is empty, every key is accepted, but a key is still required."""

    def route(path: str, take: Take, status: int, answer: Mapping[str, Any]) -> None:
        app.router.add_post(path, _handler(store, api_key, take, (status, answer)))

    route("/api/v2/series", take_series, 202, {"errors": []})
    route("/api/v1/distribution_points", take_distributions, 202, {"status": "ok"})
    route("/api/v2/logs", take_logs, 202, {})
    route("/api/v0.2/traces", take_traces, 200, {})
    route("/api/v1/check_run", take_checks, 202, {"status": "ok"})


def take_series(store: Store, document: Mapping[str, Any]) -> None:
    for item in document["series"]:
        hosts = [r["name"] for r in item.get("resources", ()) if r.get("type") == "host"]
        series = store.series.open(
            item["metric"],
            _API_TYPES[item.get("type", 0)],
            tags=item.get("tags", ()),
            host=hosts[0] if hosts else "",
            interval=int(item.get("interval", 0)),
        )
        for point in item["points"]:
            store.series.add(series, int(point["timestamp"]), float(point["value"]))


def take_distributions(store: Store, document: Mapping[str, Any]) -> None:
    for item in document["series"]:
        series = store.series.open(
            item["metric"], "distribution", tags=item.get("tags", ()), host=item.get("host", "")
        )
        for timestamp, values in item["points"]:
            if values:
                store.series.add_values(series, int(timestamp), [float(v) for v in values])


def take_logs(store: Store, document: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> None:
    now = time.time()
    for entry in [document] if isinstance(document, Mapping) else document:
        store.logs.add(messages.log(entry, now))


def take_traces(store: Store, document: Mapping[str, Any]) -> None:
    host_tags = [*document.get("tags", ()), f"host:{document.get('host', '')}"]
    for payload in document["tracer_payloads"]:
        for chunk in payload["chunks"]:
            store.traces.add(chunk["spans"], [*payload.get("container_tags", ()), *host_tags])


def take_checks(store: Store, document: Sequence[Mapping[str, Any]] | Mapping[str, Any]) -> None:
    for report in [document] if isinstance(document, Mapping) else document:
        store.checks.add(report)


def _handler(
    store: Store, api_key: str, take: Take, answer: tuple[int, Mapping[str, Any]]
) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def handle(request: web.Request) -> web.Response:
        _check_key(request, api_key)
        try:
            document = json.loads(_decompressed(request, await request.read()))
            with store.lock:
                take(store, document)
        except (ValueError, KeyError, TypeError, AttributeError, zlib.error, OSError) as error:
            # Malformed bodies raise many kinds of exceptions; all of them are client errors.
            return _errors(400, f"Payload is not in the expected format: {error}")
        return web.json_response(dict(answer[1]), status=answer[0])

    return handle


def _decompressed(request: web.Request, body: bytes) -> bytes:
    """Decompress a body that was sent without the header; aiohttp decompresses all others."""
    return gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body


def _check_key(request: web.Request, api_key: str) -> None:
    given = request.headers.get("DD-API-KEY", "")
    if not given or (api_key and given != api_key):
        raise web.HTTPForbidden(
            text=json.dumps({"errors": ["Forbidden"]}), content_type="application/json"
        )


def _errors(status: int, message: str) -> web.Response:
    return web.json_response({"errors": [message]}, status=status)
