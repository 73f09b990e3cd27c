"""HTTP side of the fake API server: reads requests, applies planned faults, sends responses and streams watches.

The module must not decide anything about objects; `resources`, `writes` and `watches` do.
"""

import asyncio
import time
from collections.abc import Sequence

import orjson
from aiohttp import web

from support.apiserver import discovery
from support.apiserver.errors import ApiError
from support.apiserver.faults import Fault, FaultPlan
from support.apiserver.kinds import Kind, Obj
from support.apiserver.requests import Recorder, Request, locate
from support.apiserver.resources import Resources
from support.apiserver.store import Store
from support.apiserver.watches import Watch, Watches

_HEALTH = ("/readyz", "/livez", "/healthz")
_JSON = "application/json"


class _CutError(Exception):
    """The connection is closed without a response."""


class Endpoint:
    def __init__(
        self, store: Store, resources: Resources, watches: Watches, *, bookmark_interval_s: float
    ) -> None:
        self._store = store
        self._resources = resources
        self._watches = watches
        self._bookmark_interval_s = bookmark_interval_s
        self.recorder = Recorder(store.changed)
        self.faults = FaultPlan()
        self.latency_s = 0.0
        """Time before a request is processed."""

    async def handle(self, http: web.BaseRequest, client: str = "") -> web.StreamResponse:
        request = await _read(http, client)
        try:
            return await self._answer(http, request)
        except ApiError as error:
            request.status = error.code
            headers = {}
            if error.retry_after is not None:
                headers["Retry-After"] = str(error.retry_after)
            return _json(error.code, error.body(), headers)
        except _CutError:
            return _cut(http)
        finally:
            if request.verb != "watch" or request.status != 200:
                self.recorder.add(request)

    async def _answer(self, http: web.BaseRequest, request: Request) -> web.StreamResponse:
        not_located: ApiError | None = None
        try:
            locate(request, self._store.kinds)
        except ApiError as error:
            not_located = error
        if self.latency_s:
            await asyncio.sleep(self.latency_s)
        faults = self.faults.for_request(request)
        await _apply_faults(faults)
        if not_located is not None:
            raise not_located
        if request.kind is None:
            return self._other(request)
        if request.verb == "watch":
            return await self._stream(http, request)
        held = next((fault for fault in faults if fault.effect == "hold"), None)
        if held is None:
            body = self._process(request, request.kind)
        else:
            processing = asyncio.ensure_future(self._process_later(request, request.kind, held))
            # If the client is gone, the result is not read.
            processing.add_done_callback(lambda done: done.cancelled() or done.exception())
            body = await asyncio.shield(processing)
        if any(fault.effect == "lose_reply" for fault in faults):
            request.reply_lost = True
            raise _CutError
        failed = next((fault for fault in faults if fault.effect == "fail_after"), None)
        if failed is not None:
            raise ApiError(failed.status, f"planned fault {failed.status} after the commit")
        return _json(request.status, body)

    def _process(self, request: Request, kind: Kind) -> Obj:
        # A test that sees the change must also find its request.
        with self._store.lock:
            version = self._store.version
            try:
                request.status, body = self._resources.answer(request, kind)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                raise ApiError(400, f"the request is malformed: {error!r}") from error
            request.changed = self._store.version != version
            self.recorder.add(request)
        return body

    async def _process_later(self, request: Request, kind: Kind, fault: Fault) -> Obj:
        await fault.held()
        return self._process(request, kind)

    def _other(self, request: Request) -> web.Response:
        if request.path in _HEALTH:
            request.status = 200
            return web.Response(text="ok")
        document = discovery.document(request.path, self._store.kinds.values())
        if document is None:
            raise ApiError(404, "the server could not find the requested resource")
        request.status = 200
        return _json(200, document)

    async def _stream(self, http: web.BaseRequest, request: Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": _JSON})
        try:
            watch = self._watches.start(request)
        except ApiError as error:
            if error.code != 410:
                raise
            request.status = 200
            self.recorder.add(request)
            await response.prepare(http)
            await response.write(orjson.dumps({"type": "ERROR", "object": error.body()}) + b"\n")
            return response
        request.status = 200
        self.recorder.add(request)
        try:
            await response.prepare(http)
            await self._feed(watch, response, request)
        except ConnectionError:
            pass
        finally:
            self._watches.stop(watch)
        return _cut(http) if watch.is_cut else response

    async def _feed(self, watch: Watch, response: web.StreamResponse, request: Request) -> None:
        seconds = float(request.query.get("timeoutSeconds") or 3600)
        wants_bookmarks = request.query.get("allowWatchBookmarks") == "true"
        deadline = time.monotonic() + seconds
        while not watch.is_over:
            left = deadline - time.monotonic()
            if watch.is_stalled:
                await watch.wake.wait()
            elif watch.pending:
                await response.write(watch.take_pending())
            elif watch.is_ending or left <= 0:
                break
            else:
                is_idle = await _is_idle(watch, min(left, self._bookmark_interval_s))
                if is_idle and wants_bookmarks and not watch.is_stalled:
                    await response.write(watch.bookmark())
            watch.wake.clear()


async def _is_idle(watch: Watch, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            await watch.wake.wait()
    except TimeoutError:
        return True
    return False


async def _read(http: web.BaseRequest, client: str) -> Request:
    return Request(
        method=http.method,
        path=http.path,
        query=dict(http.query),
        user_agent=http.headers.get("User-Agent", ""),
        content_type=http.headers.get("Content-Type", "").partition(";")[0].strip(),
        raw=await http.read(),
        client=client,
    )


async def _apply_faults(faults: Sequence[Fault]) -> None:
    """Apply the planned faults before the request is processed."""
    for fault in faults:
        match fault.effect:
            case "delay":
                await asyncio.sleep(fault.seconds)
            case "hang":
                await fault.held()
            case "cut":
                raise _CutError
            case "fail":
                message = fault.message or f"planned fault {fault.status}"
                raise ApiError(fault.status, message, retry_after=fault.retry_after)
            case "lose_reply" | "fail_after" | "hold" | "pass":
                continue


def _json(status: int, body: object, headers: dict[str, str] | None = None) -> web.Response:
    return web.Response(
        body=orjson.dumps(body), status=status, content_type=_JSON, headers=headers or None
    )


def _cut(http: web.BaseRequest) -> web.Response:
    if http.transport is not None:
        http.transport.abort()
    return web.Response()
