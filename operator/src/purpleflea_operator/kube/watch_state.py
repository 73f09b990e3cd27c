"""State of the lists and watches, one per path (a kind in a namespace): errors, and the delay before a request.

Every path fails and recovers separately. The module must not send requests.
"""

import logging
from collections.abc import Callable, Iterable
from typing import Protocol

from purpleflea_operator import timings
from purpleflea_operator.kube.listing import Listing
from purpleflea_operator.parsing import Manifest

logger = logging.getLogger(__name__)

REFUSED = (403, 404)
"""Status codes of a missing permission and of a missing kind."""


class WatchObserver(Protocol):
    """Receiver of the objects and of the state of each path."""

    def on_event(self, path: str, event_type: str | None, manifest: Manifest) -> None:
        """Process an event of a watch, or an object of a list if there is no type."""

    def on_listed(self, path: str, listing: Listing) -> None:
        """Process the end of a list: `on_event` received all its objects."""

    def on_refused(self, path: str, *, status: int) -> None:
        """Process that the API server refuses a path (403, 404), or serves it again (0)."""


class WatchState:
    """State of one path. `jitter` returns numbers in [0, 1), and `clock` returns monotonic seconds."""

    def __init__(
        self, path: str, *, clock: Callable[[], float], jitter: Callable[[], float]
    ) -> None:
        self.path = path
        self.is_listed = False
        """True after the first complete list."""
        self.error = ""
        """Error of the last request, with its status code; empty if it succeeded."""
        self.message = ""
        """Error of the last request as the API server wrote it."""
        self.refusal = 0
        """Status code while the API server refuses the path, else 0."""
        self.listeners: set[Callable[[], None]] = set()
        """Called after each change of the attributes above."""
        self.on_refused: Callable[[int], None] = lambda status: None
        self._clock = clock
        self._jitter = jitter
        self._level = 0
        self._not_before = 0.0
        self._refused_since: float | None = None

    def delay_s(self) -> float:
        """Return the seconds until the next request may be sent, at most 0 if it may be sent now."""
        return self._not_before - self._clock()

    def refused_s(self) -> float:
        """Return the seconds for which the API server has refused the path, or 0."""
        return 0.0 if self._refused_since is None else self._clock() - self._refused_since

    def now(self) -> float:
        """Return the time for `opened_at`."""
        return self._clock()

    def on_list_end(self) -> None:
        """Record a complete list."""
        self.is_listed = True
        self._notify()

    def on_stream_end(self, opened_at: float, *, has_events: bool) -> None:
        """Set the delay before the next request, from how a watch without an error ended."""
        if self._clock() - opened_at >= timings.WATCH_STEADY_S:
            self._level = 0
            return
        # A watch with events makes progress, so an event such as a halt must not wait for a long backoff.
        self._level = 1 if has_events else self._level + 1
        self._hold()
        if self._level == timings.WATCH_SHORT_LIMIT:
            logger.warning(
                "a watch ends at once; it is opened with backoff", extra={"path": self.path}
            )

    def fail(
        self, message: str, *, status: int = 0, hold_s: float = 0.0, is_refusal: bool = False
    ) -> None:
        """Record a request that failed. `hold_s` is the Retry-After of the API server."""
        self._level += 1
        self._hold(hold_s)
        error = f"{status}: {message}" if status else message
        if not self.error:
            logger.warning(
                "a watch fails; retrying", extra={"path": self.path, "error": error[:500]}
            )
        self.error, self.message = error, message
        self._set_refusal(status if is_refusal else 0)
        self._notify()

    def recover(self) -> None:
        """Record a request that the API server served."""
        if self.error:
            logger.info("a watch works again", extra={"path": self.path})
        self.error = self.message = ""
        self._set_refusal(0)

    def _notify(self) -> None:
        for listener in tuple(self.listeners):
            listener()

    def _hold(self, hold_s: float = 0.0) -> None:
        ceiling = timings.WATCH_BACKOFF_BASE_S * 2.0 ** min(self._level - 1, 16)
        delay_s = min(timings.WATCH_BACKOFF_LIMIT_S, ceiling) * (0.5 + self._jitter() / 2)
        hold_s = min(hold_s, timings.LONGEST_RETRY_AFTER_S)
        self._not_before = self._clock() + max(delay_s, hold_s)

    def _set_refusal(self, status: int) -> None:
        was_refused, self.refusal = self.refusal, status
        if bool(was_refused) is not bool(status):
            self._refused_since = self._clock() if status else None
            self.on_refused(status)


class WatchStates:
    """The states of all paths."""

    def __init__(self, *, clock: Callable[[], float], jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._jitter = jitter
        self._states: dict[str, WatchState] = {}

    def add(self, paths: Iterable[str], observer: WatchObserver) -> None:
        """Add paths that are not known yet; `observer` receives their refusals."""
        for path in paths:
            if path not in self._states:
                state = WatchState(path, clock=self._clock, jitter=self._jitter)
                state.on_refused = _Refusals(observer, path)
                self._states[path] = state

    def get(self, path: str) -> WatchState | None:
        """Return the state of a path, or None if the path is not watched."""
        return self._states.get(path)

    def of(self, paths: Iterable[str]) -> list[WatchState]:
        """Return the states of watched paths."""
        return [self._states[path] for path in paths]

    def failures(self) -> dict[str, str]:
        """Return the error of each path that fails, and an empty text for the others."""
        return {path: state.error for path, state in self._states.items()}

    def refusals(self) -> dict[str, str]:
        """Return the error of each path that the API server refuses."""
        return {path: state.error for path, state in self._states.items() if state.refusal}

    def refused_s(self, paths: Iterable[str]) -> list[float]:
        """Return the seconds for which the API server has refused each of the watched paths, or 0."""
        return [state.refused_s() for state in self.of(paths)]


class _Refusals:
    """Passes the refusals of one path to the observer."""

    def __init__(self, observer: WatchObserver, path: str) -> None:
        self._observer = observer
        self._path = path

    def __call__(self, status: int) -> None:
        self._observer.on_refused(self._path, status=status)
