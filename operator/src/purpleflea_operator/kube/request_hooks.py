"""Hooks for the sessions to the API server, as aiohttp trace configurations. They apply to kopf's session and to ours.

The hooks fence writes, report each response, and measure the idle time of each watch. They must not change a request.
"""

from collections.abc import Callable
from types import SimpleNamespace

import aiohttp
from yarl import URL

from purpleflea_operator.kube.watch_gate import WatchRefusedError

Guard = Callable[[], None]
ResponseHook = Callable[[str, str, str], None]
"""Receives verb, resource, and status code (or type of the error) of a request that ended."""

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def fence_writes(guard: Guard) -> aiohttp.TraceConfig:
    """Call the guard directly before a write is sent. The guard raises to prevent the write.

    A check before the request is queued is not enough, because the lease may expire while the request waits for a
    connection. Headers and body are checked separately, because on Python 3.11 other tasks may run between the two.
    """

    async def on_headers(_: object, __: SimpleNamespace, params: object) -> None:
        if (
            isinstance(params, aiohttp.TraceRequestHeadersSentParams)
            and params.method not in _READS
        ):
            guard()

    async def on_chunk(_: object, __: SimpleNamespace, params: object) -> None:
        if isinstance(params, aiohttp.TraceRequestChunkSentParams) and params.method not in _READS:
            guard()

    trace = aiohttp.TraceConfig()
    trace.on_request_headers_sent.append(on_headers)
    trace.on_request_chunk_sent.append(on_chunk)
    return trace


def observe_responses(hook: ResponseHook) -> aiohttp.TraceConfig:
    """Report the result of each request. A watch is reported when its stream starts."""

    async def on_end(_: object, __: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        hook(*operation(params.method, params.url), str(params.response.status))

    async def on_failure(
        _: object, __: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams
    ) -> None:
        error = params.exception
        code = str(error.status) if isinstance(error, WatchRefusedError) else type(error).__name__
        hook(*operation(params.method, params.url), code)

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(on_end)
    trace.on_request_exception.append(on_failure)
    return trace


def operation(method: str, url: URL) -> tuple[str, str]:
    """Return the Kubernetes verb and resource of a request, such as ("patch", "purplefleaagents/status")."""
    parts = url.path.strip("/").split("/")
    head, rest = (2, parts[2:]) if parts[0] == "api" else (3, parts[3:])
    if parts[0] not in ("api", "apis") or len(parts) <= head:
        return _VERBS.get(method, "get"), "discovery" if parts[0] in ("api", "apis") else "other"
    if rest[0] == "namespaces" and len(rest) > 2:
        rest = rest[2:]
    resource = "/".join((rest[0], *rest[2:3]))
    if method in _VERBS:
        return _VERBS[method], resource
    if url.query.get("watch") == "true":
        return "watch", resource
    return ("get" if len(rest) > 1 else "list"), resource


class WatchMonitor:
    """Idle time of each watch.

    Bytes on the stream (events and bookmarks) and every list reset the idle time. A stream that opens and sends nothing
    does not, because kopf opens an idle stream again and the new stream may be stalled as well. A failed request resets
    it, because kopf retries the request and a restart of the operator would not help.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._active_at: dict[str, float] = {}
        self._open: dict[str, tuple[aiohttp.StreamReader, int]] = {}

    def reset(self, path: str) -> None:
        """Start to measure the idle time of a path, or set it to 0."""
        self._active_at[path] = self._clock()

    def trace(self) -> aiohttp.TraceConfig:
        """Return the hooks for the session of the watches."""

        async def on_end(
            _: object, __: SimpleNamespace, params: aiohttp.TraceRequestEndParams
        ) -> None:
            path, response = params.url.path, params.response
            if response.status == 200 and params.url.query.get("watch") == "true":
                self._observe_stream(path)
                self._open[path] = (response.content, response.content.total_raw_bytes)
            elif path in self._active_at:
                self.reset(path)

        async def on_failure(
            _: object, __: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams
        ) -> None:
            if params.url.path in self._active_at:
                self.reset(params.url.path)

        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(on_end)
        trace.on_request_exception.append(on_failure)
        return trace

    def idle_s(self) -> dict[str, float]:
        """Return the idle time in seconds by path. Bytes that arrived since the last call count as received now."""
        for path in tuple(self._open):
            self._observe_stream(path)
        now = self._clock()
        return {path: now - active_at for path, active_at in self._active_at.items()}

    def _observe_stream(self, path: str) -> None:
        stream, known = self._open.get(path, (None, 0))
        if stream is not None and stream.total_raw_bytes != known:
            self._open[path] = (stream, stream.total_raw_bytes)
            self.reset(path)
