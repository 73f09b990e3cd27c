"""The agent as a process: start, stop, crash, and missing dependencies."""

import json
import os
import signal
import socket
import sqlite3
from datetime import timedelta
from decimal import Decimal

import pytest
from prometheus_client.parser import text_string_to_metric_families

from purpleflea_agent.api import health_routes
from purpleflea_agent.exchange.port import EscrowRequest, OrderRequest
from purpleflea_agent.journal import Journal
from purpleflea_contract import metrics, spans
from support.agent_process import TOKEN, AgentFolder, AgentProcess
from support.exchange_double import KEY, ExchangeDouble
from support.receivers.dogstatsd import DogStatsdSink
from support.receivers.trace_agent import TraceAgent
from support.waiting import wait_for

TRADE = b'{"market": "BTC-USD", "side": "buy", "size": "0.01"}'


def test_without_datadog_it_trades_and_warns_once(
    folder: AgentFolder, exchange: ExchangeDouble
) -> None:
    with AgentProcess(folder, {}) as agent:
        agent.wait_until_ready()
        wait_for(lambda: len(exchange.orders) >= 2, what="two orders")
        assert not _udp_sockets(agent.pid)
        assert agent.terminate() == 0
        warnings = [line for line in agent.lines() if "are not sent" in line["message"]]
        assert len(warnings) == 1
        assert not [line for line in agent.lines() if line["logger"].startswith("ddtrace")]
        assert agent.stderr == []


def test_a_missing_key_and_a_missing_trace_agent_do_not_end_the_process(
    folder: AgentFolder, exchange: ExchangeDouble
) -> None:
    folder.key_file.unlink()
    with AgentProcess(folder, {"DD_TRACE_AGENT_URL": "http://127.0.0.1:9"}) as agent:
        wait_for(lambda: agent.probe("/healthz") == 200, what="a live process")
        refused = agent.http.get("/readyz")
        assert refused.status_code == 503
        assert refused.headers["content-type"] == "application/problem+json"
        assert str(folder.key_file) in refused.json()["detail"]
        assert exchange.requests == []
        folder.key_file.write_text(KEY)
        agent.wait_until_ready()
        # No receiver accepted its traces. They are counted, and nothing waits for them.
        wait_for(lambda: dropped_traces(agent) > 0, what="a counted loss of traces", timeout_s=20)


def test_a_crash_between_commit_and_answer_results_in_one_order(
    folder: AgentFolder, exchange: ExchangeDouble, trace_agent: TraceAgent
) -> None:
    exchange.faults.lose_answers_after_commit = 1
    with AgentProcess(folder, {}) as agent:
        wait_for(lambda: exchange.orders, what="an order at the exchange", timeout_s=30)
        agent.kill()
    folder.set_mode("Halted")  # so that only the old order can be settled
    trace_agent.clear()
    with AgentProcess(folder, trace_agent.environment) as agent:
        agent.wait_until_ready()
        wait_for(
            lambda: agent.status()["orders"] == {"filled": 1},
            what="the old order settled",
        )
        (order,) = exchange.orders.values()
        settled = trace_agent.wait_for(spans.ORDER_SETTLE.name)
        assert settled["meta"]["order_id"] == order["order_id"]
        # Another process sent it, so no span here may look like a second order.
        assert trace_agent.spans(spans.ORDER_EXECUTE.name) == []
    assert len(exchange.orders) == 1
    assert exchange.count("POST", "/v1/orders") == 1


def test_a_trace_agent_that_never_answers_does_not_delay_the_exit(
    folder: AgentFolder, exchange: ExchangeDouble
) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=64) as unresponsive:
        url = f"http://127.0.0.1:{unresponsive.getsockname()[1]}"
        environment = {"DD_TRACE_AGENT_URL": url, "PURPLEFLEA_GRACE_PERIOD_S": "6"}
        with AgentProcess(folder, environment) as agent:
            agent.wait_until_ready()
            wait_for(lambda: len(exchange.orders) >= 2, what="two orders")
            # Without the deadline ddtrace takes 40 s here.
            assert agent.terminate(timeout_s=25) == 0
            assert "Exit deadline reached" in agent.lines()[-1]["message"]
            assert agent.stderr == []


def test_a_signal_during_the_start_is_not_lost(folder: AgentFolder) -> None:
    folder.forget_journal()
    with AgentProcess(folder, {}) as agent:
        wait_for(folder.state.exists, what="the journal's folder", timeout_s=30)
        assert agent.terminate() == 0


