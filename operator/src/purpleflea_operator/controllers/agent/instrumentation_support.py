"""Whether the API server serves the kind DatadogInstrumentation, as its list and watch show.

A kind of a CRD is also not found while an API server starts. Annotations in its place would restart all agents, so the
kind counts as removed only after some minutes. A refused right says nothing about the kind.
"""

import asyncio
from collections.abc import Callable

from purpleflea_operator import timings

NOT_FOUND = 404


class InstrumentationSupport:
    """Follows the watch of the kind. `on_change` is called if the kind is served, or is not served any more."""

    def __init__(self, *, is_enabled: bool, on_change: Callable[[], None]) -> None:
        self._on_change = on_change
        self._is_served: bool | None = None if is_enabled else False
        self._timer: asyncio.TimerHandle | None = None
        self._is_first = True
        """True until the first result. Passes run only after it, so it does not count as a change."""

    @property
    def is_served(self) -> bool | None:
        """True if the kind is served and used, None if it is not known."""
        return self._is_served

    def on_listed(self) -> None:
        """Process a complete list."""
        self._set(True)

    def on_refused(self, status: int) -> None:
        """Process that the API server refuses the kind (403, 404), or serves it again (0)."""
        if status != NOT_FOUND:
            self._set(None if status else True)
        elif self._timer is None and self._is_served is not False:
            self._set(None)
            loop = asyncio.get_running_loop()
            self._timer = loop.call_later(timings.KIND_REMOVED_AFTER_S, self._set, False)

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _set(self, is_served: bool | None) -> None:
        self._cancel()
        before, self._is_served = self._is_served, is_served
        is_change = is_served is not before and is_served is not None and not self._is_first
        self._is_first = False
        if is_change:
            self._on_change()
