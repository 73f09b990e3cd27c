"""A bounded queue of lines, and the thread that writes them to a file descriptor or stream.

A write to standard output waits without a limit while the reader of the pipe does not read. Only this thread waits. A
line that finds the queue full is dropped and counted. The module must not log: see logs.
"""

import io
import os
import queue
import threading
import time
import weakref
from collections.abc import Callable
from typing import TextIO

MAX_LINES = 10_000
MAX_BYTES = 4 * 1024 * 1024
"""Bounds of the queue: the lines of minutes of normal work, and the most memory that a stopped reader costs."""
POLL_INTERVAL_S = 0.01


class LineWriter:
    """Writes lines in sequence. Every thread and signal handler may add lines, and none of them waits."""

    def __init__(self, stream: TextIO, *, on_recovery: Callable[[int], None]) -> None:
        """Start the thread. `on_recovery` receives the number of lines that were dropped before the reader resumed."""
        self._stream = stream
        self._descriptor = _descriptor(stream)
        self._on_recovery = on_recovery
        _writers.add(self)
        self._reset()

    def _reset(self) -> None:
        """Start with an empty queue, at the creation and in a child process, which has no threads."""
        # Reentrant, because a signal handler may interrupt the thread that holds it.
        self._counting = threading.RLock()
        # Not queue.Queue, because a signal handler that logs would wait for a lock of its own thread.
        self._lines: queue.SimpleQueue[bytes | None] = queue.SimpleQueue()
        self._added = self._added_bytes = 0
        self._taken = self._taken_bytes = 0
        self._full = self._failed = 0
        self._reported = 0
        self._is_closed = False
        self._thread = threading.Thread(target=self._run, name="log-writer", daemon=True)
        self._thread.start()

    @property
    def dropped(self) -> int:
        """Number of lines that were dropped, because the queue was full or the write failed."""
        return self._full + self._failed

    def add(self, line: str) -> None:
        """Add a line, without its end; drop it if the queue is full."""
        data = line.encode(errors="backslashreplace") + b"\n"
        with self._counting:
            waiting, waiting_bytes = (
                self._added - self._taken,
                self._added_bytes - self._taken_bytes,
            )
            if self._is_closed or waiting >= MAX_LINES or waiting_bytes + len(data) > MAX_BYTES:
                self._full += 1
                return
            self._added += 1
            self._added_bytes += len(data)
            self._lines.put(data)

    def wait_until_written(self, timeout_s: float) -> bool:
        """Wait until every line so far is written or dropped; False if the time is over before."""
        target, deadline = self._added, time.monotonic() + timeout_s
        while self._taken < target:
            if time.monotonic() > deadline:
                return False
            time.sleep(POLL_INTERVAL_S)
        return True

    def close(self, timeout_s: float) -> None:
        """Write what is in the queue, for that long at most, and end the thread."""
        with self._counting:
            self._is_closed = True
            self._lines.put(None)
        self._thread.join(timeout_s)

    def _run(self) -> None:
        lines = self._lines
        while (line := lines.get()) is not None:
            try:
                self._write(line)
            except (OSError, ValueError):  # ValueError: the stream is closed
                self._failed += 1
            else:
                self._report_recovery()
            self._taken_bytes += len(line)
            self._taken += 1
        if self._descriptor is not None:
            os.close(self._descriptor)

    def _write(self, line: bytes) -> None:
        if self._descriptor is None:
            self._stream.write(line.decode())
            self._stream.flush()
            return
        rest = memoryview(line)
        while rest:
            try:
                rest = rest[os.write(self._descriptor, rest) :]
            except BlockingIOError:  # another process has set the shared pipe to non-blocking
                time.sleep(POLL_INTERVAL_S)

    def _report_recovery(self) -> None:
        """Report dropped lines once, after all lines in the queue were written."""
        dropped = self.dropped
        if dropped > self._reported and self._taken + 1 == self._added:
            before, self._reported = self._reported, dropped
            self._on_recovery(dropped - before)


def _descriptor(stream: TextIO) -> int | None:
    """Return a copy of the file descriptor of a stream, which its owner cannot close; None if it has none.

    The thread does not use the buffer of the stream. A thread that is blocked inside the buffer holds its lock, and the
    interpreter cannot end.
    """
    try:
        return os.dup(stream.fileno())
    except (OSError, io.UnsupportedOperation, AttributeError, ValueError):
        return None


_writers: "weakref.WeakSet[LineWriter]" = weakref.WeakSet()


def _after_fork() -> None:
    for writer in tuple(_writers):
        writer._reset()


os.register_at_fork(after_in_child=_after_fork)
