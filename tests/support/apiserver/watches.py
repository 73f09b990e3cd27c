"""Watch streams: their selection, their position in the history, and the bytes that each must send.

A stream resumes from history and follows changes. A test can end or stall it.
"""

import asyncio
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field

import orjson

from support.apiserver import errors
from support.apiserver.kinds import Kind
from support.apiserver.requests import Request
from support.apiserver.selectors import Selects, selector
from support.apiserver.store import Change, Store

DelaysS = Callable[[], Iterable[float]]
"""Returns the delays in seconds after which an event is sent: several for several copies, none for a lost event."""


@dataclass(slots=True, kw_only=True, eq=False)
class Watch:
    kind: Kind
    namespace: str
    selects: Selects
    loop: asyncio.AbstractEventLoop
    wake: asyncio.Event
    client: str = ""
    pending: deque[bytes] = field(default_factory=deque)
    position: int = 0
    since: int = 0
    """Version from which the client resumes."""
    is_stalled: bool = False
    is_over: bool = False
    is_ending: bool = False
    is_cut: bool = False
    delays_s: DelaysS | None = None
    undelivered: list[int] = field(default_factory=list)
    disturbed: Counter[str] = field(default_factory=Counter)
    """Events by the name of their object that were not sent, or not sent once and at once."""
    thread: int = field(default_factory=threading.get_ident)

    def offer(self, change: Change) -> None:
        """Queue a change if this stream selects it."""
        self.position = change.version
        if change.version <= self.since or not self._is_here(change):
            return
        was = change.before is not None and self.selects(change.before)
        now = not change.deleted and self.selects(change.after)
        if not was and not now:
            return
        if self.is_stalled or self.delays_s is not None:
            self.disturbed[change.after["metadata"]["name"]] += 1
        if self.is_stalled:
            return
        event_type = "DELETED" if not now else "MODIFIED" if was else "ADDED"
        line = change.line(event_type)
        if self.delays_s is None:
            self._deliver(line)
            return
        for delay_s in self.delays_s():
            self.undelivered.append(change.version)
            self.loop.call_later(delay_s, self._deliver_late, line, change.version)

    def _deliver(self, line: bytes) -> None:
        self.pending.append(line)
        self.notify()

    def _deliver_late(self, line: bytes, version: int) -> None:
        self.undelivered.remove(version)
        self._deliver(line)

    def notify(self) -> None:
        if threading.get_ident() == self.thread:
            self.wake.set()
        else:
            self.loop.call_soon_threadsafe(self.wake.set)

    def end(self, *, cut: bool) -> None:
        self.is_over, self.is_cut = True, cut
        self.notify()

    def end_after_pending(self) -> None:
        """End the stream when all queued lines are sent."""
        self.is_ending = True
        self.notify()

    def take_pending(self) -> bytes:
        lines = []
        # Another thread may add changes in the meantime, so lines are removed one by one.
        while self.pending:
            lines.append(self.pending.popleft())
        return b"".join(lines)

    def bookmark(self, *, initial: bool = False) -> bytes:
        # A client resumes from a bookmark, so it must not be newer than an event that is not sent yet.
        position = min((self.position, *(version - 1 for version in self.undelivered)))
        metadata: dict[str, object] = {"resourceVersion": str(position)}
        if initial:
            metadata["annotations"] = {"k8s.io/initial-events-end": "true"}
        obj = {
            "kind": self.kind.kind,
            "apiVersion": self.kind.api_version,
            "metadata": metadata,
        }
        return orjson.dumps({"type": "BOOKMARK", "object": obj}) + b"\n"

    def _is_here(self, change: Change) -> bool:
        if not self.namespace:
            return True
        return bool(change.after["metadata"].get("namespace", "") == self.namespace)


class Watches:
    """Open streams of a server."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._open: dict[Kind, list[Watch]] = {}
        self.stalled: set[tuple[str, str]] = set()
        """Resource and client of new streams that are stalled. An empty text is any of them."""
        self.ending_resources: set[str] = set()
        self.delays_s: DelaysS | None = None
        self.disturbed: Counter[str] = Counter()
        """Disturbed events by the name of their object, and streams that ended at once or with 410 by their kind."""
        store.subscribers.append(self._offer)

    def start(self, request: Request) -> Watch:
        """Open a stream. It sends the missed changes or the existing objects first, and new changes afterwards."""
        kind, query = request.kind, request.query
        if kind is None:
            raise errors.ApiError(404, "the server could not find the requested resource")
        if request.name:
            query = {**query, "fieldSelector": f"metadata.name={request.name}"}
        watch = Watch(
            kind=kind,
            namespace=request.namespace,
            selects=selector(query),
            loop=asyncio.get_running_loop(),
            wake=asyncio.Event(),
            client=request.client,
            delays_s=self.delays_s,
            disturbed=self.disturbed,
        )
        with self._store.lock:
            self._catch_up(watch, query)
            watch.position = self._store.version
            watch.is_stalled = any(
                resource in ("", kind.plural) and client in ("", request.client)
                for resource, client in self.stalled
            )
            watch.is_over = not self.ending_resources.isdisjoint(("", kind.plural))
            self.disturbed[kind.plural] += watch.is_over
            self._open.setdefault(kind, []).append(watch)
        if query.get("sendInitialEvents") == "true":
            watch.pending.append(watch.bookmark(initial=True))
        return watch

    def stop(self, watch: Watch) -> None:
        with self._store.lock:
            self._open[watch.kind].remove(watch)
            self._store.changed.notify_all()

    def select(self, resource: str = "") -> Iterator[Watch]:
        for kind, watches in self._open.items():
            if resource in ("", kind.plural, kind.resource):
                yield from watches

    def each(self, act: Callable[[Watch], None], resource: str) -> int:
        """Call a function with each open stream of a resource (or of all). Return their number."""
        with self._store.lock:
            chosen = list(self.select(resource))
            for watch in chosen:
                act(watch)
        return len(chosen)

    def _offer(self, kind: Kind, change: Change) -> None:
        for watch in self._open.get(kind, ()):
            watch.offer(change)

    def _catch_up(self, watch: Watch, query: Mapping[str, str]) -> None:
        wanted = query.get("resourceVersion", "")
        initial = query.get("sendInitialEvents") == "true"
        if wanted in ("", "0") or initial:
            for record in self._store.records(watch.kind, watch.namespace):
                version = int(record.obj["metadata"]["resourceVersion"])
                watch.offer(Change(version=version, before=None, after=record.obj))
            return
        since, table = int(wanted), self._store.table(watch.kind)
        watch.since = since
        if since < table.oldest:
            self.disturbed[watch.kind.plural] += 1
            raise errors.expired(since, table.oldest)
        missed: list[Change] = []
        for change in reversed(table.history):
            if change.version <= since:
                break
            missed.append(change)
        for change in reversed(missed):
            watch.offer(change)
