"""Counts operations per iteration of the event loop, because the operations of one iteration block all other tasks."""

import asyncio


class Iterations:
    """Operations of the running loop. `most` is the largest number between two ticks of it, which are two iterations
    at most."""

    def __init__(self) -> None:
        self.most = 0
        self._current = 0
        self._loop = asyncio.get_running_loop()
        self._handle = self._loop.call_soon(self._tick)

    def count(self) -> None:
        """Count an operation."""
        self._current += 1
        self.most = max(self.most, self._current)

    def close(self) -> None:
        """Stop counting."""
        self._handle.cancel()

    def _tick(self) -> None:
        self._current = 0
        self._handle = self._loop.call_soon(self._tick)
