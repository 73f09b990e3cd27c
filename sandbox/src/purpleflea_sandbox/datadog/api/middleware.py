"""HTTP layer of the API: faults, keys, scopes, rate limits, and the log of every request.

This is the only module that handles aiohttp requests; routes receive a Call.
"""

import asyncio
import contextlib
import json
import socket
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from purpleflea_sandbox.datadog.api.errors import ApiError, refused
from purpleflea_sandbox.datadog.api.faults import MAX_DELAY_MS, ApiFault, ApiFaultKind
from purpleflea_sandbox.datadog.api.keys import UNSCOPED, ApplicationKey
from purpleflea_sandbox.datadog.api.organisation import Organisation
from purpleflea_sandbox.datadog.api.request_log import LoggedRequest
from purpleflea_sandbox.datadog.api.routing import Answer, Call, Route

_JSON = "application/json"
# l_onoff=1, l_linger=0: closing sends RST instead of FIN.
_RESET_ON_CLOSE = b"\x01\x00\x00\x00\x00\x00\x00\x00"

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def handler(organisation: Organisation, route: Route) -> Handler:
    """Return the aiohttp handler for a route."""

    async def handle(request: web.Request) -> web.StreamResponse:
        headers: dict[str, str] = {}
        try:
            key = _authorize(organisation, route, request)
            headers = _check_rate_limit(organisation, route)
            raw = await request.read()
            answer = route.handle(
                Call(
                    organisation=organisation,
                    parts=dict(request.match_info),
                    query=dict(request.query),
                    body=_document(request, raw),
                    raw=raw,
                    key=key,
                )
            )
        except ApiError as error:
            answer = Answer(status=error.status, body=error.body)
            headers |= error.headers
        return _response(answer, headers)

    return handle


def log_requests_and_inject_faults(organisation: Organisation, unlogged: frozenset[str]) -> Any:
    """Return the middleware for all paths below /api/. Requests to paths in `unlogged` are not logged."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/api/"):
            return await handler(request)
        entry = LoggedRequest(method=request.method, path=request.path, query=request.query_string)
        if request.path not in unlogged:
            organisation.request_log.entries.append(entry)
            entry.body = _loggable_body(await request.read())
        last_fault: ApiFault | None = None
        for fault in organisation.faults.matching(request.method, request.path):
            if fault.kind is ApiFaultKind.DELAY:
                await asyncio.sleep(fault.ms / 1000)
            else:
                last_fault = fault
        response = await _apply_fault(last_fault, request, handler)
        entry.status = response.status if response.prepared or not _disconnected(request) else 0
        return response

    return middleware


async def _apply_fault(
    fault: ApiFault | None, request: web.Request, handler: Handler
) -> web.StreamResponse:
    if fault is None:
        return await handler(request)
    match fault.kind:
        case ApiFaultKind.STATUS:
            return _injected_error(fault)
        case ApiFaultKind.STATUS_AFTER_COMMIT:
            await handler(request)
            return _injected_error(fault)
        case ApiFaultKind.RATE_LIMIT:
            return _too_many({"X-RateLimit-Reset": str(fault.reset_s)})
        case ApiFaultKind.TIMEOUT_AFTER_COMMIT:
            await handler(request)
            await _send_nothing(request, fault.ms or MAX_DELAY_MS)
    return _reset(request)


def _injected_error(fault: ApiFault) -> web.Response:
    return _response(Answer(status=fault.status, body={"errors": ["A fault was injected"]}), {})


def _too_many(headers: dict[str, str]) -> web.Response:
    window = {"X-RateLimit-Limit": "1", "X-RateLimit-Period": headers["X-RateLimit-Reset"]}
    usage = {"X-RateLimit-Remaining": "0", "X-RateLimit-Name": "injected"}
    answer = Answer(status=429, body={"errors": ["Too many requests"]})
    return _response(answer, window | usage | headers)


async def _send_nothing(request: web.Request, ms: int) -> None:
    """Send no response until the client disconnects, or until `ms` have passed."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ms / 1000):
            while not _disconnected(request):  # noqa: ASYNC110 - aiohttp has no event for a client's disconnect
                await asyncio.sleep(0.02)


def _disconnected(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _reset(request: web.Request) -> web.Response:
    transport = request.transport
    if transport is not None and not transport.is_closing():
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    return web.Response(status=500)


def _authorize(organisation: Organisation, route: Route, request: web.Request) -> ApplicationKey:
    organisation.keys.check_api_key(request.headers.get("DD-API-KEY", ""))
    if route.scope is None:
        return UNSCOPED
    key = organisation.keys.application_key(request.headers.get("DD-APPLICATION-KEY", ""))
    if not key.allows(route.scope):
        raise refused(403, "Forbidden")
    return key


def _check_rate_limit(organisation: Organisation, route: Route) -> dict[str, str]:
    state = organisation.limits.count(route.limit_name, organisation.now())
    if state is None:
        return {}
    if state.exceeded:
        raise ApiError(429, {"errors": ["Too many requests"]}, state.headers)
    return state.headers


def _document(request: web.Request, raw: bytes) -> Any:
    if not raw or request.content_type not in (_JSON, "application/octet-stream", "text/json"):
        return None
    try:
        return json.loads(raw)
    except ValueError as error:
        raise refused(400, f"Invalid JSON: {error}") from error


def _loggable_body(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None


def _response(answer: Answer, headers: dict[str, str]) -> web.Response:
    if answer.body is None:
        return web.Response(status=answer.status, headers=headers)
    return web.json_response(answer.body, status=answer.status, headers=headers)
