"""Paces kopf's lists and watches by path, takes the objects out of them, and replaces errors that end kopf.

kopf ends all its watches if one of them is refused (404, 403) or reports an unexpected error in its stream, and it
opens a watch that ends at once again without a pause. It keeps every object of a list until a worker has processed it.
The gate is an aiohttp middleware of kopf's session, so each path, which is a kind in a namespace, fails and recovers
separately. The gate passes the objects of lists and events to the observer, and gives kopf empty lists and bookmarks.
It must not change a request, except that it requests a page with fewer objects if a page is too large.
"""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Any, cast

import aiohttp
import orjson

from purpleflea_operator import bounded_body
from purpleflea_operator.kube import listing
from purpleflea_operator.kube.listing import ListReader, PageSize, decoded
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.kube.watch_state import REFUSED, WatchObserver, WatchState, WatchStates
from purpleflea_operator.kube.watch_stream import StartOverError, WatchStream
from purpleflea_operator.parsing import Manifest

Sleep = Callable[[float], Awaitable[None]]

_PASSED_ON = (401,)
"""kopf reads the credentials again after a 401."""
_START_OVER = (
    b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired",'
    b'"message":"the watch must start over"}}\n'
)


class WatchRefusedError(aiohttp.ClientConnectionError):
    """The API server did not serve a list or a watch. kopf treats the error as a lost connection and retries."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True, kw_only=True)
class _Path:
    """One path, with the list that kopf reads and the stream that it has opened."""

    kind: ResourceKind
    namespace: str
    state: WatchState
    reader: ListReader | None = None
    size: PageSize = field(default_factory=PageSize)
    stream: "_Stream | None" = None
    must_start_over: bool = False
    """True if a list was not complete. kopf must not watch from its version."""


class _Content:
    """Content of a response with another body."""

    def __init__(self, content: aiohttp.StreamReader, body: bytes) -> None:
        self._content = content
        self._body = body

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def read(self) -> bytes:
        """Return the body. kopf reads it at once."""
        return self._body


def _empty_list(kind: ResourceKind, *, version: str, token: str) -> bytes:
    metadata = {"resourceVersion": version, "continue": token}
    return orjson.dumps({"kind": f"{kind.kind}List", "metadata": metadata, "items": []})


class _Stream:
    """Content of a watch. Its events go to the observer, and kopf reads only their versions, as bookmarks.

    kopf would pass each event through a queue and a task of its object, which takes about ten iterations of the event
    loop. If the processor is busy, this delays a halt by a second.
    """

    def __init__(
        self, content: aiohttp.StreamReader, opened_at: float, events: WatchStream
    ) -> None:
        self._content = content
        self._events = events
        self.opened_at = opened_at
        self.has_events = False
        self.error = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Yield a bookmark after the events of each chunk, or the only error after which kopf lists again."""
        try:
            async for version in self._events.read(self._content.iter_chunked(size)):
                self.has_events = True
                if version:
                    yield _bookmark(version)
        except StartOverError as error:
            self.error = str(error)
            yield _START_OVER
        except ValueError as error:
            self.error = f"unreadable event in the stream: {error}"[:500]
            yield _START_OVER


