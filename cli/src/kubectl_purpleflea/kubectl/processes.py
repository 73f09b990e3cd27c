"""Processes of kubectl with limits for their time and output. The only module that starts processes.

kubectl starts credential plugins, which can outlive it, ignore SIGTERM and keep its pipes open. So each process has a
session, whose whole process group is killed at the end. No read of a pipe blocks, and nothing is read without a limit.
"""

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Self

from kubectl_purpleflea.decisions.failures import Failure, KubectlError

PROGRAM_VARIABLE = "PURPLEFLEA_KUBECTL"
"""Environment variable with the path of kubectl, if it is not on PATH."""
MAX_OUTPUT = 256 * 1024 * 1024
"""Bytes of one answer. 10,000 agents with their status have about 100 MB."""
MAX_ERRORS = 64 * 1024
EXIT_POLL_S = 0.05
"""Period of the check whether a process has ended, because another process can keep its pipes open."""
REAP_S = 5.0
_CHUNK = 64 * 1024
_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class _Session:
    """The processes that run, and whether a signal has ended the command. Signal handlers must not take a lock."""

    def __init__(self) -> None:
        self.children: set[Child] = set()
        self.is_interrupted = False
        self.is_starting = False
        """Whether the main thread starts a process, which an exception would leave behind."""

    def check(self) -> None:
        """Raise an error if a signal has ended the command."""
        if self.is_interrupted:
            raise KubectlError(Failure.NO_ANSWER, "interrupted")


class Child:
    """A process and its descendants. As a context manager it ends all of them."""

    def __init__(self, process: "subprocess.Popen[bytes]", stdin: str | None) -> None:
        self._process = process
        self._out, self._err, self._searched = bytearray(), bytearray(), 0
        self._input = memoryview((stdin or "").encode("utf-8", "replace"))
        self._selector = selectors.DefaultSelector()
        for stream, event in (
            (self._process.stdout, selectors.EVENT_READ),
            (self._process.stderr, selectors.EVENT_READ),
            (self._process.stdin, selectors.EVENT_WRITE),
        ):
            if stream is not None:
                os.set_blocking(stream.fileno(), False)
                self._selector.register(stream, event)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.end()

    @property
    def returncode(self) -> int:
        """Exit code of a process that has ended."""
        return self._process.returncode or 0

    @property
    def output(self) -> str:
        """Return everything that was printed to stdout and not taken as a line."""
        return self._out.decode("utf-8", "replace")

    @property
    def errors(self) -> str:
        """Return the end of what was printed to stderr."""
        return self._err.decode("utf-8", "replace")

    def step(self, wait_s: float) -> bool:
        """Read what is there, at most after `wait_s` seconds. Return whether the process can still print.

        Raises:
            KubectlError: The output is too long.
        """
        has_ended = self._process.poll() is not None
        if has_ended:
            # A descendant that keeps the pipes open must not be waited for.
            _kill_group(self._process.pid)
        timeout_s = 0.0 if has_ended else max(0.0, min(wait_s, EXIT_POLL_S))
        ready = self._ready(timeout_s)
        for key, _ in ready:
            self._transfer(key.fd)
        if len(self._out) > MAX_OUTPUT:
            text = (
                f"kubectl printed more than {MAX_OUTPUT // 1024**2} MiB; select fewer objects, such as those of one "
                "namespace"
            )
            raise KubectlError(Failure.HUNG, text)
        return bool(ready) or not has_ended

    def line(self) -> str | None:
        """Return the next complete line of stdout without its end; None if none was read yet."""
        end = self._out.find(b"\n", self._searched)
        if end < 0:
            self._searched = len(self._out)
            return None
        found = self._out[:end].decode("utf-8", "replace")
        del self._out[: end + 1]
        self._searched = 0
        return found

    def end(self) -> None:
        """Kill the process and its descendants."""
        _kill_group(self._process.pid)
        # A process that waits for a device cannot be killed.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(REAP_S)
        self._selector.close()
        for stream in (self._process.stdin, self._process.stdout, self._process.stderr):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
        _session.children.discard(self)

    def kill(self) -> None:
        """Kill the process and its descendants from another thread or a signal handler."""
        _kill_group(self._process.pid)

    def _ready(self, timeout_s: float) -> list[tuple[selectors.SelectorKey, int]]:
        if self._selector.get_map():
            return self._selector.select(timeout_s)
        # All pipes are closed, and only the exit code is missing.
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(timeout_s)
        return []

    def _transfer(self, descriptor: int) -> None:
        process = self._process
        if process.stdin is not None and descriptor == process.stdin.fileno():
            self._send(descriptor)
            return
        try:
            data = os.read(descriptor, _CHUNK)
        except BlockingIOError:
            return
        if not data:
            self._selector.unregister(descriptor)
        elif process.stdout is not None and descriptor == process.stdout.fileno():
            self._out += data
        else:
            self._err = (self._err + data)[-MAX_ERRORS:]

    def _send(self, descriptor: int) -> None:
        try:
            self._input = self._input[os.write(descriptor, self._input) :]
        except BlockingIOError:
            return
        except BrokenPipeError:
            self._input = memoryview(b"")
        if not self._input and self._process.stdin is not None:
            self._selector.unregister(descriptor)
            self._process.stdin.close()
            self._process.stdin = None


