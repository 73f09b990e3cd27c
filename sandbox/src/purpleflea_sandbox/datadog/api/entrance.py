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
from purpleflea_sandbox.datadog.api.faults import LONGEST_MS, Fault, FaultKind
from purpleflea_sandbox.datadog.api.journal import Entry
from purpleflea_sandbox.datadog.api.keys import ANYBODY, ApplicationKey
from purpleflea_sandbox.datadog.api.organisation import Organisation
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
            key = _key(organisation, route, request)
            headers = _counted(organisation, route)
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


def journal_and_faults(organisation: Organisation, unlisted: frozenset[str]) -> Any:
    """Return the middleware for all paths below /api/. Requests to paths in `unlisted` are not logged."""

    @web.middleware
    async def middleware(request: web.Request, handler: Handler) -> web.StreamResponse:
        if not request.path.startswith("/api/"):
            return await handler(request)
        entry = Entry(method=request.method, path=request.path, query=request.query_string)
        if request.path not in unlisted:
            organisation.journal.entries.append(entry)
            entry.body = _journal_body(await request.read())
        final: Fault | None = None
        for fault in organisation.faults.strike(request.method, request.path):
            if fault.kind is FaultKind.DELAY:
                await asyncio.sleep(fault.ms / 1000)
            else:
                final = fault
        response = await _carried_out(final, request, handler)
        entry.status = response.status if response.prepared or not _gone(request) else 0
        return response

    return middleware


async def _carried_out(
    fault: Fault | None, request: web.Request, handle: Handler
) -> web.StreamResponse:
    if fault is None:
        return await handle(request)
    match fault.kind:
        case FaultKind.STATUS:
            return _injected(fault)
        case FaultKind.STATUS_AFTER_COMMIT:
            await handle(request)
            return _injected(fault)
        case FaultKind.RATE_LIMIT:
            return _too_many({"X-RateLimit-Reset": str(fault.reset_s)})
        case FaultKind.TIMEOUT_AFTER_COMMIT:
            await handle(request)
            await _silence(request, fault.ms or LONGEST_MS)
    return _reset(request)


def _injected(fault: Fault) -> web.Response:
    return _response(Answer(status=fault.status, body={"errors": ["A fault was injected"]}), {})


def _too_many(headers: dict[str, str]) -> web.Response:
    window = {"X-RateLimit-Limit": "1", "X-RateLimit-Period": headers["X-RateLimit-Reset"]}
    rest = {"X-RateLimit-Remaining": "0", "X-RateLimit-Name": "injected"}
    answer = Answer(status=429, body={"errors": ["Too many requests"]})
    return _response(answer, window | rest | headers)


async def _silence(request: web.Request, ms: int) -> None:
    """Send no response until the client disconnects, or until `ms` have passed."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(ms / 1000):
            while not _gone(request):  # noqa: ASYNC110 - aiohttp has no event for a client's disconnect
                await asyncio.sleep(0.02)


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _reset(request: web.Request) -> web.Response:
    transport = request.transport
    if transport is not None and not transport.is_closing():
        connection = transport.get_extra_info("socket")
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET_ON_CLOSE)
        transport.abort()
    return web.Response(status=500)


def _key(organisation: Organisation, route: Route, request: web.Request) -> ApplicationKey:
    organisation.keys.check_api_key(request.headers.get("DD-API-KEY", ""))
    if route.scope is None:
        return ANYBODY
    key = organisation.keys.application_key(request.headers.get("DD-APPLICATION-KEY", ""))
    if not key.allows(route.scope):
        raise refused(403, "Forbidden")
    return key


def _counted(organisation: Organisation, route: Route) -> dict[str, str]:
    standing = organisation.limits.count(route.limit_name, organisation.now())
    if standing is None:
        return {}
    if standing.exceeded:
        raise ApiError(429, {"errors": ["Too many requests"]}, standing.headers)
    return standing.headers


def _document(request: web.Request, raw: bytes) -> Any:
    if not raw or request.content_type not in (_JSON, "application/octet-stream", "text/json"):
        return None
    try:
        return json.loads(raw)
    except ValueError as error:
        raise refused(400, f"Invalid JSON: {error}") from error


def _journal_body(raw: bytes) -> Any:
    try:
        return json.loads(raw) if raw else None
    except ValueError:
        return None


def _response(answer: Answer, headers: dict[str, str]) -> web.Response:
    if answer.body is None:
        return web.Response(status=answer.status, headers=headers)
    return web.json_response(answer.body, status=answer.status, headers=headers)
