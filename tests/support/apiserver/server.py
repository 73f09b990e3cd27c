"""Kubernetes API server in memory for tests, with a separate thread and event loop, over HTTP on loopback.

`ApiServer` is the complete interface for tests: objects, faults, watch streams and the record of requests.
"""

import asyncio
import copy
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, Unpack

from aiohttp import web

from support.apiserver import patches
from support.apiserver.endpoint import Endpoint
from support.apiserver.faults import Fault
from support.apiserver.kinds import PRESET, Kind, Obj
from support.apiserver.loopback import Handler, Loopback, serve
from support.apiserver.requests import Request, Where
from support.apiserver.resources import Resources
from support.apiserver.statefulsets import StatefulSets
from support.apiserver.store import Snapshot, Store, Subscriber
from support.apiserver.watches import DelaysS, Watches
from support.apiserver.writes import Target, Writer

# A condition may depend on state outside the server, such as the cache of an operator, so it is also polled.
_POLL_S = 0.05


def utc_now() -> datetime:
    return datetime.now(UTC)


class ApiServer:
    """Fake API server. Use it as a context manager (`with` or `async with`) or with start() and stop()."""

    def __init__(
        self,
        *,
        kinds: Iterable[Kind] = PRESET,
        now: Callable[[], datetime] = utc_now,
        bookmark_interval_s: float = 5.0,
        history_limit: int = 20_000,
        runs_statefulsets: bool = False,
    ) -> None:
        self._store = Store(now=now, history_limit=history_limit)
        for kind in kinds:
            self._store.register(kind)
        self._writer = Writer(self._store)
        self._watches = Watches(self._store)
        self._endpoint = Endpoint(
            self._store,
            Resources(self._store, self._writer),
            self._watches,
            bookmark_interval_s=bookmark_interval_s,
        )
        self.statefulsets = StatefulSets(self._store, self._writer)
        if runs_statefulsets:
            self.statefulsets.start()
        self._loopback = Loopback(self._endpoint.handle, self._on_loop)

    # Lifecycle

    @property
    def url(self) -> str:
        return self._loopback.url

    def start(self) -> Self:
        self._loopback.start()
        return self

    def stop(self) -> None:
        self._endpoint.faults.clear()
        self._loopback.stop()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    async def __aenter__(self) -> Self:
        return await asyncio.to_thread(self.start)

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await asyncio.to_thread(self.stop)

    def _on_loop(self, loop: asyncio.AbstractEventLoop | None) -> None:
        self.statefulsets.run_in(loop)
        if loop is None:
            self.drop_watches()

    async def serve_here(self, handler: Handler) -> web.ServerRunner:
        """Serve in the running loop. The caller gives the handler, such as `handle`, and cleans up the runner."""
        self._on_loop(asyncio.get_running_loop())
        return await serve(handler)

    async def handle(self, http: web.BaseRequest, client: str = "") -> web.StreamResponse:
        """Answer a request; `client` is a name for filters and faults."""
        return await self._endpoint.handle(http, client)

    def subscribe(self, subscriber: Subscriber) -> None:
        """Call a function with each change of an object."""
        self._store.subscribers.append(subscriber)

    def plan(self, fault: Fault) -> Fault:
        """Add a fault."""
        return self._endpoint.faults.add(fault)

    def set_latency(self, seconds: float) -> None:
        """Process each request only after this time."""
        self._endpoint.latency_s = seconds

    # Kinds and objects

    def register(self, kind: Kind) -> None:
        self._store.register(kind)

    def unregister(self, kind: str) -> None:
        """Stop serving a kind, as when its CRD is deleted; its objects are gone."""
        found = self.kind(kind)
        self.drop_watches(found.resource)
        self._store.unregister(found)

    def kind(self, name: str, group: str | None = None) -> Kind:
        """Return a kind by its Kind or plural. The group distinguishes core Events from events.k8s.io."""
        for kind in self._store.kinds.values():
            if name in (kind.kind, kind.plural) and group in (None, kind.group):
                return kind
        raise LookupError(f"the fake API server does not serve {name}; call register()")

    def put(self, obj: Obj, *, manager: str = "test") -> Obj:
        """Store an object without validation and without garbage collection.

        The object is created, or replaced together with its status if the status is given. UID and generation are kept.
        """
        group, _, version = obj["apiVersion"].rpartition("/")
        kind = self._store.kinds.get((group, version, self.kind(obj["kind"], group).plural))
        if kind is None:
            raise LookupError(
                f"the fake API server does not serve {obj['apiVersion']} {obj['kind']}"
            )
        body = copy.deepcopy(obj)
        metadata = body["metadata"]
        if kind.namespaced:
            metadata.setdefault("namespace", "default")
        namespace = metadata.get("namespace", "")
        target = Target(kind=kind, namespace=namespace, name=metadata["name"], manager=manager)
        with self._store.lock:
            return copy.deepcopy(self._writer.put(target, body).obj)

    def get(self, kind: str, namespace: str, name: str) -> Obj | None:
        with self._store.lock:
            record = self._store.find(self.kind(kind), namespace, name)
        return copy.deepcopy(record.obj) if record else None

    def objects(self, kind: str, namespace: str = "") -> list[Obj]:
        with self._store.lock:
            objects = [record.obj for record in self._store.records(self.kind(kind), namespace)]
        return copy.deepcopy(objects)

    def count(self, kind: str) -> int:
        with self._store.lock:
            spaces = self._store.table(self.kind(kind)).namespaces
            return sum(len(objects) for objects in spaces.values())

    def patch(
        self, kind: str, namespace: str, name: str, change: Obj, *, manager: str = "test"
    ) -> Obj:
        """Merge-patch an object, including its status, without validation and as the given manager."""
        with self._store.lock:
            live = self._store.require(self.kind(kind), namespace, name).obj
            return self.put(dict(patches.merge(live, change)), manager=manager)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        with self._store.lock:
            target = Target(kind=self.kind(kind), namespace=namespace, name=name)
            self._writer.delete(target, {})

    # Faults

    def add_webhook(
        self, kind: str, change: Callable[[Obj], Obj], *, subresource: str = ""
    ) -> None:
        """Change every object of a kind that a client writes, as a mutating admission webhook does."""
        self._writer.webhooks[kind, subresource].append(change)

    def remove_webhooks(self) -> None:
        self._writer.webhooks.clear()

    def fail_next(
        self,
        *,
        status: int = 500,
        retry_after: int | None = None,
        message: str = "",
        times: int | None = 1,
        skip: int = 0,
        every: int = 1,
        **where: Unpack[Where],
    ) -> Fault:
        """Reject requests: `times` of them (None means all), after `skip` requests, and only each `every`-th."""
        fault = Fault(effect="fail", where=where, times=times, skip=skip, every=every)
        fault.status, fault.retry_after, fault.message = status, retry_after, message
        return self._endpoint.faults.add(fault)

    def delay(self, seconds: float, *, times: int | None = None, **where: Unpack[Where]) -> Fault:
        """Process requests and respond only after some time."""
        fault = Fault(effect="delay", where=where, times=times, seconds=seconds)
        return self._endpoint.faults.add(fault)

    def hang(self, *, times: int | None = 1, skip: int = 0, **where: Unpack[Where]) -> Fault:
        """Neither process requests nor respond until the fault is canceled."""
        return self._endpoint.faults.add(Fault(effect="hang", where=where, times=times, skip=skip))

    def cut(self, *, times: int | None = 1, skip: int = 0, **where: Unpack[Where]) -> Fault:
        """Close the connection before the request is processed."""
        return self._endpoint.faults.add(Fault(effect="cut", where=where, times=times, skip=skip))

    def lose_reply(self, *, times: int | None = 1, skip: int = 0, **where: Unpack[Where]) -> Fault:
        """Process the request, then close the connection without a response."""
        fault = Fault(effect="lose_reply", where=where, times=times, skip=skip)
        return self._endpoint.faults.add(fault)

    def clear_faults(self) -> None:
        self._endpoint.faults.clear()

    # Streams

    def distort_watches(self, delays_s: DelaysS | None) -> None:
        """Send each event of present and new streams after the delays that the function returns; None ends this."""
        self._watches.delays_s = delays_s

        def distort(watch: Any) -> None:
            watch.delays_s = delays_s

        self._watches.each(distort, "")

    def drop_watches(self, resource: str = "", *, cut: bool = False) -> int:
        """End the open streams normally, or cut their connections. Return their number."""
        return self._watches.each(lambda watch: watch.end(cut=cut), resource)

    def stall_watches(self, resource: str = "", *, also_new: bool = False, client: str = "") -> int:
        """Stall the open streams, or those of a client: they stay open and send neither events nor bookmarks.

        Return the number of streams of the resource.
        """

        def stall(watch: Any) -> None:
            watch.is_stalled = watch.is_stalled or client in ("", watch.client)

        if also_new:
            self._watches.stalled.add((resource, client))
        return self._watches.each(stall, resource)

    def stop_stalling_new_watches(self) -> None:
        """End stall_watches(also_new=True) for streams that open from now on."""
        self._watches.stalled.clear()

    def end_new_watches(self, resource: str = "") -> None:
        """End each stream directly after it opens, without an event or an error."""
        self._watches.ending_resources.add(resource)

    def stop_ending_new_watches(self) -> None:
        """Undo end_new_watches() for streams that open from now on."""
        self._watches.ending_resources.clear()

    def send_line(self, line: bytes, resource: str = "") -> int:
        """Send a line on the open streams and end them. Return their number."""

        def send(watch: Any) -> None:
            watch.pending.append(line + b"\n")
            watch.end_after_pending()

        return self._watches.each(send, resource)

    def open_watches(self, resource: str = "") -> int:
        return self._watches.each(lambda watch: None, resource)

    @property
    def disturbed(self) -> Counter[str]:
        """Events that a fault of the streams withheld, delayed or repeated, by the name of their object.

        Streams that ended at once, or with 410, are counted by their kind.
        """
        return self._watches.disturbed

    def compact(self) -> int:
        """Remove the history: a watch from any known version, or a list token, gets 410."""
        return self._store.compact()

    def snapshot(self) -> Snapshot:
        """Return a backup of all objects."""
        return self._store.snapshot()

    def restore(self, snapshot: Snapshot) -> None:
        """Restore a backup: objects and resource versions go back, and all streams are cut.

        As on a real API server, a stream that resumes from a version that is not reached yet misses all changes before.
        """
        self._store.restore(snapshot)
        self.drop_watches(cut=True)

    # Record

    def requests(self, **where: Unpack[Where]) -> list[Request]:
        return self._endpoint.recorder.requests(where)

    def writes(self, **where: Unpack[Where]) -> list[Request]:
        return [request for request in self.requests(**where) if request.is_write]

    def lists(self, **where: Unpack[Where]) -> list[Request]:
        return [request for request in self.requests(**where) if request.verb == "list"]

    def watches(self, **where: Unpack[Where]) -> list[Request]:
        return [request for request in self.requests(**where) if request.verb == "watch"]

    def counts(self) -> Counter[tuple[str, str]]:
        return self._endpoint.recorder.counts()

    def clear(self) -> None:
        """Remove the recorded requests."""
        self._endpoint.recorder.clear()

    def wait_until(self, condition: Callable[[], object], *, timeout: float = 60.0) -> None:
        """Block until the condition holds. It is checked after each change and request, and every 50 ms."""
        deadline = time.monotonic() + timeout
        with self._store.changed:
            while not condition():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"condition not met within {timeout:g} s: {condition}")
                self._store.changed.wait(min(left, _POLL_S))

    async def until(self, condition: Callable[[], object], *, timeout: float = 60.0) -> None:
        """Wait for a condition without blocking the loop of the caller."""
        await asyncio.to_thread(self.wait_until, condition, timeout=timeout)