@pytest.mark.parametrize(
    ("since_refresh_s", "reason"),
    [
        (None, "the exchange was not reached yet"),
        (0.0, None),
        (50.0, None),
        (51.0, "the trading interval takes too long, so the account is out of date"),
    ],
)
def test_an_account_that_is_too_old_is_not_ready(
    since_refresh_s: float | None, reason: str | None
) -> None:
    assert health_routes.staleness(since_refresh_s, interval=timedelta(seconds=10)) == reason


def test_sigterm_waits_for_the_answer_to_an_order(
    folder: AgentFolder, exchange: ExchangeDouble
) -> None:
    exchange.faults.answer_after_s = 1.0
    with AgentProcess(folder, {}) as agent:
        wait_for(lambda: exchange.orders, what="an order at the exchange", timeout_s=30)
        assert agent.terminate() == 0
        assert len(agent.lines("trade_executed")) == 1
    database = sqlite3.connect(folder.state / "journal.sqlite3")
    assert database.execute("SELECT status FROM orders").fetchall() == [("filled",)]
    database.close()


def test_after_the_signal_open_requests_finish_and_no_new_order_is_sent(
    folder: AgentFolder, exchange: ExchangeDouble
) -> None:
    with AgentProcess(folder, {"PURPLEFLEA_GRACE_PERIOD_S": "24"}) as agent:
        agent.wait_until_ready()
        wait_for(lambda: exchange.orders, what="an order at the exchange")
        with half_a_request(agent), half_a_request(agent) as finished:
            # A complete request after them. When it is answered, both halves have been read.
            assert agent.probe("/healthz") == 200
            orders = len(exchange.orders)
            os.kill(agent.pid, signal.SIGTERM)
            wait_for(lambda: not _accepts(agent), what="no more connections")
            finished.sendall(TRADE[-1:])
            assert b'"code":"stopped"' in finished.makefile("rb").read()
            assert agent.wait() == 0
        # At most one order was being sent at that moment. Others were due every second.
        assert len(exchange.orders) <= orders + 1


def half_a_request(agent: AgentProcess) -> socket.socket:
    """Return a connection on which an order was sent except for its last byte."""
    url = agent.http.base_url
    connection = socket.create_connection((url.host, url.port or 0), timeout=30)
    head = (
        f"POST /v1/trade HTTP/1.1\r\nHost: agent\r\nAuthorization: Bearer {TOKEN}\r\n"
        f"Connection: close\r\nContent-Type: application/json\r\nContent-Length: {len(TRADE)}\r\n\r\n"
    )
    connection.sendall(head.encode() + TRADE[:-1])
    return connection


def _accepts(agent: AgentProcess) -> bool:
    url = agent.http.base_url
    try:
        socket.create_connection((url.host, url.port or 0)).close()
    except ConnectionError:
        return False
    return True


async def test_unfinished_work_is_settled_soon_with_any_trading_interval(
    folder: AgentFolder, exchange: ExchangeDouble
) -> None:
    path = folder.config / "settings.json"
    settings = json.loads(path.read_text())
    settings["trading"]["interval"] = "1h"
    path.write_text(json.dumps(settings))
    folder.set_mode("Halted")
    order = OrderRequest(idempotency_key="k1", market="BTC-USD", side="buy", size=Decimal("0.01"))
    escrow = EscrowRequest(idempotency_key="e1", counterparty_id="agent_b", amount_usd=Decimal(25))
    journal = Journal(folder.state)
    await journal.write(order)
    await journal.write_escrow(escrow)
    await journal.close()
    with AgentProcess(folder, {}) as agent:
        agent.wait_until_ready()
        wait_for(lambda: exchange.count("GET", "/v1/orders") >= 1, what="the first look-up")
        exchange.orders["k1"] = exchange.filled(
            "k1", {"market": "BTC-USD", "side": "buy", "size": "0.01", "type": "market"}
        )
        wait_for(lambda: agent.status()["orders"] == {"filled": 1}, what="the order settled")
        assert agent.http.get("/v1/control").json()["at_rest"] is False
        exchange.escrows["esc_1"] = {
            "escrow_id": "esc_1",
            "status": "created",
            "idempotency_key": "e1",
            "counterparty_id": "agent_b",
            "amount_usd": "25",
        }
        wait_for(lambda: agent.status()["escrows"] == {"created": 1}, what="the escrow settled")
        wait_for(lambda: agent.http.get("/v1/control").json()["at_rest"], what="the drained state")


