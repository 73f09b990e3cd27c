"""A reader of the log that stops, closes, or resumes: no thread waits, lost lines are counted and reported once."""

import io
import json
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator

import pytest

from purpleflea_sdk.settings import read_environment
from purpleflea_sdk.telemetry import logs
from purpleflea_sdk.telemetry.line_writer import MAX_BYTES, MAX_LINES, LineWriter
from support.agent_process import AgentFolder
from support.waiting import wait_for

LONG = "x" * 65_536


class Pipe:
    """A pipe whose writing end is a text stream, and its reader."""

    def __init__(self) -> None:
        self.read_end, write_end = os.pipe()
        self.stream = open(write_end, "w", encoding="utf-8")  # noqa: SIM115 - closed in close
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read)

    def start_reading(self) -> None:
        self._reader.start()

    def close(self) -> None:
        self.stream.close()
        if self._reader.ident is None:
            os.close(self.read_end)
        else:
            self._reader.join()

    def _read(self) -> None:
        with open(self.read_end, encoding="utf-8") as lines:
            self.lines.extend(line.rstrip("\n") for line in lines)


@pytest.fixture
def pipe() -> Iterator[Pipe]:
    pipe = Pipe()
    yield pipe
    pipe.close()


@pytest.fixture
def reports() -> list[int]:
    return []


@pytest.fixture
def writer(pipe: Pipe, reports: list[int]) -> Iterator[LineWriter]:
    """A writer to the pipe. Its thread ends with the pipe, because a blocked write then fails."""
    writer = LineWriter(pipe.stream, on_recovery=reports.append)
    yield writer
    if pipe._reader.ident is None:
        pipe.start_reading()
    writer.close(5)


def test_lines_arrive_complete_and_in_sequence(pipe: Pipe, writer: LineWriter) -> None:
    pipe.start_reading()
    lines = [*(f"line {number}" for number in range(1000)), LONG, "ü\ud800"]
    for line in lines:
        writer.add(line)
    writer.close(5)
    pipe.close()
    assert pipe.lines == [*lines[:-1], "ü\\ud800"]
    assert writer.dropped == 0


@pytest.mark.parametrize("line", ["x" * 100, LONG], ids=["short", "long"])
def test_a_reader_that_does_not_read_costs_no_time_and_bounded_memory(
    pipe: Pipe, writer: LineWriter, reports: list[int], line: str
) -> None:
    started = time.monotonic()
    for _ in range(3 * MAX_LINES):
        writer.add(line)
    assert time.monotonic() - started < 30
    kept = 3 * MAX_LINES - writer.dropped
    assert 0 < kept <= MAX_LINES + 65_536 // len(line) + 1
    assert kept * len(line) <= MAX_BYTES + 2 * 65_536
    assert not writer.wait_until_written(0.05)
    assert reports == []
    dropped = writer.dropped
    pipe.start_reading()
    wait_for(lambda: reports, what="the report of the lost lines")
    assert reports == [dropped]
    writer.add("after")
    assert writer.wait_until_written(5)
    assert reports == [dropped]


def test_a_second_stop_of_the_reader_is_reported_separately(
    pipe: Pipe, writer: LineWriter, reports: list[int]
) -> None:
    for _ in range(200):
        writer.add(LONG)
    first = writer.dropped
    pipe.start_reading()
    wait_for(lambda: reports, what="the first report")
    with writer._counting:  # a queue that is full again for a moment
        writer._full += 7
    writer.add("again")
    wait_for(lambda: len(reports) == 2, what="the second report")
    assert reports == [first, 7]


def test_a_line_is_added_in_a_signal_handler_that_interrupts_add(
    pipe: Pipe, writer: LineWriter
) -> None:
    pipe.start_reading()
    before = signal.signal(signal.SIGALRM, lambda *_: writer.add("from the handler"))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for _ in range(20_000):
            writer.add("line")
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    assert writer.wait_until_written(20)
    assert writer.dropped + writer._added == writer._taken + writer._full


class Failing(io.StringIO):
    """A stream without a descriptor that fails while it has an error."""

    error: Exception | None = OSError(28, "No space left on device")

    def write(self, text: str) -> int:
        if self.error is not None:
            raise self.error
        return super().write(text)


