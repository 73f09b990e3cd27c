"""A node agent that stops, restarts, is replaced or does not read: telemetry resumes, and trading never waits."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from purpleflea_contract import metrics, spans
from support.agent_process import AgentFolder, AgentProcess
from support.paper_exchange import PaperExchange
from support.receivers.dogstatsd import DogStatsdSink
from support.receivers.trace_agent import TraceAgent
from support.waiting import wait_for

ORDERS = 4


@pytest.fixture
def socket_path(folder: AgentFolder) -> Path:
    return folder.root / "dsd.socket"


@pytest.fixture
def agent(folder: AgentFolder, socket_path: Path) -> Iterator[AgentProcess]:
    environment = {"DD_DOGSTATSD_URL": f"unix://{socket_path}"}
    with AgentProcess(folder, environment) as running:
        yield running
        assert running.terminate() == 0


def continues_trading(exchange: PaperExchange) -> None:
    before = exchange.order_count()
    wait_for(lambda: exchange.order_count() >= before + ORDERS, what="orders", timeout_s=30)


def test_metrics_resume_when_the_socket_of_the_node_agent_is_replaced(
    agent: AgentProcess, exchange: PaperExchange, socket_path: Path
) -> None:
    continues_trading(exchange)  # before the first node agent
    with DogStatsdSink(socket_path) as first:
        first.wait_for(metrics.HEARTBEAT.name)
    continues_trading(exchange)
    with DogStatsdSink(socket_path) as second:
        second.wait_for(metrics.HEARTBEAT.name)
        second.wait_for(metrics.OPEN_POSITIONS.name)
    assert agent.stderr == []


def test_a_node_agent_that_does_not_read_does_not_delay_trading(
    agent: AgentProcess, exchange: PaperExchange, socket_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as unread:
        unread.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        unread.bind(str(socket_path))
        continues_trading(exchange)
        assert agent.probe("/healthz") == 200
        wait_for(
            lambda: agent.http.get("/v1/status").json()["telemetry_dropped"],
            what="a counted drop",
            timeout_s=60,
        )
    socket_path.unlink()
    with DogStatsdSink(socket_path) as reading:
        reading.wait_for(metrics.HEARTBEAT.name)


def test_traces_resume_when_the_trace_agent_is_back(
    folder: AgentFolder, exchange: PaperExchange, tmp_path: Path
) -> None:
    with TraceAgent(tmp_path) as first, AgentProcess(folder, first.environment) as agent:
        first.wait_for(spans.ORDER_EXECUTE.name, timeout_s=30)
        first.close()
        continues_trading(exchange)
        with TraceAgent(tmp_path, port=first.port) as second:
            second.wait_for(spans.ORDER_EXECUTE.name, timeout_s=30)
            continues_trading(exchange)
        assert agent.terminate() == 0
