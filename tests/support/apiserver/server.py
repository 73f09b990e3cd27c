"""A Kubernetes API server in memory, for tests: own thread, own event loop, plain HTTP on loopback.

`ApiServer` is the whole of what tests use: objects, faults, streams, and the record of requests.
"""

import asyncio
import copy
import time
from collections import Counter
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any, Self, Unpack

from support.apiserver import patches
from support.apiserver.endpoint import Endpoint
from support.apiserver.faults import Fault
from support.apiserver.kinds import PRESET, Kind, Obj
from support.apiserver.loopback import Loopback
from support.apiserver.requests import Request, Where
from support.apiserver.resources import Resources
from support.apiserver.statefulsets import StatefulSets
from support.apiserver.store import Store
from support.apiserver.watches import Watches
from support.apiserver.writes import Target, Writer

# Claims may be about things the server does not see, such as what an operator has heard.
_LOOK_AGAIN_S = 0.05


def utc_now() -> datetime:
    return datetime.now(UTC)


class ApiServer:
    """Use as a context manager (`with` or `async with`) or by start() and stop()."""

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

    # Life

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

    # Kinds and objects

    def register(self, kind: Kind) -> None:
        self._store.register(kind)

    def unregister(self, kind: str) -> None:
        """Stop serving a kind, as when its CRD is deleted; its objects are gone."""
        found = self.kind(kind)
        self.drop_watches(found.resource)
        self._store.unregister(found)

    def kind(self, name: str, group: str | None = None) -> Kind:
        """Find a kind by its Kind or its plural; the group tells core Events from the newer ones."""
        for kind in self._store.kinds.values():
            if name in (kind.kind, kind.plural) and group in (None, kind.group):
                return kind
        raise LookupError(f"the fake API server serves no {name}; register() it")

    def put(self, obj: Obj, *, manager: str = "test") -> Obj:
        """Store an object past every check, and no garbage collection: the test knows best.

        It is made, or replaced with its status if one is given. Identity and generation are kept.
        """
        group, _, version = obj["apiVersion"].rpartition("/")
        kind = self._store.kinds.get((group, version, self.kind(obj["kind"], group).plural))
        if kind is None:
            raise LookupError(f"the fake API server serves no {obj['apiVersion']} {obj['kind']}")
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
            found = [record.obj for record in self._store.records(self.kind(kind), namespace)]
        return copy.deepcopy(found)

    def count(self, kind: str) -> int:
        with self._store.lock:
            spaces = self._store.table(self.kind(kind)).namespaces
            return sum(len(objects) for objects in spaces.values())

    def patch(
        self, kind: str, namespace: str, name: str, change: Obj, *, manager: str = "test"
    ) -> Obj:
        """Merge-patch an object past every check, status included, in another manager's name."""
        with self._store.lock:
            live = self._store.require(self.kind(kind), namespace, name).obj
            return self.put(dict(patches.merge(live, change)), manager=manager)

    def delete(self, kind: str, namespace: str, name: str) -> None:
        with self._store.lock:
            target = Target(kind=self.kind(kind), namespace=namespace, name=name)
            self._writer.delete(target, {})

    # Faults

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
        """Refuse requests; times=None: for ever, skip: after so many, every: each n-th only."""
        fault = Fault(effect="fail", where=where, times=times, skip=skip, every=every)
        fault.status, fault.retry_after, fault.message = status, retry_after, message
        return self._endpoint.faults.add(fault)

    def delay(self, seconds: float, *, times: int | None = None, **where: Unpack[Where]) -> Fault:
        """Act on requests, and answer, only after some time."""
        fault = Fault(effect="delay", where=where, times=times, seconds=seconds)
        return self._endpoint.faults.add(fault)

    def hang(self, *, times: int | None = 1, skip: int = 0, **where: Unpack[Where]) -> Fault:
        """Neither act nor answer until the fault is cancelled."""
        return self._endpoint.faults.add(Fault(effect="hang", where=where, times=times, skip=skip))

    def cut(self, *, times: int | None = 1, skip: int = 0, **where: Unpack[Where]) -> Fault:
        """Cut the connection before the request is acted on."""
        return self._endpoint.faults.add(Fault(effect="cut", where=where, times=times, skip=skip))

    def lose_reply(self, *, times: int | None = 1, skip: int = 0, **where: Unpack[Where]) -> Fault:
        """Act on the request, then cut the connection instead of answering."""
        fault = Fault(effect="lose_reply", where=where, times=times, skip=skip)
        return self._endpoint.faults.add(fault)

    def clear_faults(self) -> None:
        self._endpoint.faults.clear()

    # Streams

    def drop_watches(self, resource: str = "", *, cut: bool = False) -> int:
        """End the open streams in good order, or cut their connections; tell how many."""
        return self._watches.each(lambda watch: watch.end(cut=cut), resource)

    def silence_watches(self, resource: str = "", *, new_too: bool = False) -> int:
        """Make open streams deaf for ever: they stay open and send nothing, no bookmarks either."""

        def silence(watch: Any) -> None:
            watch.is_silent = True

        if new_too:
            self._watches.deaf.add(resource)
        return self._watches.each(silence, resource)

    def hear_new_watches(self) -> None:
        """Undo silence_watches(new_too=True) for streams opened from now on."""
        self._watches.deaf.clear()

    def open_watches(self, resource: str = "") -> int:
        return self._watches.each(lambda watch: None, resource)

    def compact(self) -> int:
        """Forget history: resuming from any version known so far, or a list token, gets 410."""
        return self._store.compact()

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
        """Forget the requests recorded so far."""
        self._endpoint.recorder.clear()

    def wait_until(self, claim: Callable[[], object], *, timeout: float = 10.0) -> None:
        """Block until the claim holds; it is looked at after each change and request, or 50 ms."""
        deadline = time.monotonic() + timeout
        with self._store.changed:
            while not claim():
                left = deadline - time.monotonic()
                if left <= 0:
                    raise TimeoutError(f"not so within {timeout:g} s: {claim}")
                self._store.changed.wait(min(left, _LOOK_AGAIN_S))

    async def until(self, claim: Callable[[], object], *, timeout: float = 10.0) -> None:
        """Wait for a claim without blocking the caller's loop."""
        await asyncio.to_thread(self.wait_until, claim, timeout=timeout)
