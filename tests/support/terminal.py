"""A terminal with a program in it: a pseudoterminal, and an emulator that shows what a person would see.

The emulator processes the output byte by byte, so a test can also find what is visible only for a moment.
"""

import contextlib
import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyte


class Terminal:
    """A program in a terminal of a size. `env` replaces the variables of the program."""

    def __init__(
        self, argv: Sequence[str | Path], *, env: Mapping[str, str], columns: int, lines: int
    ) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self.screen)
        self.on_byte: Callable[[], None] = lambda: None
        """Called after each byte of the output."""
        self.output = b""
        self._terminal, inner = pty.openpty()
        self._set_size(columns, lines)
        self.process = subprocess.Popen(
            list(map(str, argv)),
            stdin=inner,
            stdout=inner,
            stderr=inner,
            env=dict(env),
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
        )
        os.close(inner)

    @property
    def rows(self) -> list[str]:
        """The visible rows, without spaces at their end."""
        return [row.rstrip() for row in self.screen.display]

    @property
    def text(self) -> str:
        """The visible text, without empty rows at its end."""
        return "\n".join(self.rows).rstrip()

    def colors(self, text: str) -> set[str]:
        """Return the colors of the row that has a text."""
        for number, row in enumerate(self.screen.display):
            if text in row:
                cells = self.screen.buffer[number]
                return {cells[at].fg for at in range(self.screen.columns) if cells[at].data != " "}
        raise AssertionError(f"{text!r} is not on the screen:\n{self.text}")

    def type(self, keys: str) -> None:
        """Press keys, such as Tab or Ctrl-C."""
        os.write(self._terminal, keys.encode())

    def resize(self, columns: int, lines: int) -> None:
        """Change the size, as if a person changes the window."""
        self.screen.resize(lines, columns)
        self._set_size(columns, lines)
        os.killpg(self.process.pid, signal.SIGWINCH)

    def read_until(self, condition: Callable[[], bool], *, timeout_s: float = 60.0) -> None:
        """Show the output until the condition is true."""
        deadline = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline, f"timeout; the screen is:\n{self.text}"
            if not self._read(0.2) and self.process.poll() is not None:
                assert condition(), f"the program has ended; the screen is:\n{self.text}"

    def wait(self, *, timeout_s: float = 60.0) -> int:
        """Show the output until the program ends, and return its exit code."""
        self.read_until(lambda: self.process.poll() is not None, timeout_s=timeout_s)
        while self._read(0.0):
            pass
        return self.process.returncode

    def save(self, path: Path) -> None:
        """Write the screen to a file."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f"{self.text}\n", encoding="utf-8")

    def close(self) -> None:
        """End the program and its children."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        os.close(self._terminal)

    def _read(self, timeout_s: float) -> bool:
        if not select.select([self._terminal], [], [], timeout_s)[0]:
            return False
        try:
            content = os.read(self._terminal, 65536)
        except OSError:
            return False  # The program has closed the terminal.
        self.output += content
        for at in range(len(content)):
            self._stream.feed(content[at : at + 1])
            self.on_byte()
        return bool(content)

    def _set_size(self, columns: int, lines: int) -> None:
        size = struct.pack("HHHH", lines, columns, 0, 0)
        fcntl.ioctl(self._terminal, termios.TIOCSWINSZ, size)
