"""Progress reports for long operations.

On a terminal it is a live line with elapsed and expected time; otherwise (logs of a build server)
it is a plain line every 15 seconds. Reporting never makes the reported operation fail.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from rich.console import Console
from rich.markup import escape
from rich.progress import Progress as Live
from rich.progress import SpinnerColumn, TextColumn, TimeElapsedColumn

HEARTBEAT_S = 15.0


class Progress(Protocol):
    """Receiver of progress reports."""

    def step(self, text: str, *, expected_s: float | None = None) -> AbstractContextManager[None]:
        """Report an operation while the context is active."""
        ...

    def note(self, text: str) -> None:
        """Print one persistent line."""
        ...


class NullProgress:
    """Progress receiver that discards all reports."""

    @contextmanager
    def step(self, text: str, *, expected_s: float | None = None) -> Iterator[None]:
        del text, expected_s
        yield

    def note(self, text: str) -> None:
        del text


class TerminalProgress:
    """Progress receiver that writes to standard error, so that standard output stays usable in
    pipes.
    """

    def __init__(
        self,
        console: Console | None = None,
        *,
        heartbeat_s: float = HEARTBEAT_S,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._console = console or Console(stderr=True, highlight=False)
        self._heartbeat_s = heartbeat_s
        self._clock = clock

    def note(self, text: str) -> None:
        self._console.print(escape(text), soft_wrap=True)

    @contextmanager
    def step(self, text: str, *, expected_s: float | None = None) -> Iterator[None]:
        began = self._clock()
        shown = text if expected_s is None else f"{text} (expect {format_duration(expected_s)})"
        around = self._live(shown) if self._console.is_terminal else self._lines(text, shown, began)
        with around:
            yield
        self.note(f"{text}: {format_duration(self._clock() - began)}")

    @contextmanager
    def _live(self, shown: str) -> Iterator[None]:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn())
        with Live(*columns, console=self._console, transient=True) as live:
            live.add_task(escape(shown), total=None)
            yield

    @contextmanager
    def _lines(self, text: str, shown: str, began: float) -> Iterator[None]:
        done = threading.Event()

        def beat() -> None:
            self_text = f"{text} ..."
            while not done.wait(self._heartbeat_s):
                self.note(f"{self_text} {format_duration(self._clock() - began)} so far")

        if shown != text:
            self.note(f"{shown} ...")
        reporter = threading.Thread(target=beat, name="progress", daemon=True)
        reporter.start()
        try:
            yield
        finally:
            done.set()
            reporter.join()


def format_duration(seconds: float) -> str:
    """Format a duration for people, such as `4.2 s` or `3 min 05 s`."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
