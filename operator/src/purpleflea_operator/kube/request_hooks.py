"""What a session to the API server sends and hears, through aiohttp's trace hooks: for both kopf's session and ours.

Holds writes back unless the guard lets them pass, tells what was answered, and knows since when a watch is silent. It
changes nothing about a request.
"""

from collections.abc import Callable
from types import SimpleNamespace

import aiohttp
from yarl import URL

Guard = Callable[[], None]
Told = Callable[[str, str, str], None]
"""Takes verb, resource and code (or the kind of the failure) of a request that ended."""

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_VERBS = {"POST": "create", "PUT": "update", "PATCH": "patch", "DELETE": "delete"}


def fence_writes(guard: Guard) -> aiohttp.TraceConfig:
    """Asks the guard in the last moment before a write leaves: after the wait for a connection.

    The guard raises to hold it back. Headers and body go out together, so it is asked for each: on Python 3.11 other
    tasks may run between the two.
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


def told(tell: Told) -> aiohttp.TraceConfig:
    """Tells the answer to each request; a watch is answered when it starts."""

    async def on_end(_: object, __: SimpleNamespace, params: aiohttp.TraceRequestEndParams) -> None:
        tell(*operation(params.method, params.url), str(params.response.status))

    async def on_failure(
        _: object, __: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams
    ) -> None:
        tell(*operation(params.method, params.url), type(params.exception).__name__)

    trace = aiohttp.TraceConfig()
    trace.on_request_end.append(on_end)
    trace.on_request_exception.append(on_failure)
    return trace


def operation(method: str, url: URL) -> tuple[str, str]:
    """Verb and resource of a request, in the words of Kubernetes: ("patch", "purplefleaagents/status")."""
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
    """Since when each watch is silent.

    Heard is what arrives on the stream, events and bookmarks alike, and every list. A stream that opens and says
    nothing is not heard: kopf opens silent ones anew, and they may be deaf again. A request that fails counts as
    heard: kopf knows of that, tries again, and a restart would not help.
    """

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._heard: dict[str, float] = {}
        self._open: dict[str, tuple[aiohttp.StreamReader, int]] = {}

    def expect(self, path: str) -> None:
        """Count the silence of a path from now on."""
        self._heard[path] = self._clock()

    def trace(self) -> aiohttp.TraceConfig:
        """The hooks for the session that watches."""

        async def on_end(
            _: object, __: SimpleNamespace, params: aiohttp.TraceRequestEndParams
        ) -> None:
            path, response = params.url.path, params.response
            if response.status == 200 and params.url.query.get("watch") == "true":
                self._listen(path)
                self._open[path] = (response.content, response.content.total_raw_bytes)
            elif path in self._heard:
                self.expect(path)

        async def on_failure(
            _: object, __: SimpleNamespace, params: aiohttp.TraceRequestExceptionParams
        ) -> None:
            if params.url.path in self._heard:
                self.expect(params.url.path)

        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(on_end)
        trace.on_request_exception.append(on_failure)
        return trace

    def silent_s(self) -> dict[str, float]:
        """Seconds of silence by path. What arrived since the last call counts as heard now."""
        for path in tuple(self._open):
            self._listen(path)
        now = self._clock()
        return {path: now - heard for path, heard in self._heard.items()}

    def _listen(self, path: str) -> None:
        stream, known = self._open.get(path, (None, 0))
        if stream is not None and stream.total_raw_bytes != known:
            self._open[path] = (stream, stream.total_raw_bytes)
            self.expect(path)
