"""Runs an async main in a separate thread and event loop, because kopf cancels every task of its loop.

It starts, stops and joins the thread, and raises the exception of the main.
"""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from types import TracebackType
from typing import Any, Self

Main = Callable[[threading.Event], Coroutine[Any, Any, object]]


class KopfThread:
    """Run main(stop_flag), which ends after the flag is set."""

    def __init__(self, main: Main, *, name: str = "operator") -> None:
        self.stop_flag = threading.Event()
        self._main = main
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> Self:
        self._thread.start()
        return self

    def join(self, timeout: float = 60.0) -> None:
        """Wait for the end, and raise the exception of the main."""
        self._thread.join(timeout)
        if self._thread.is_alive():
            raise TimeoutError(f"{self._thread.name} did not end within {timeout:g} s")
        if self._error is not None:
            raise self._error

    def stop(self, timeout: float = 60.0) -> None:
        self.stop_flag.set()
        self.join(timeout)

    @property
    def is_alive(self) -> bool:
        return self._thread.is_alive()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self.stop()
        except BaseException:
            # The failure of the test explains more than its effect on the operator.
            if exc is None:
                raise

    def _run(self) -> None:
        try:
            asyncio.run(self._main(self.stop_flag))
        except BaseException as error:
            self._error = error