_session = _Session()


def completed(
    argv: Sequence[str], stdin: str | None, deadline: float, limit_s: float
) -> tuple[int, str, str]:
    """Run a process and return its exit code, its output and its errors. `deadline` is a monotonic time.

    Raises:
        KubectlError: The process cannot be started, does not end, or prints too much.
    """
    with start(argv, stdin) as child:
        while child.step(deadline - time.monotonic()):
            if time.monotonic() >= deadline:
                raise KubectlError(Failure.HUNG, f"kubectl did not end within {limit_s:g} s")
        _session.check()
        return child.returncode, child.output, child.errors


def lines(argv: Sequence[str], *, silence_s: float, deadline: float) -> Iterator[str | None]:
    """Yield the lines of a process until it ends; None after each silence.

    Raises:
        KubectlError: The process cannot be started, or a line is too long.
    """
    with start(argv) as child:
        silent_at = time.monotonic() + silence_s
        while time.monotonic() < deadline:
            can_print = child.step(min(silent_at, deadline) - time.monotonic())
            while (found := child.line()) is not None:
                yield found
                silent_at = time.monotonic() + silence_s
            if not can_print:
                return
            if time.monotonic() >= silent_at:
                yield None
                silent_at = time.monotonic() + silence_s


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Let the first signal end all processes and raise KeyboardInterrupt in the main thread.

    The processes have other sessions, so a terminal does not send them Ctrl-C. Later signals are ignored: the command
    already ends, and must still report what it has changed.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _session.is_interrupted = False
    former = {number: signal.getsignal(number) for number in _SIGNALS}
    try:
        for number, handler in former.items():
            # A process that nohup or a shell started in the background ignores signals on purpose.
            if handler is not signal.SIG_IGN:
                signal.signal(number, _interrupt)
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)
        _session.is_interrupted = False


def _interrupt(*_: object) -> None:
    is_first, _session.is_interrupted = not _session.is_interrupted, True
    for child in tuple(_session.children):
        child.kill()
    if is_first and not _session.is_starting:
        raise KeyboardInterrupt


def start(argv: Sequence[str], stdin: str | None = None) -> Child:
    """Start a process, unless the command ends. A signal meanwhile does not leave the process behind.

    Raises:
        KubectlError: The process cannot be started.
    """
    is_main = threading.current_thread() is threading.main_thread()
    _session.check()
    _session.is_starting = _session.is_starting or is_main
    try:
        child = Child(_process(argv), stdin)
        _session.children.add(child)
    finally:
        if is_main:
            _session.is_starting = False
    try:
        _session.check()
    except KubectlError as error:
        child.end()
        raise KeyboardInterrupt if is_main else error from error
    return child


def _process(argv: Sequence[str]) -> "subprocess.Popen[bytes]":
    try:
        # A prompt of a credential plugin has no terminal, so the plugin reports that instead of waiting.
        return subprocess.Popen(
            argv,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,
        )
    except FileNotFoundError as error:
        text = f"{argv[0]} is not found; install kubectl, or set {PROGRAM_VARIABLE} to its path"
        raise KubectlError(Failure.NO_KUBECTL, text) from error
    except OSError as error:
        text = f"{argv[0]} cannot be started: {error.strerror}"
        raise KubectlError(Failure.NO_KUBECTL, text) from error


def _kill_group(group: int) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(group, signal.SIGKILL)
