"""What is in work: since when each pass runs, when one last ended, and how. It changes nothing about a pass."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Literal

from purpleflea_operator.cluster import errors
from purpleflea_operator.cluster.cache import Key
from purpleflea_operator.reconcile.reconciler import Result

Outcome = Literal["done", "again", "transient", "refused", "timeout", "failed"]
Told = Callable[[Outcome, float], None]
"""Takes how a pass ended, and its seconds."""


class Passes:
    """Calls the reconciler and keeps time."""

    def __init__(
        self,
        reconcile: Callable[[Key], Awaitable[Result]],
        *,
        clock: Callable[[], float],
        tell: Told,
    ) -> None:
        self._reconcile = reconcile
        self._clock = clock
        self._tell = tell
        self._began: dict[Key, float] = {}
        self._ended = clock()

    async def reconcile(self, key: Key) -> Result:
        """One pass; whatever the reconciler raises goes on to the caller."""
        began = self._began[key] = self._clock()
        outcome: Outcome = "failed"
        try:
            result = await self._reconcile(key)
            outcome = "done" if result.again_after_s is None else "again"
            return result
        except errors.Transient:
            outcome = "transient"
            raise
        except errors.ApiError:
            outcome = "refused"
            raise
        except asyncio.CancelledError:
            outcome = "timeout"
            raise
        finally:
            del self._began[key]
            self._ended = self._clock()
            self._tell(outcome, self._ended - began)

    def longest_s(self) -> float:
        """For how long the pass that began first has run."""
        return self._clock() - min(self._began.values(), default=self._clock())

    def still_s(self) -> float:
        """For how long no pass has ended."""
        return self._clock() - self._ended
