"""Stand-in for Datadog's API in process, on loopback: `async with DatadogApi() as api` (same loop) or `with` (a
thread).

`api.organisation` contains the objects, `api.request_log` the received requests; `api.fail(...)` installs faults.
Without `limits` there are no rate limits.
"""

import asyncio
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Any, Self

from purpleflea_sandbox.datadog import intake_app, servers
from purpleflea_sandbox.datadog.api.faults import fault
from purpleflea_sandbox.datadog.api.keys import ApplicationKey, KeyRing
from purpleflea_sandbox.datadog.api.limits import Limit, RateLimits
from purpleflea_sandbox.datadog.api.organisation import Organisation
from purpleflea_sandbox.datadog.api.request_log import RequestLog
from purpleflea_sandbox.datadog.intake.store import Store

API_KEY = "0123456789abcdef0123456789abcdef"
APPLICATION_KEY = "an-unscoped-application-key"
KEYS = {"DD-API-KEY": API_KEY, "DD-APPLICATION-KEY": APPLICATION_KEY}


class DatadogApi:
    """A running stand-in with one API key and one unscoped application key."""

    def __init__(
        self,
        *,
        limits: Mapping[str, Limit] | None = None,
        now: Callable[[], float] | None = None,
    ) -> None:
        keys = KeyRing(API_KEY, [ApplicationKey(key=APPLICATION_KEY)])
        clock = {} if now is None else {"now": now}
        self.organisation = Organisation(Store(), keys, limits=RateLimits(limits or {}), **clock)
        self.url = ""
        self._stack = AsyncExitStack()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stop = asyncio.Event()
        self._ready = threading.Event()

    @property
    def request_log(self) -> RequestLog:
        return self.organisation.request_log

    def fail(self, *faults: Mapping[str, Any]) -> None:
        """Replace all faults, in the format of the /faults route; without arguments, no fault is injected."""
        self.organisation.faults.replace([fault(one) for one in faults])

    def scope_key(self, scopes: Iterable[str]) -> None:
        """Limit the application key to these scopes."""
        key = ApplicationKey(key=APPLICATION_KEY, scopes=frozenset(scopes))
        self.organisation.keys.replace([key])

    def report(
        self, metric: str, kind: Any = "gauge", tags: Iterable[str] = (), value: float = 1.0
    ) -> None:
        """Report a value of a metric."""
        store, now = self.organisation.data.series, int(self.organisation.now())
        series = store.open(metric, kind, tags=tags, host="node-1")
        if kind == "distribution":
            store.add_values(series, now, [value])
        else:
            store.add(series, now, value)

    async def __aenter__(self) -> Self:
        app = intake_app.application(self.organisation.data, API_KEY, self.organisation)
        port = await self._stack.enter_async_context(servers.served(app, "127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._stack.aclose()

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._serve, name="datadog-api", daemon=True)
        self._thread.start()
        if not self._ready.wait(30):
            raise TimeoutError("the stand-in of Datadog's API did not start")
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._loop is not None
        assert self._thread is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(30)

    def _serve(self) -> None:
        async def serve() -> None:
            self._loop = asyncio.get_running_loop()
            async with self:
                self._ready.set()
                await self._stop.wait()

        asyncio.run(serve())