def test_an_invalid_environment_is_one_line_of_json(
    folder: AgentFolder,
) -> None:
    with AgentProcess(folder, {"PURPLEFLEA_HTTP_PORT": "http", "DD_SERVICE": "pf"}) as agent:
        assert agent.wait() == 2
        (line,) = agent.lines()
        assert "PURPLEFLEA_HTTP_PORT" in line["message"]
        assert (line["level"], line["agent_id"], line["dd.service"]) == (
            "CRITICAL",
            "momentum-0",
            "pf",
        )
        assert agent.stderr == []


def test_stopped_and_sigterm_close_positions_and_active_trades_again(
    folder: AgentFolder, exchange: ExchangeDouble
) -> None:
    path = folder.config / "settings.json"
    settings = json.loads(path.read_text())
    settings["trading"]["flattenOnStop"] = True
    path.write_text(json.dumps(settings))
    with AgentProcess(folder, {"PURPLEFLEA_GRACE_PERIOD_S": "20"}) as agent:
        wait_for(lambda: exchange.orders, what="an order at the exchange", timeout_s=30)
        assert agent.http.get("/v1/control").json()["at_rest"] is False
        folder.set_mode("Stopped")
        wait_for(
            lambda: agent.http.get("/v1/control").json()["at_rest"],
            what="the drained state",
            timeout_s=5,
        )
        acknowledged = agent.http.get("/v1/control").json()
        assert (acknowledged["mode"], acknowledged["generation"]) == ("Stopped", 7)
        assert acknowledged["left_undone"] is None
        assert net_size(exchange) == 0
        assert agent.http.get("/readyz").json() == {"status": "stopped"}
        orders = len(exchange.orders)
        agent.wait_for_line("order_refused")
        assert len(exchange.orders) == orders
        folder.set_mode("Active")
        wait_for(lambda: net_size(exchange) != 0, what="trading resumed", timeout_s=5)
        assert agent.terminate() == 0
    assert net_size(exchange) == 0


def dropped_traces(agent: AgentProcess) -> float:
    dropped = agent.status()["telemetry_dropped_by_signal"]["traces"]
    families = text_string_to_metric_families(agent.http.get("/metrics").text)
    samples = {
        s.labels["signal"]: s.value for f in families for s in f.samples if "signal" in s.labels
    }
    assert samples["traces"] >= dropped
    return float(dropped)


def net_size(exchange: ExchangeDouble) -> Decimal:
    orders = tuple(exchange.orders.values())
    signed = (Decimal(o["filled_size"]) * (1 if o["side"] == "buy" else -1) for o in orders)
    return sum(signed, Decimal(0))


def test_metrics_reach_a_unix_socket_that_was_replaced(folder: AgentFolder) -> None:
    path = folder.root / "dsd.socket"
    with DogStatsdSink(path) as first, AgentProcess(folder, first.environment) as agent:
        first.wait_for(metrics.HEARTBEAT.name, timeout_s=30)
        first.close()
        with DogStatsdSink(path) as second:
            second.wait_for(metrics.HEARTBEAT.name)
        assert agent.probe("/healthz") == 200


def test_invalid_settings_end_the_process_with_one_line(folder: AgentFolder) -> None:
    path = folder.config / "settings.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "strategy": "crystal-ball"}))
    with AgentProcess(folder, {}) as agent:
        assert agent.wait() == 2
        (line,) = agent.lines()
        assert "there is no strategy 'crystal-ball': use one of" in line["message"]
        assert agent.stderr == []


def test_without_the_exchange_the_process_is_alive_and_not_ready(
    folder: AgentFolder, exchange: ExchangeDouble
) -> None:
    exchange.close()
    with AgentProcess(folder, {}) as agent:
        wait_for(lambda: agent.probe("/healthz") == 200, what="a live process")
        wait_for(
            lambda: [
                line
                for line in agent.lines()
                if line["message"] == "Trading interval not completed"
            ],
            what="a failed interval",
        )
        assert agent.probe("/readyz") == 503
        assert agent.terminate() == 0


def _udp_sockets(pid: int) -> list[str]:
    """Return the UDP sockets of a process."""
    with open(f"/proc/{pid}/net/udp", encoding="ascii") as table:
        inodes = {line.split()[9] for line in table.readlines()[1:]}
    inodes_of_process = set()
    for link in _links(pid):
        if link.startswith("socket:["):
            inodes_of_process.add(link.removeprefix("socket:[").removesuffix("]"))
    return sorted(inodes & inodes_of_process)


def _links(pid: int) -> list[str]:
    folder = f"/proc/{pid}/fd"
    links = []
    for name in os.listdir(folder):
        try:
            links.append(os.readlink(f"{folder}/{name}"))
        except OSError:
            continue
    return links