@pytest.mark.parametrize(
    "error", [OSError(28, "No space"), BrokenPipeError(), ValueError("closed file")], ids=repr
)
def test_writes_that_fail_are_counted_and_reported_when_they_succeed(
    reports: list[int], error: Exception
) -> None:
    stream = Failing()
    stream.error = error
    writer = LineWriter(stream, on_recovery=reports.append)
    for _ in range(3):
        writer.add("lost")
    assert writer.wait_until_written(5)
    assert (writer.dropped, reports) == (3, [])
    stream.error = None
    writer.add("written")
    writer.close(5)
    assert (stream.getvalue(), reports) == ("written\n", [3])


def test_a_pipe_that_another_process_set_to_non_blocking_loses_no_line(
    pipe: Pipe, writer: LineWriter
) -> None:
    os.set_blocking(pipe.stream.fileno(), False)
    for number in range(40):
        writer.add(f"{number} {LONG}")
    pipe.start_reading()
    assert writer.wait_until_written(10)
    writer.close(5)
    pipe.close()
    assert [line.partition(" ")[0] for line in pipe.lines] == [str(n) for n in range(40)]
    assert writer.dropped == 0


def test_a_stream_that_is_closed_by_its_owner_still_gets_the_lines(
    reports: list[int], tmp_path: object
) -> None:
    path = f"{tmp_path}/agent.log"
    with open(path, "w", encoding="utf-8") as stream:
        writer = LineWriter(stream, on_recovery=reports.append)
    with open(os.devnull, encoding="utf-8"):  # takes the number of the closed descriptor
        writer.add("line")
        writer.close(5)
    with open(path, encoding="utf-8") as written:
        assert written.read() == "line\n"


def test_a_child_process_writes_its_own_lines_and_not_those_of_its_parent(
    mounts: AgentFolder,
) -> None:
    program = """
import logging, os
from purpleflea_sdk.settings import read_environment
from purpleflea_sdk.telemetry import logs
logs.configure(read_environment())
logging.info("parent")
child = os.fork()
logging.info("child" if child == 0 else "parent again")
if child == 0:
    logging.shutdown()
    os._exit(0)
os.waitpid(child, 0)
"""
    lines = run(program, mounts).stdout.splitlines()
    assert sorted(json.loads(line)["message"] for line in lines) == [
        "child",
        "parent",
        "parent again",
    ]


def run(program: str, mounts: AgentFolder) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, **mounts.environment, "PYTHONUNBUFFERED": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


HELD: dict[str, str] = {
    "a handler that never returns": """
class Blocking(logging.Handler):
    def emit(self, record):
        time.sleep(60)
logging.getLogger().handlers = [Blocking()]
""",
    "a lock of logging that another thread holds": """
def hold():
    logging._lock.acquire()
    time.sleep(60)
threading.Thread(target=hold, daemon=True).start()
""",
    "a full pipe": """
r, w = os.pipe()
os.dup2(w, 1)
logs.configure(read_environment())
for _ in range(100):
    logging.warning("x" * 10000)
""",
    "a thread that never ends": """
threading.Thread(target=time.sleep, args=(60,)).start()
""",
    "an exit handler that never returns": """
import atexit
atexit.register(time.sleep, 60)
""",
}


@pytest.mark.parametrize("held", HELD)
@pytest.mark.parametrize("end", ["sys.exit(3)", "time.sleep(60)"])
def test_the_exit_deadline_ends_the_process_whatever_logging_does(
    mounts: AgentFolder, held: str, end: str
) -> None:
    program = f"""
import logging, os, sys, threading, time
from purpleflea_sdk.exit_deadline import exit_within
from purpleflea_sdk.settings import read_environment
from purpleflea_sdk.telemetry import logs
{HELD[held]}
exit_within(1.0, 3)
{end}
"""
    started = time.monotonic()
    assert run(program, mounts).returncode == 3
    assert time.monotonic() - started < 30


def test_a_value_whose_text_never_returns_does_not_block_other_threads(
    pipe: Pipe, mounts: AgentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in mounts.environment.items():
        monkeypatch.setenv(name, value)
    released = threading.Event()

    class Slow:
        def __str__(self) -> str:
            released.wait(30)
            return "slow"

    handler = logs.LineHandler(pipe.stream)
    handler.setFormatter(logs.JsonFormatter(read_environment()))
    slow = threading.Thread(
        target=handler.handle, args=(logging.makeLogRecord({"msg": "slow", "value": Slow()}),)
    )
    slow.start()
    handler.handle(logging.makeLogRecord({"msg": "fast"}))
    pipe.start_reading()
    handler.flush()
    assert handler._writer._taken == 1
    released.set()
    slow.join()
    handler.close()
    pipe.close()
    assert [json.loads(line)["message"] for line in pipe.lines] == ["fast", "slow"]
