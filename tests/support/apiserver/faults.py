"""Fault plan: the requests that fail in the future, and their failures. The server applies the plan.

The plan is deterministic: a fault applies to the matching requests in the sequence of their arrival, after those that
it skips. If several faults apply to a request, the first one that rejects it ends it.
"""

import asyncio
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from support.apiserver.requests import Request, Where

Effect = Literal["fail", "delay", "hang", "hold", "cut", "lose_reply", "fail_after", "pass"]
"""A request that hangs is dropped if its client disconnects; one that is on hold is processed nevertheless, as if an
admission webhook delays it. One with `fail_after` is processed and answered with an error. `pass` has no effect besides
`on_hit`."""


@dataclass(slots=True, kw_only=True, eq=False)
class Fault:
    """Planned fault. `hits` counts the requests that it applied to, and `cancel` ends it."""

    effect: Effect
    where: Where
    times: int | None = 1
    skip: int = 0
    every: int = 1
    status: int = 500
    message: str = ""
    retry_after: int | None = None
    seconds: float = 0.0
    on_hit: Callable[[Request], None] | None = None
    hits: int = 0
    seen: int = 0
    cancelled: bool = False
    _waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def takes(self, request: Request) -> bool:
        """Return True if the fault applies to this request, and count the request."""
        if self.cancelled or not request.matches(self.where):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.seen - self.skip - 1) % self.every:
            return False
        if self.times is not None and self.hits >= self.times:
            return False
        self.hits += 1
        if self.on_hit is not None:
            self.on_hit(request)
        return True

    def cancel(self) -> None:
        """End the fault. Hanging requests continue as if there was no fault."""
        with self._lock:
            self.cancelled = True
            for loop, released in self._waiting:
                loop.call_soon_threadsafe(released.set)
            self._waiting.clear()

    async def held(self) -> None:
        """Wait until the fault is canceled."""
        released = asyncio.Event()
        with self._lock:
            if self.cancelled:
                return
            self._waiting.append((asyncio.get_running_loop(), released))
        await released.wait()


class FaultPlan:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._faults: list[Fault] = []

    def add(self, fault: Fault) -> Fault:
        with self._lock:
            self._faults.append(fault)
        return fault

    def clear(self) -> None:
        with self._lock:
            planned, self._faults = self._faults, []
        for fault in planned:
            fault.cancel()

    def for_request(self, request: Request) -> list[Fault]:
        if not self._faults:
            return []
        with self._lock:
            return [fault for fault in self._faults if fault.takes(request)]
