"""Lists of Events by namespace and reason, which all agents of a namespace share.

The API server has no index for the fields of Events, so it searches all Events for each request. If 1,000 images are
pulled at once, a request per agent every ten seconds would be 100 searches a second. One list per namespace and reason
has the Events of all agents. The module must not decide which Event explains a problem.
"""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from purpleflea_operator import timings
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.parsing import MESSAGE_LIMIT, Manifest, mapping, text

Key = tuple[str, str]
"""Namespace and reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedEvent:
    """The part of an Event that explains a problem."""

    message: str
    last: object
    """Timestamp of the Event, not yet parsed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _List:
    read_at: datetime
    events: Mapping[str, Sequence[SharedEvent]] | errors.ApiError
    """Events by the UID of their object, or the error of the read, which all agents share too."""


class EventLists:
    """Reads each list at most every timings.EVENTS_AGE_S, and starts a read at most every `gap_s`."""

    def __init__(
        self,
        cluster: KubeClient,
        *,
        now: Callable[[], datetime],
        gap_s: float = timings.EVENTS_GAP_S,
    ) -> None:
        self._cluster = cluster
        self._now = now
        self._gap_s = gap_s
        self._next_at = float("-inf")
        self._lists: dict[Key, _List] = {}
        # Agents of the same namespace wait for one read.
        self._locks: dict[Key, asyncio.Lock] = {}

    async def about(self, namespace: str, *, reason: str, uid: str) -> Sequence[SharedEvent]:
        """Return the Events about an object, the newest last.

        Raises:
            ApiError: The Events cannot be read.
        """
        key = (namespace, reason)
        async with self._locks.setdefault(key, asyncio.Lock()):
            if not self._is_recent(self._lists.get(key)):
                self._lists[key] = await self._read(key)
            found = self._lists[key].events
        if isinstance(found, errors.ApiError):
            raise found
        return found.get(uid, ())

    def _is_recent(self, known: _List | None) -> bool:
        if known is None:
            return False
        # The clock of the wall may step back.
        return abs((self._now() - known.read_at).total_seconds()) < timings.EVENTS_AGE_S

    async def _read(self, key: Key) -> _List:
        await self._turn()
        self._forget_old()
        namespace, reason = key
        try:
            events = await self._cluster.events_with_reason(namespace, reason=reason)
        except errors.ApiError as error:
            return _List(read_at=self._now(), events=error)
        by_uid: dict[str, list[SharedEvent]] = {}
        for item in events:
            if item.get("reason") == reason:
                uid = text(mapping(item.get("involvedObject")).get("uid"))
                by_uid.setdefault(uid, []).append(_shared(item))
        return _List(read_at=self._now(), events=by_uid)

    async def _turn(self) -> None:
        """Wait until a read may start."""
        loop = asyncio.get_running_loop()
        at = max(loop.time(), self._next_at)
        self._next_at = at + self._gap_s
        await asyncio.sleep(at - loop.time())

    def _forget_old(self) -> None:
        for key in [key for key, known in self._lists.items() if not self._is_recent(known)]:
            del self._lists[key]
        for key in [key for key, lock in self._locks.items() if not lock.locked()]:
            del self._locks[key]


def _shared(item: Manifest) -> SharedEvent:
    message = text(item.get("message"), limit=MESSAGE_LIMIT)
    return SharedEvent(message=message, last=item.get("lastTimestamp"))
