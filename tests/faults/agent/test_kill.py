"""SIGKILL at every step of an order, many times on one journal: no order is lost, and no order is sent twice."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import httpx
import pytest

from support.agent_process import TOKEN, TRADING, AgentFolder
from support.paper_exchange import PaperExchange
from support.waiting import wait_for

STEPS = 149
"""More than the steps of an order; a larger number is a step of the next order."""
STRIDE = 41
"""Without a common divisor with STEPS, so that all steps are used, early and late steps alternately."""
BETWEEN_STARTS_S = 310.0
"""Time between two processes by the wall clock, so that the orders of the former one do not count for the rate."""

LANDMARKS = (
    "call JournalStore.write",
    "return JournalStore.write",
    "c_call socket.send",
    "c_return socket.send",
    "c_call socket.recv",
    "call JournalStore.settle",
    "return JournalStore.settle",
    "c_call Connection.execute",
    "c_return Connection.execute",
)
"""Before and after the write, the request, the answer and the record of the outcome."""


class ForkServer:
    """A running support.fork_server."""

    def __init__(self, folder: AgentFolder) -> None:
        self._folder = folder
        self.output = folder.root / "output"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.fork_server"],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid: int | None = None

    def start(self, *, ahead_s: float, dies_at: int | str | None = None) -> None:
        """Start an agent."""
        request = {
            "environment": self._folder.environment,
            "output": str(self.output),
            "ahead_s": ahead_s,
            "dies_at": dies_at,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        self.pid = self._answer()["pid"]

    def wait(self) -> int:
        """Wait for the end of the agent; return its exit code."""
        ended = self._answer()["ended"]
        self.pid = None
        return ended

    def orders(self) -> dict[str, int]:
        """Return the orders of the running agent by status."""
        url = f"http://127.0.0.1:{self.logged('http_port')[-1]}"
        try:
            answer = httpx.get(f"{url}/v1/status", headers={"Authorization": f"Bearer {TOKEN}"})
            orders: dict[str, int] = answer.json()["orders"]
        except httpx.TransportError:
            return {"written": 0}
        return orders

    def logged(self, name: str) -> list[Any]:
        """Return the values of a field in the log lines of all processes, oldest first."""
        lines = [json.loads(line) for line in self.output.read_text().splitlines()]
        return [line[name] for line in lines if name in line]

    def close(self) -> None:
        if self.pid is not None:
            os.kill(self.pid, signal.SIGKILL)
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()

    def _answer(self) -> dict[str, int]:
        assert self._process.stdout is not None
        answer: dict[str, int] = json.loads(self._process.stdout.readline())
        return answer


@pytest.fixture
def trading() -> dict[str, str]:
    """Prices of the exchange are used although the clock of the agent is hours ahead."""
    return {**TRADING, "maxCandleAge": "24h"}


@pytest.fixture
def fork_server(folder: AgentFolder) -> Iterator[ForkServer]:
    running = ForkServer(folder)
    yield running
    running.close()


def journal_rows(folder: AgentFolder) -> list[dict[str, Any]]:
    """Return the orders of the journal, including the write-ahead log of a killed process."""
    database = sqlite3.connect(folder.state / "journal.sqlite3")
    database.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in database.execute("SELECT * FROM orders")]
    finally:
        database.close()


def positions(rows: list[dict[str, Any]]) -> dict[str, Decimal]:
    """Return the sum of the fills in the journal, by market."""
    sizes: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        sign = 1 if row["side"] == "buy" else -1
        sizes[row["market"]] += sign * Decimal(row["filled_size"] or 0)
    return {market: size for market, size in sizes.items() if size}


@pytest.mark.timeout(1200)
def test_journal_and_exchange_agree_after_a_kill_at_every_step(
    fork_server: ForkServer, folder: AgentFolder, exchange: PaperExchange, is_full_run: bool
) -> None:
    rounds = 270 if is_full_run else 40
    for number in range(rounds):
        # By name, so that every landmark is used, and by number, so that every step is used.
        dies_at = (
            LANDMARKS[number // 3 % len(LANDMARKS)] if number % 3 == 0 else number * STRIDE % STEPS
        )
        fork_server.start(ahead_s=number * BETWEEN_STARTS_S, dies_at=dies_at)
        assert fork_server.wait() == -signal.SIGKILL, fork_server.output.read_text()
        assert {order["idempotency_key"] for order in exchange.orders()} <= {
            row["idempotency_key"] for row in journal_rows(folder)
        }
    assert set(fork_server.logged("died_at")) >= set(LANDMARKS)
    folder.set_mode("Halted")  # so that old orders are settled and no new orders are sent
    fork_server.start(ahead_s=rounds * BETWEEN_STARTS_S)
    wait_for(lambda: "written" not in fork_server.orders(), what="all orders settled", timeout_s=60)
    assert fork_server.pid is not None
    os.kill(fork_server.pid, signal.SIGTERM)
    assert fork_server.wait() == 0, fork_server.output.read_text()
    _agree(journal_rows(folder), exchange)


def _agree(rows: list[dict[str, Any]], exchange: PaperExchange) -> None:
    at_exchange = {order["idempotency_key"]: order for order in exchange.orders()}
    in_journal = {row["idempotency_key"]: row for row in rows if row["status"] != "failed"}
    assert at_exchange.keys() == in_journal.keys()
    for key, order in at_exchange.items():
        expected = {name: order[name] for name in ("order_id", "market", "side", "status")}
        assert expected == {name: in_journal[key][name] for name in expected}
    assert set(exchange.sent.values()) == {1}
    open_positions = {market: size for market, size in exchange.positions().items() if size}
    assert open_positions == positions(rows)
