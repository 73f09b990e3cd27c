"""Paces kopf's lists and watches by path, and turns their errors into errors that kopf retries.

kopf ends all its watches if one of them is refused (404, 403) or reports an unexpected error in its stream, and it
opens a watch that ends at once again without a pause. The gate is an aiohttp middleware of kopf's session, so each
path, which is a kind in a namespace, fails and recovers separately. The gate must not change a request.
"""

import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Protocol, cast

import aiohttp
import orjson

from purpleflea_operator import timings

logger = logging.getLogger(__name__)

Sleep = Callable[[float], Awaitable[None]]

_REFUSED = (403, 404)
_PASSED_ON = (401,)
"""kopf reads the credentials again after a 401."""
_ERROR = b'{"type":"ERROR"'
_START_OVER = (
    b'{"type":"ERROR","object":{"kind":"Status","code":410,"reason":"Expired",'
    b'"message":"the watch must start over"}}\n'
)


class WatchObserver(Protocol):
    """Receiver of the state of each path."""

    def on_listed(self, path: str) -> None:
        """Process the start of a list by kopf, whose result may be empty."""

    def on_refused(self, path: str, *, is_refused: bool) -> None:
        """Process that the API server refuses a watch (403, 404), or serves it again."""


class WatchRefusedError(aiohttp.ClientConnectionError):
    """The API server did not serve a list or a watch. kopf treats the error as a lost connection and retries."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(slots=True)
class _Path:
    """State of one path. `level` is the exponent of the backoff."""

    level: int = 0
    not_before: float = 0.0
    stream: "_Stream | None" = None
    error: str = ""
    refused_since: float | None = None


class _Stream:
    """Content of a watch: complete lines, with errors replaced by the only one after which kopf lists again."""

    def __init__(self, content: aiohttp.StreamReader, opened_at: float, *, expired: bool) -> None:
        self._content = content
        self._expired = expired
        self.opened_at = opened_at
        self.has_events = False
        self.error = ""

    def __getattr__(self, name: str) -> Any:
        return getattr(self._content, name)

    async def iter_chunked(self, size: int) -> AsyncIterator[bytes]:
        """Yield chunks that end at the end of a line. An incomplete last line is dropped, because kopf would fail."""
        if self._expired:
            yield _START_OVER
            return
        rest = b""
        async for chunk in self._content.iter_chunked(size):
            head, newline, tail = chunk.rpartition(b"\n")
            if not newline:
                rest += chunk
                continue
            lines, rest = rest + head + newline, tail
            if _ERROR in lines and (lines := self._checked(lines)).endswith(_START_OVER):
                yield lines
                return
            self.has_events = True
            yield lines

    def _checked(self, lines: bytes) -> bytes:
        """Replace an error and drop the lines after it."""
        checked: list[bytes] = []
        for line in lines.splitlines(keepends=True):
            if line.startswith(_ERROR):
                self.error = _stream_error(line)
                return b"".join((*checked, _START_OVER))
            checked.append(line)
        return lines


class WatchGate:
    """Middleware of kopf's session. `jitter` returns numbers in [0, 1), and `clock` returns monotonic seconds."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        jitter: Callable[[], float],
        sleep: Sleep,
    ) -> None:
        self._clock = clock
        self._jitter = jitter
        self._sleep = sleep
        self._paths: dict[str, _Path] = {}
        self._observers: list[WatchObserver] = []

    def add_paths(self, paths: Iterable[str]) -> None:
        """Add paths to pace. Requests to other paths pass unchanged."""
        for path in paths:
            self._paths.setdefault(path, _Path())

    def add_observer(self, observer: WatchObserver) -> None:
        """Add a receiver of the state of each path."""
        self._observers.append(observer)

    def on_new_session(self) -> None:
        """Ignore how the streams of the last session ended, because kopf closed them itself."""
        for state in self._paths.values():
            state.stream = None

    def failures(self) -> dict[str, str]:
        """Return the error of each path that fails, and an empty text for the others."""
        return {path: state.error for path, state in self._paths.items()}

    def refused_s(self, path: str) -> float:
        """Return the seconds for which the API server has refused a path (403, 404), or 0."""
        since = self._paths[path].refused_since
        return 0.0 if since is None else self._clock() - since

    async def __call__(
        self, request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        """Send a request, not before the backoff of its path is over."""
        path = request.url.path
        state = self._paths.get(path)
        if state is None or request.method != "GET":
            return await handler(request)
        self._judge_stream(path, state)
        while (delay_s := state.not_before - self._clock()) > 0:
            await self._sleep(delay_s)
        try:
            response = await handler(request)
        except (aiohttp.ClientError, OSError) as error:
            self._fail(path, state, f"{type(error).__name__}: {error}")
            raise
        if request.url.query.get("watch") == "true":
            return await self._opened(path, state, response)
        return await self._listed(path, state, response)

    async def _opened(
        self, path: str, state: _Path, response: aiohttp.ClientResponse
    ) -> aiohttp.ClientResponse:
        expired = response.status == 410
        if not expired:
            await self._check(path, state, response)
        if response.status in _PASSED_ON:
            return response
        stream = _Stream(response.content, self._clock(), expired=expired)
        response.status = 200
        # kopf reads only `iter_chunked`; the rest is passed to the original content.
        response.content = cast(aiohttp.StreamReader, stream)
        state.stream = stream
        return response

    async def _listed(
        self, path: str, state: _Path, response: aiohttp.ClientResponse
    ) -> aiohttp.ClientResponse:
        await self._check(path, state, response)
        if response.status == 200:
            for observer in self._observers:
                observer.on_listed(path)
        return response

    async def _check(self, path: str, state: _Path, response: aiohttp.ClientResponse) -> None:
        """Raise WatchRefusedError unless kopf can process the response."""
        status = response.status
        if status in _PASSED_ON:
            return
        if status == 200 and response.content_type == "application/json":
            self._recover(path, state)
            return
        retry_after_s = response.headers.get("Retry-After", "")
        hold_s = float(retry_after_s) if retry_after_s.isdecimal() else 0.0
        error = f"{status}: {await _message(response)}"
        response.release()
        self._fail(path, state, error, hold_s=hold_s, refused=status in _REFUSED)
        raise WatchRefusedError(status, error)

    def _judge_stream(self, path: str, state: _Path) -> None:
        """Set the delay before the next request from how the last stream ended."""
        stream, state.stream = state.stream, None
        if stream is None:
            return
        if stream.error:
            self._fail(path, state, stream.error)
        elif self._clock() - stream.opened_at >= timings.WATCH_STEADY_S:
            state.level = 0
        elif stream.has_events:
            # The watch makes progress, so an event such as a halt must not wait for a long backoff.
            state.level = 1
            self._hold(state)
        else:
            state.level += 1
            self._hold(state)
            if state.level == timings.WATCH_SHORT_LIMIT:
                logger.warning(
                    "a watch ends at once; it is opened with backoff", extra={"path": path}
                )

    def _hold(self, state: _Path, hold_s: float = 0.0) -> None:
        ceiling = timings.WATCH_BACKOFF_BASE_S * 2.0 ** min(state.level - 1, 16)
        delay_s = min(timings.WATCH_BACKOFF_LIMIT_S, ceiling) * (0.5 + self._jitter() / 2)
        hold_s = min(hold_s, timings.LONGEST_RETRY_AFTER_S)
        state.not_before = self._clock() + max(delay_s, hold_s)

    def _fail(
        self, path: str, state: _Path, error: str, *, hold_s: float = 0.0, refused: bool = False
    ) -> None:
        state.level += 1
        self._hold(state, hold_s)
        if not state.error:
            logger.warning("a watch fails; retrying", extra={"path": path, "error": error[:500]})
        state.error = error
        self._set_refused(path, state, refused=refused)

    def _recover(self, path: str, state: _Path) -> None:
        if state.error:
            logger.info("a watch works again", extra={"path": path})
        state.error = ""
        self._set_refused(path, state, refused=False)

    def _set_refused(self, path: str, state: _Path, *, refused: bool) -> None:
        if (state.refused_since is not None) is not refused:
            state.refused_since = self._clock() if refused else None
            for observer in self._observers:
                observer.on_refused(path, is_refused=refused)


async def _message(response: aiohttp.ClientResponse) -> str:
    """Return the message of a Status, else the first characters of the response."""
    try:
        payload = await response.content.read(10_000)
    except (aiohttp.ClientError, OSError):
        return ""
    try:
        return str(orjson.loads(payload)["message"])[:500]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return payload.decode("utf-8", "replace")[:200]


def _stream_error(line: bytes) -> str:
    """Return the text of an error in a stream, or an empty text if the version of the watch expired."""
    try:
        status = orjson.loads(line)["object"]
        code, message = status.get("code"), status.get("message")
    except (orjson.JSONDecodeError, KeyError, AttributeError, TypeError):
        return "unreadable error in the stream"
    return "" if code == 410 else f"{code}: {str(message)[:500]}"
