"""Turns of tasks: one starts in each cycle of the event loop, so that many of them do not delay other tasks.

A pass computes for some milliseconds before its first request. If dozens of workers get a key at the same time, such as
when 1,000 agents change, their passes would all compute in one cycle. A halt needs about ten cycles until it is sent,
and each of them would take that long.
"""

import asyncio
from collections import deque


class Turns:
    """Lets tasks start one after the other, in the sequence of their arrival."""

    def __init__(self) -> None:
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._is_scheduled = False

    async def wait(self) -> None:
        """Wait until it is the turn of the caller."""
        loop = asyncio.get_running_loop()
        turn = loop.create_future()
        self._waiting.append(turn)
        if not self._is_scheduled:
            self._is_scheduled = True
            loop.call_soon(self._next)
        await turn

    def _next(self) -> None:
        self._is_scheduled = False
        while self._waiting:
            turn = self._waiting.popleft()
            if turn.done():
                # Its task was canceled.
                continue
            turn.set_result(None)
            break
        if self._waiting:
            self._is_scheduled = True
            asyncio.get_running_loop().call_soon(self._next)
