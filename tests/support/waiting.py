"""Waits for a condition with a deadline, so that tests never sleep for a fixed time."""

import time
from collections.abc import Callable, Set
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from support.apiserver.server import ApiServer

T = TypeVar("T")

POLL_S = 0.02


def wait_for(
    look: Callable[[], T], *, what: str = "it", timeout_s: float = 60.0, every_s: float = POLL_S
) -> T:
    """Return the first truthy result of `look`.

    Raises AssertionError with `what` and the last result after `timeout_s`.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        result = look()
        if result:
            return result
        if time.monotonic() > deadline:
            raise AssertionError(f"{what} was not true within {timeout_s:g} s: {result!r}")
        time.sleep(every_s)


def wait_for_all(
    ready: Callable[[], Set[T]],
    expected: Set[T],
    *,
    what: str,
    idle_s: float = 180.0,
    every_s: float = 1.0,
) -> None:
    """Return when everything expected is ready. A busy machine may need any time, but must not be idle.

    Raises AssertionError with `what` and the missing items if none is added in `idle_s`.
    """
    found: Set[T] = set()
    while missing := expected - found:
        before = len(found)

        def is_progress(before: int = before) -> bool:
            nonlocal found
            found = ready() & expected
            return len(found) > before or found == expected

        wait_for(
            is_progress, what=f"{what} (missing: {missing})", timeout_s=idle_s, every_s=every_s
        )


def wait_until_started(server: "ApiServer", *, watches: int = 14, quiet_s: float = 1.0) -> None:
    """Return when an operator has all its watches open at a fake API server and has sent no request for some time."""
    wait_for(lambda: server.open_watches() >= watches, what="every watch open", timeout_s=30.0)
    seen, since = -1, time.monotonic()

    def is_quiet() -> bool:
        nonlocal seen, since
        if len(server.requests()) != seen:
            seen, since = len(server.requests()), time.monotonic()
        return time.monotonic() - since > quiet_s

    wait_for(is_quiet, what="an idle operator", timeout_s=30.0)
