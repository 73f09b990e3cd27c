"""Workers that send requests to pods when they are due, a limited number at a time. They decide nothing."""

import asyncio
from collections.abc import Awaitable, Callable

from purpleflea_operator.runtime.workqueue import WorkQueue


class ProbeWorkers:
    """The workers of one probe. `probe` is called with the UID of a pod that is due.

    `jitter` returns numbers in [0, 1).
    """

    def __init__(
        self,
        probe: Callable[[str], Awaitable[object]],
        *,
        count: int,
        name: str,
        jitter: Callable[[], float],
    ) -> None:
        self._probe = probe
        self._count = count
        self._name = name
        self._due: WorkQueue[str] = WorkQueue(jitter=jitter)

    def add(self, uid: str) -> None:
        """Probe a pod now."""
        self._due.add(uid)

    def add_after(self, uid: str, delay_s: float) -> None:
        """Probe a pod after a delay. Of several delays the earliest applies."""
        self._due.add_after(uid, delay_s)

    async def run(self) -> None:
        """Probe until canceled."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(self._count):
                    group.create_task(self._work(), name=f"{self._name}-{number}")
        finally:
            self.close()

    def close(self) -> None:
        """Cancel all delays."""
        self._due.close()

    async def _work(self) -> None:
        while True:
            uid = await self._due.get()
            try:
                await self._probe(uid)
            finally:
                self._due.done(uid)
