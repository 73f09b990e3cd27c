"""Keeps one kind in one namespace current: a list page by page, and a watch from its resource version.

`refresh` lists a path once more, beside its watch.

kopf watches the kinds of users. It starts all its watches over together, and cannot watch a kind that is installed
later. The kinds that are only cached are therefore watched here. The module passes each object on and keeps none.
"""

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass

import aiohttp

from purpleflea_operator import bounded_body, timings
from purpleflea_operator.kube import listing
from purpleflea_operator.kube.listing import ListReader, PageSize, decoded
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.kube.watch_state import REFUSED, WatchObserver, WatchState
from purpleflea_operator.kube.watch_stream import StartOverError, WatchStream

logger = logging.getLogger(__name__)

_PASSING = (401, 403, 429, 500, 502, 503)
"""Status codes after which a watch continues from its last version."""


class _FailedError(Exception):
    """The API server did not serve a request."""

    def __init__(self, status: int, message: str, retry_after_s: float = 0.0) -> None:
        super().__init__(message)
        self.status = status
        self.retry_after_s = retry_after_s


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """One path to watch. The namespace is empty for the whole cluster."""

    path: str
    kind: ResourceKind
    namespace: str = ""
    selector: str = ""


class ApiSession:
    """Session to the API server for all reflectors. They parse one page at a time, which bounds the memory."""

    def __init__(self, server: str, session: aiohttp.ClientSession) -> None:
        self.server = server.rstrip("/")
        self.session = session
        self.parsing = asyncio.Lock()


class Reflector:
    """Lists and watches one path until canceled. The observer receives every object."""

    def __init__(
        self, api: ApiSession, target: Target, state: WatchState, observer: WatchObserver
    ) -> None:
        self._api = api
        self._target = target
        self._state = state
        self._observer = observer
        self._stream = WatchStream(target.path, target.kind, observer)
        self._version = ""
        """Resource version from which the watch continues; empty if the kind must be listed."""

    async def run(self) -> None:
        """Keep the kind current, whatever the API server responds."""
        while True:
            await asyncio.sleep(max(0.0, self._state.delay_s()))
            began = self._state.now()
            try:
                await (self._watch() if self._version else self._list())
            except StartOverError as error:
                self._version = ""
                if str(error):
                    self._state.fail(str(error))
                else:
                    self._state.on_stream_end(began, has_events=False)
            except _FailedError as error:
                self._on_failed(error)
            except (aiohttp.ClientError, OSError, TimeoutError) as error:
                self._state.fail(f"{type(error).__name__}: {error}"[:500])
            except ValueError as error:
                # The same line would follow again.
                self._version = ""
                self._state.fail(f"unreadable response: {error}"[:500])

    def _on_failed(self, error: _FailedError) -> None:
        if error.status not in _PASSING:
            # The kind may be installed again later. 504 means that the version is unknown, as after a restore of etcd.
            self._version = ""
        self._state.fail(
            str(error),
            status=error.status,
            hold_s=error.retry_after_s,
            is_refusal=error.status in REFUSED,
        )

    async def _list(self) -> None:
        target = self._target
        reader = await _read_list(self._api, target, self._observer)
        self._state.recover()
        self._version = reader.version
        self._observer.on_listed(target.path, reader.listing(target.namespace))
        self._state.on_list_end()

    async def _watch(self) -> None:
        query = {
            "watch": "true",
            "allowWatchBookmarks": "true",
            "resourceVersion": self._version,
            "timeoutSeconds": str(timings.WATCH_TIMEOUT_S),
            **_selector(self._target),
        }
        timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=timings.CONNECT_TIMEOUT_S, sock_read=timings.WATCH_INACTIVE_S
        )
        opened_at, has_events = self._state.now(), False
        async with self._api.session.get(
            self._api.server + self._target.path, params=query, timeout=timeout
        ) as response:
            if response.status != 200:
                _check(response, await response.content.read(10_000))
            self._state.recover()
            # The end of a stream is normal. A stream without bookmarks may be stalled, so it is opened again.
            with contextlib.suppress(aiohttp.ClientError, OSError, TimeoutError):
                async for version in self._stream.read(response.content.iter_any()):
                    self._version = version or self._version
                    has_events = True
        self._state.on_stream_end(opened_at, has_events=has_events)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """The API server refuses the list of a path."""

    path: str
    kind: ResourceKind
    status: int
    """403 or 404."""
    message: str


