"""The end of the process: soon after the work, whatever the receivers of telemetry and logs do."""

import contextlib
import itertools
import os
import signal
import socket
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path

import pytest

from support.agent_process import AgentFolder, AgentProcess
from support.exchange_double import ExchangeDouble
from support.waiting import wait_for

PROMISE_S = 3.0
"""Longest time from the end of the work to the end of the process."""
MARGIN_S = 5.0
"""For a busy machine. Without the promise ddtrace takes 40 s."""
INTERVALS = 20
"""Trading intervals of one second, with a line of 250 bytes at least in each, for a pipe of 4096 bytes."""

Environment = dict[str, str]


@contextlib.contextmanager
def tcp_that_never_answers(_: Path) -> Iterator[Environment]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as unresponsive:
        yield {"DD_TRACE_AGENT_URL": f"http://127.0.0.1:{unresponsive.getsockname()[1]}"}


@contextlib.contextmanager
def tcp_with_a_full_backlog(_: Path) -> Iterator[Environment]:
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _number in range(3):
            client = stack.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        yield {"DD_TRACE_AGENT_URL": f"http://127.0.0.1:{full.getsockname()[1]}"}


@contextlib.contextmanager
def tcp_that_drips(_: Path) -> Iterator[Environment]:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:

        def drip(connection: socket.socket) -> None:
            with contextlib.suppress(OSError), connection:
                for byte in itertools.cycle(b"HTTP/1.1 200 OK\r\nX: y"):
                    connection.sendall(bytes([byte]))
                    time.sleep(0.2)

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _address = server.accept()
                    threading.Thread(target=drip, args=(connection,), daemon=True).start()

        threading.Thread(target=accept, daemon=True).start()
        yield {"DD_TRACE_AGENT_URL": f"http://127.0.0.1:{server.getsockname()[1]}"}
        server.shutdown(socket.SHUT_RDWR)


@contextlib.contextmanager
def trace_socket_that_never_answers(folder: Path) -> Iterator[Environment]:
    path = folder / "apm.socket"
    with socket.socket(socket.AF_UNIX) as unresponsive:
        unresponsive.bind(str(path))
        unresponsive.listen(64)
        yield {"DD_TRACE_AGENT_URL": f"unix://{path}"}


@contextlib.contextmanager
def metric_stream_that_is_not_read(folder: Path) -> Iterator[Environment]:
    path = folder / "dsd.socket"
    with socket.socket(socket.AF_UNIX) as unresponsive:
        unresponsive.bind(str(path))
        unresponsive.listen(0)
        yield {"DD_DOGSTATSD_URL": f"unix://{path}"}


@contextlib.contextmanager
def metric_datagrams_that_are_not_read(folder: Path) -> Iterator[Environment]:
    path = folder / "dsd.socket"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unread:
        unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        unread.bind(str(path))
        yield {"DD_DOGSTATSD_URL": f"unix://{path}"}


@contextlib.contextmanager
def node_agent_that_accepts_and_never_answers(folder: Path) -> Iterator[Environment]:
    with (
        tcp_that_never_answers(folder) as traces,
        metric_stream_that_is_not_read(folder) as metrics,
    ):
        yield {**traces, **metrics}


RECEIVERS: list[Callable[[Path], contextlib.AbstractContextManager[Environment]]] = [
    tcp_that_never_answers,
    tcp_with_a_full_backlog,
    tcp_that_drips,
    trace_socket_that_never_answers,
    metric_stream_that_is_not_read,
    metric_datagrams_that_are_not_read,
    node_agent_that_accepts_and_never_answers,
]


@pytest.mark.parametrize("receiver", RECEIVERS, ids=lambda receiver: receiver.__name__)
def test_the_process_ends_soon_after_its_work_whatever_the_node_agent_does(
    folder: AgentFolder,
    exchange: ExchangeDouble,
    receiver: Callable[[Path], contextlib.AbstractContextManager[Environment]],
) -> None:
    with (
        receiver(folder.root) as environment,
        AgentProcess(folder, {**environment, "PURPLEFLEA_GRACE_PERIOD_S": "60"}) as agent,
    ):
        agent.wait_until_ready()
        wait_for(lambda: len(exchange.orders) >= 2, what="two orders")
        assert agent.terminate(timeout_s=40) == 0
        ended = time.time()
        (stopped,) = (line for line in agent.lines() if line["message"] == "Stopped")
        done = datetime.fromisoformat(stopped["timestamp"]).timestamp()
        assert ended - done < PROMISE_S + MARGIN_S
        assert agent.stderr == []


def test_a_process_with_a_mistake_of_the_user_ends_soon_with_a_silent_trace_agent(
    folder: AgentFolder,
) -> None:
    folder.config.joinpath("settings.json").write_text("{}")
    with (
        tcp_that_never_answers(folder.root) as environment,
        AgentProcess(folder, environment) as agent,
    ):
        wait_for(agent.lines, what="the line", timeout_s=30)
        shown = time.monotonic()
        assert agent.wait() == 2
        assert time.monotonic() - shown < PROMISE_S + MARGIN_S


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def unread(folder: AgentFolder) -> Iterator[AgentProcess]:
    """An agent whose standard output is not read."""
    environment = {
        "PURPLEFLEA_HTTP_PORT": str(free_port()),
        "PURPLEFLEA_GRACE_PERIOD_S": "12",
        "DD_TRACE_ENABLED": "false",
    }
    with AgentProcess(folder, environment, is_read=False) as running:
        yield running


def wait_for_full_pipe(exchange: ExchangeDouble) -> None:
    path = "/v1/markets/BTC-USD/candles"
    what = "more lines than the pipe takes"
    wait_for(lambda: exchange.count("GET", path) >= INTERVALS, what=what, timeout_s=90)


def test_an_agent_whose_log_is_not_read_trades_halts_and_ends(
    folder: AgentFolder, exchange: ExchangeDouble, unread: AgentProcess
) -> None:
    unread.wait_until_ready()
    wait_for_full_pipe(exchange)
    assert unread.probe("/healthz") == 200
    folder.set_mode("Halted")
    started = time.monotonic()
    acknowledged = unread.http.get("/v1/control").json()
    assert (acknowledged["mode"], acknowledged["sending"]) == ("Halted", False)
    assert time.monotonic() - started < PROMISE_S
    wait_for(lambda: unread.http.get("/v1/control").json()["at_rest"], what="the drained state")
    orders = len(exchange.orders)
    started = time.monotonic()
    assert unread.terminate(timeout_s=12) == 0
    assert time.monotonic() - started < PROMISE_S + MARGIN_S
    assert len(exchange.orders) == orders


def test_the_log_of_an_agent_continues_when_its_reader_resumes(
    folder: AgentFolder, exchange: ExchangeDouble, unread: AgentProcess
) -> None:
    unread.wait_until_ready()
    wait_for_full_pipe(exchange)
    unread.read_output()
    wait_for(
        lambda: len(unread.lines("signal_generated")) >= INTERVALS, what="the lines from before"
    )
    os.kill(unread.pid, signal.SIGTERM)
    assert unread.wait() == 0
    assert unread.lines()[-1]["message"] == "Stopped"
