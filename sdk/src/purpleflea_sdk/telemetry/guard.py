"""Keeps faults of telemetry out of trading code: a call that fails is dropped, counted, and logged once per function.

A wrong tag, or a value that is not a number, must not end an order half-way. Tests are strict: there the error leaves
the call, so that a defect is not overlooked.
"""

import functools
import logging
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from purpleflea_sdk.telemetry import drop_counters

P = ParamSpec("P")
T = TypeVar("T")

logger = logging.getLogger("purpleflea.telemetry")

_is_strict = False
_warned: set[str] = set()
MAX_WARNINGS = 100
"""Functions whose failure is logged. It bounds the memory, because callers name them."""


def set_strict(*, strict: bool) -> None:
    """Let errors leave the calls (strict, for tests), or drop and count them (the default)."""
    global _is_strict
    _is_strict = strict
    _warned.clear()


def drop(signal: str, call: str, error: Exception) -> None:
    """Count a call that failed, and log the first failure of each function; raise the error if strict."""
    if _is_strict:
        raise error
    drop_counters.add(signal)
    if call in _warned or len(_warned) >= MAX_WARNINGS:
        return
    _warned.add(call)
    logger.warning(
        "A telemetry call failed and was dropped; further failures of the function are only counted",
        extra={
            "signal": signal,
            "call": call,
            "error.kind": type(error).__name__,
            "error.message": text_of(error),
        },
    )


def text_of(value: object) -> str:
    """Return the text of a value, whatever its __str__ does."""
    try:
        return str(value)
    except Exception:
        return object.__repr__(value)


def guarded(signal: str) -> Callable[[Callable[P, None]], Callable[P, None]]:
    """Decorate a function that sends telemetry of a signal, so that it raises nothing in production."""

    def decorator(function: Callable[P, None]) -> Callable[P, None]:
        @functools.wraps(function)
        def wrapper(*args: P.args, **kwargs: P.kwargs) -> None:
            try:
                function(*args, **kwargs)
            except Exception as error:
                drop(signal, function.__qualname__, error)

        return wrapper

    return decorator
