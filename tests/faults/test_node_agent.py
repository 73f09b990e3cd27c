"""The node agent goes, comes back, is replaced, or stops reading: telemetry resumes, and trading never waits for it."""

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


def orders_go_on(exchange: PaperExchange) -> None:
    before = exchange.order_count()
    wait_for(lambda: exchange.order_count() >= before + ORDERS, what="orders", timeout_s=30)


def test_metrics_resume_after_the_node_agent_was_away_and_its_socket_replaced(
    agent: AgentProcess, exchange: PaperExchange, socket_path: Path
) -> None:
    orders_go_on(exchange)  # before there was any node agent
    with DogStatsdSink(socket_path) as first:
        first.wait_for(metrics.HEARTBEAT.name)
    orders_go_on(exchange)
    with DogStatsdSink(socket_path) as second:
        second.wait_for(metrics.HEARTBEAT.name)
        second.wait_for(metrics.OPEN_POSITIONS.name)
    assert agent.stderr == []


def test_a_node_agent_that_does_not_read_holds_nothing_up(
    agent: AgentProcess, exchange: PaperExchange, socket_path: Path
) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as deaf:
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        deaf.bind(str(socket_path))
        orders_go_on(exchange)
        assert agent.probe("/healthz") == 200
        wait_for(
            lambda: agent.http.get("/v1/status").json()["telemetry_dropped"],
            what="a counted loss",
            timeout_s=60,
        )
    socket_path.unlink()
    with DogStatsdSink(socket_path) as reading:
        reading.wait_for(metrics.HEARTBEAT.name)


def test_traces_resume_after_the_trace_agent_was_away(
    folder: AgentFolder, exchange: PaperExchange, tmp_path: Path
) -> None:
    with TraceAgent(tmp_path) as first, AgentProcess(folder, first.environment) as agent:
        first.wait_for(spans.ORDER_EXECUTE.name, timeout_s=30)
        first.close()
        orders_go_on(exchange)
        with TraceAgent(tmp_path, port=first.port) as second:
            second.wait_for(spans.ORDER_EXECUTE.name, timeout_s=30)
            orders_go_on(exchange)
        assert agent.terminate() == 0
