"""Waits until the caches are complete: the API server answers, and every watched kind is listed once.

Only lasting causes (a missing CRD or permission, a wrong address) end the start, with one line that names the remedy.
The lists are read and retried elsewhere.
"""

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from typing import TypeVar

from purpleflea_operator import timings
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.kube.watch_state import WatchState
from purpleflea_operator.runtime.lifecycle import UPGRADE, StartError

logger = logging.getLogger(__name__)

T = TypeVar("T")


class CacheSync:
    """Progress of the start. `jitter` returns numbers in [0, 1), and `clock` returns monotonic seconds."""

    def __init__(self, *, clock: Callable[[], float], jitter: Callable[[], float]) -> None:
        self._clock = clock
        self._jitter = jitter
        self._has_answered = False
        self._waiting_for = ""
        self.completed = asyncio.Event()
        """Set when each watched kind was listed once."""

    @property
    def waiting_for(self) -> str:
        """The request that failed last and its error, or an empty text."""
        return self._waiting_for

    async def read(self, request: Callable[[], Awaitable[T]]) -> T:
        """Return the result of the first request to the API server. It is retried if it fails for a passing reason.

        Raises:
            StartError: The request failed for a lasting reason.
        """
        started_at, failures = self._clock(), 0
        while True:
            try:
                result = await request()
            except errors.Transient as error:
                self._has_answered = self._has_answered or not isinstance(error, errors.Unreachable)
                if not self._has_answered and (
                    self._clock() - started_at > timings.FIRST_CONTACT_S
                ):
                    raise _start_error(error) from error
                self._report(error.path, str(error))
                ceiling = min(timings.INITIAL_LIST_LIMIT_S, timings.BACKOFF_BASE_S * 2.0**failures)
                failures = min(failures + 1, 16)
                await asyncio.sleep(error.retry_after_s + ceiling * (0.5 + self._jitter() / 2))
            except errors.ApiError as error:
                raise _start_error(error) from error
            else:
                self._has_answered = True
                self._waiting_for = ""
                return result

    async def wait(
        self,
        states: Mapping[ResourceKind, Sequence[WatchState]],
        late: Sequence[WatchState] = (),
        limit_s: float = 0.0,
    ) -> None:
        """Wait until each kind is listed at all its paths. A path that the API server refuses is left out.

        After that, `late` paths are waited for at most `limit_s`, because the operator works without them.

        Raises:
            StartError: The API server refuses all paths of a kind that is not optional.
        """
        every = [state for paths in states.values() for state in paths]
        with _changes_of(every) as changed:
            while waiting := _unlisted(every):
                failing = next((state for state in waiting if state.error), None)
                self._waiting_for = ""
                if failing is not None:
                    self._report(failing.path, failing.error)
                _check_refusals(states)
                await changed.wait()
                changed.clear()
        _check_refusals(states)
        failing = next((state for state in _unlisted(late) if state.error), None)
        self._waiting_for = ""
        if failing is not None:
            self._report(failing.path, failing.error)
        await listed(late, limit_s=limit_s)
        self._waiting_for = ""
        self.completed.set()

    def _report(self, path: str, error: str) -> None:
        resource = path.rpartition("/")[2]
        self._waiting_for = f"waiting for the list of {resource}: {error}"


async def listed(states: Sequence[WatchState], *, limit_s: float | None = None) -> None:
    """Wait until each path is listed once, or refused, at most for `limit_s`."""
    with contextlib.suppress(TimeoutError), _changes_of(states) as changed:
        async with asyncio.timeout(limit_s):
            while _unlisted(states):
                await changed.wait()
                changed.clear()


def _unlisted(states: Sequence[WatchState]) -> list[WatchState]:
    return [state for state in states if not state.is_listed and not state.refusal]


@contextlib.contextmanager
def _changes_of(states: Sequence[WatchState]) -> Iterator[asyncio.Event]:
    """Return an event that is set after each change of a state."""
    changed = asyncio.Event()
    for state in states:
        state.listeners.add(changed.set)
    try:
        yield changed
    finally:
        for state in states:
            state.listeners.discard(changed.set)


def _check_refusals(states: Mapping[ResourceKind, Sequence[WatchState]]) -> None:
    for kind, paths in states.items():
        refused = [state for state in paths if state.refusal and not state.is_listed]
        if kind.optional or not refused or len(refused) < len(paths):
            continue
        message = refused[0].message
        raise refused_error(refused[0].refusal, message)


def refused_error(status: int, message: str) -> StartError:
    """Return the error for a list that the API server refuses with 403 or 404, with the remedy."""
    return _start_error(errors.NotFound(message) if status == 404 else errors.Forbidden(message))


def _start_error(error: errors.ApiError) -> StartError:
    """Return the error of the start with the remedy."""
    if isinstance(error, errors.NotFound):
        crd = f"{resources.AGENT.plural}.{resources.AGENT.api_version.partition('/')[0]}"
        return StartError(
            f"the custom resource {crd} is not installed; "
            "install it: kubectl apply --server-side -f crds/"
        )
    if isinstance(error, errors.Forbidden):
        return StartError(f"missing permission: {error}; install the chart's roles: {UPGRADE}")
    return StartError(
        f"the API server cannot be reached: {error}; check the address with: kubectl cluster-info"
    )