class _ExpiredStream(_Stream):
    """Content of a watch that cannot start, because its version has expired."""

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Yield the error after which kopf lists again."""
        yield _START_OVER


def _bookmark(version: str) -> bytes:
    event = {"type": "BOOKMARK", "object": {"metadata": {"resourceVersion": version}}}
    return orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)


class WatchGate:
    """Middleware of kopf's session."""

    def __init__(self, states: WatchStates, observer: WatchObserver, *, sleep: Sleep) -> None:
        self._states = states
        self._observer = observer
        self._sleep = sleep
        self._paths: dict[str, _Path] = {}

    def add(self, kind: ResourceKind, paths: Iterable[tuple[str, str]]) -> None:
        """Add the paths of a kind, each with its namespace. Requests to other paths pass unchanged."""
        for namespace, path in paths:
            self._states.add((path,), self._observer)
            (state,) = self._states.of((path,))
            self._paths.setdefault(path, _Path(kind=kind, namespace=namespace, state=state))

    def on_new_session(self) -> None:
        """Ignore how the streams of the last session ended, because kopf closed them itself."""
        for path in self._paths.values():
            path.stream = None

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send a request, not before the backoff of its path is over."""
        path = self._paths.get(request.url.path)
        if path is None or request.method != "GET":
            return await handler(request)
        _judge_stream(path)
        while (delay_s := path.state.delay_s()) > 0:
            await self._sleep(delay_s)
        if request.url.query.get("watch") == "true":
            response = await _response(path, request, handler)
            is_passed_on = response.status in _PASSED_ON
            return response if is_passed_on else await self._opened(path, response)
        return await self._listed(path, request, handler)

    async def _opened(
        self, path: _Path, response: aiohttp.ClientResponse
    ) -> aiohttp.ClientResponse:
        is_expired = path.must_start_over or response.status == 410
        if not is_expired:
            await _check(path, response)
        path.must_start_over = False
        of_path = _ExpiredStream if is_expired else _Stream
        events = WatchStream(path.state.path, path.kind, self._observer)
        stream = of_path(response.content, path.state.now(), events)
        response.status = 200
        # kopf reads only `iter_chunked`; the rest is passed to the original content.
        response.content = cast(aiohttp.StreamReader, stream)
        path.stream = stream
        return response

    async def _listed(
        self, path: _Path, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Read one page of a list, and return it to kopf without its objects."""
        token = request.url.query.get("continue", "")
        response, page = await _page(path, request, handler)
        if response.status in _PASSED_ON:
            return response
        if not token:
            path.reader = ListReader(path.kind, functools.partial(self._on_object, path))
        reader = path.reader
        if response.status == 410 or reader is None or reader.token != token:
            # kopf would request this page again and again. With an expired version it lists from the start.
            path.reader, path.must_start_over = None, True
            await _message(response)
            response.status, body = 200, _empty_list(path.kind, version="0", token="")
        else:
            await self._read(path, reader, page)
            body = _empty_list(path.kind, version=reader.version, token=reader.token)
        response.content = cast(aiohttp.StreamReader, _Content(response.content, body))
        return response

    async def _read(self, path: _Path, reader: ListReader, page: bytes) -> None:
        """Pass the objects of one page to the observer.

        Raises:
            WatchRefusedError: The response is not a list.
        """
        try:
            await reader.read(page)
        except ValueError as error:
            raise _failure(path, error) from error
        if not reader.token:
            path.reader = None
            self._observer.on_listed(path.state.path, reader.listing(path.namespace))
            path.state.on_list_end()

    def _on_object(self, path: _Path, manifest: Manifest) -> None:
        self._observer.on_event(path.state.path, None, manifest)


async def _response(
    path: _Path, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Send a request. Its failure is one of the path."""
    try:
        return await handler(request)
    except (aiohttp.ClientError, OSError) as error:
        path.state.fail(f"{type(error).__name__}: {error}")
        raise


async def _page(
    path: _Path, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> tuple[aiohttp.ClientResponse, bytes]:
    """Return one page of a list, of fewer objects if it is too large. It is empty if kopf or the list starts over.

    Raises:
        WatchRefusedError: The response is not a page.
    """
    while True:
        if path.size.objects < listing.PAGE_SIZE:
            request.url = request.url.update_query(limit=str(path.size.objects))
        response = await _response(path, request, handler)
        if response.status in (*_PASSED_ON, 410):
            return response, b""
        await _check(path, response)
        try:
            page = await bounded_body.read(response, path.size.limit)
        except bounded_body.TooLargeError as error:
            if not path.size.shrink():
                raise _failure(path, error) from error
        except (aiohttp.ClientError, OSError) as error:
            raise _failure(path, error) from error
        else:
            path.size.adapt(len(page))
            return response, page


def _failure(path: _Path, error: Exception) -> WatchRefusedError:
    path.state.fail(f"{type(error).__name__}: {error}"[:500])
    return WatchRefusedError(0, str(error))


async def _check(path: _Path, response: aiohttp.ClientResponse) -> None:
    """Raise WatchRefusedError unless kopf can process the response."""
    status = response.status
    if status == 200 and response.content_type == "application/json":
        path.state.recover()
        return
    retry_after_s = response.headers.get("Retry-After", "")
    is_number = retry_after_s.isdecimal() and len(retry_after_s) < 10
    message = await _message(response)
    response.release()
    path.state.fail(
        message,
        status=status,
        hold_s=float(retry_after_s) if is_number else 0.0,
        is_refusal=status in REFUSED,
    )
    raise WatchRefusedError(status, path.state.error)


def _judge_stream(path: _Path) -> None:
    """Set the delay before the next request from how the last stream ended."""
    stream, path.stream = path.stream, None
    if stream is None:
        return
    if stream.error:
        path.state.fail(stream.error)
    else:
        path.state.on_stream_end(stream.opened_at, has_events=stream.has_events)


async def _message(response: aiohttp.ClientResponse) -> str:
    """Return the message of a Status, else the first characters of the response."""
    try:
        payload = await response.content.read(10_000)
    except (aiohttp.ClientError, OSError):
        return ""
    try:
        return str(decoded(payload)["message"])[:500]
    except (ValueError, KeyError):
        return payload.decode("utf-8", "replace")[:200]