async def refresh(
    api: ApiSession,
    target: Target,
    observer: WatchObserver,
    *,
    jitter: Callable[[], float],
    outlasts_refusals: bool = False,
) -> Refusal | None:
    """List a path until a list is complete, or refused unless `outlasts_refusals`. Return the refusal.

    The observer receives every object. `jitter` returns numbers in [0, 1).
    """
    failures = 0
    while True:
        try:
            reader = await _read_list(api, target, observer)
        except _FailedError as error:
            if error.status in REFUSED and not outlasts_refusals:
                return Refusal(
                    path=target.path, kind=target.kind, status=error.status, message=str(error)
                )
            hold_s = min(error.retry_after_s, timings.LONGEST_RETRY_AFTER_S)
        except (StartOverError, aiohttp.ClientError, OSError, TimeoutError, ValueError):
            hold_s = 0.0
        else:
            observer.on_listed(target.path, reader.listing(target.namespace))
            return None
        ceiling = timings.WATCH_BACKOFF_BASE_S * 2.0 ** min(failures, 16)
        failures += 1
        delay_s = min(timings.WATCH_BACKOFF_LIMIT_S, ceiling) * (0.5 + jitter() / 2)
        await asyncio.sleep(max(delay_s, hold_s))


async def _read_list(api: ApiSession, target: Target, observer: WatchObserver) -> ListReader:
    """Pass all objects of a path to the observer.

    Raises:
        _FailedError: The API server did not serve a page.
        StartOverError: The version of the list expired between two pages.
        ValueError: A page is not a list.
    """
    reader = ListReader(target.kind, lambda item: observer.on_event(target.path, None, item))
    size = PageSize()
    query = _selector(target)
    while True:
        query["limit"] = str(size.objects)
        try:
            page = await _page(api, target, query, limit=size.limit)
        except bounded_body.TooLargeError:
            if not size.shrink():
                message = f"an object is larger than {listing.LINE_LIMIT} bytes"
                raise _FailedError(0, message) from None
            continue
        size.adapt(len(page))
        async with api.parsing:
            await reader.read(page)
        del page
        if not reader.token:
            return reader
        query["continue"] = reader.token


async def _page(api: ApiSession, target: Target, query: dict[str, str], *, limit: int) -> bytes:
    timeout = aiohttp.ClientTimeout(
        total=timings.KUBE_REQUEST_TIMEOUT_S, connect=timings.CONNECT_TIMEOUT_S
    )
    async with api.session.get(api.server + target.path, params=query, timeout=timeout) as response:
        payload = await bounded_body.read(response, limit)
        _check(response, payload)
        return payload


def _selector(target: Target) -> dict[str, str]:
    return {"labelSelector": target.selector} if target.selector else {}


def _check(response: aiohttp.ClientResponse, payload: bytes) -> None:
    """Raise an error unless the response is the requested one."""
    status = response.status
    if status == 200:
        return
    if status == 410:
        raise StartOverError
    hold = response.headers.get("Retry-After", "")
    hold_s = float(hold) if hold.isdecimal() and len(hold) < 10 else 0.0
    raise _FailedError(status, _message(payload), hold_s)


def _message(payload: bytes) -> str:
    """Return the message of a Status, else the first characters of the response."""
    try:
        return str(decoded(payload)["message"])[:500]
    except (ValueError, KeyError):
        return payload.decode("utf-8", "replace")[:200]
