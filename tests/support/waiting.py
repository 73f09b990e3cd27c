"""Waiting for a condition with a deadline: the only kind of waiting that tests do."""

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(claim: Callable[[], T], *, timeout_s: float = 30.0, every_s: float = 0.2) -> T:
    """Wait until `claim` holds; what it returned. Fails with what it said last."""
    deadline = time.monotonic() + timeout_s
    while not (found := claim()):
        if time.monotonic() > deadline:
            raise AssertionError(f"not so within {timeout_s:g} s; last: {found!r}")
        time.sleep(every_s)
    return found
