"""The check of the arguments of `serve` and of the place from which it is called.

Without it, a mistake would show only when the process runs: as a function that ended, or as an error of asyncio.
"""

import asyncio
import inspect
import threading
from collections.abc import Callable
from typing import Any


def check(function: object, *, has_application: bool) -> None:
    """Return if the process can run. The text of an error names the remedy.

    Raises:
        TypeError: The function cannot be called with one Agent.
        RuntimeError: The caller runs in another thread than the main thread, or in an event loop.
    """
    if function is None and not has_application:
        raise TypeError("serve needs a function of one argument, or an application")
    if function is not None:
        _check_function(function)
    if threading.current_thread() is not threading.main_thread():
        raise RuntimeError("serve receives signals, so call it in the main thread")
    if _is_in_event_loop():
        raise RuntimeError("serve runs its own event loop, so call it outside of async functions")


def _check_function(function: object) -> None:
    if inspect.iscoroutine(function):
        function.close()  # or Python warns that it was never awaited
        raise TypeError("serve needs the function itself: serve(main) instead of serve(main())")
    if not callable(function):
        name = type(function).__name__
        raise TypeError(f"serve needs a function of one argument, or an application, not {name}")
    if inspect.isgeneratorfunction(function) or inspect.isasyncgenfunction(function):
        raise TypeError("serve needs a function without yield, because it calls it only once")
    _check_signature(function)


def _check_signature(function: Callable[..., Any]) -> None:
    try:
        signature = inspect.signature(function)
    except ValueError:  # functions of extension modules may have no signature
        return
    try:
        signature.bind(object())
    except TypeError as error:
        text = f"serve calls the function with one argument, the Agent: {error}"
        raise TypeError(text) from error


def _is_in_event_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
