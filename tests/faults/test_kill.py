"""kill -9 at every step of an order's life, again and again on one journal: nothing is lost, nothing is sent twice."""

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

from support.agent_process import AgentFolder
from support.paper_exchange import PaperExchange
from support.waiting import wait_for

STEPS = 113
"""More than an order's life has; a number past its end falls into the next order's."""
STRIDE = 41
"""Without a common divisor with STEPS: all of them are visited, early and late ones in turn."""
BETWEEN_LIVES_S = 40.0
"""How far the clock goes on while an agent is dead: past the age of a lost order."""

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
"""Before and after the writing, the sending, the answer and the noting."""


class Nursery:
    """The forking process; see support.fork_server."""

    def __init__(self, folder: AgentFolder) -> None:
        self._folder = folder
        self.output = folder.root / "output"
        self._process = subprocess.Popen(
            [sys.executable, "-m", "support.fork_server"],
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[1])},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.pid: int | None = None

    def bear(self, *, ahead_s: float, dies_at: int | str | None = None) -> None:
        """Start an agent."""
        birth = {
            "environment": self._folder.environment,
            "output": str(self.output),
            "ahead_s": ahead_s,
            "dies_at": dies_at,
        }
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(birth) + "\n")
        self._process.stdin.flush()
        self.pid = self._answer()["pid"]

    def wait(self) -> int:
        """How the agent ended."""
        ended = self._answer()["ended"]
        self.pid = None
        return ended

    def orders(self) -> dict[str, int]:
        """Orders of the living agent by status, as it says itself."""
        url = f"http://127.0.0.1:{self.said('http_port')[-1]}"
        try:
            orders: dict[str, int] = httpx.get(f"{url}/v1/status").json()["orders"]
        except httpx.TransportError:
            return {"written": 0}
        return orders

    def said(self, name: str) -> list[Any]:
        """The values of a field over all lives, in the order of the lines."""
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
def nursery(folder: AgentFolder) -> Iterator[Nursery]:
    running = Nursery(folder)
    yield running
    running.close()


def journal_rows(folder: AgentFolder) -> list[dict[str, Any]]:
    """The journal's orders, read as the next start reads them: a dead process's write-ahead log included."""
    database = sqlite3.connect(folder.state / "journal.sqlite3")
    database.row_factory = sqlite3.Row
    try:
        return [dict(row) for row in database.execute("SELECT * FROM orders")]
    finally:
        database.close()


def positions(rows: list[dict[str, Any]]) -> dict[str, Decimal]:
    """What the fills of the journal add up to, by market."""
    sizes: dict[str, Decimal] = defaultdict(Decimal)
    for row in rows:
        sign = 1 if row["side"] == "buy" else -1
        sizes[row["market"]] += sign * Decimal(row["filled_size"] or 0)
    return {market: size for market, size in sizes.items() if size}


@pytest.mark.timeout(1200)
def test_orders_in_the_journal_are_those_at_the_exchange_wherever_the_process_dies(
    nursery: Nursery, folder: AgentFolder, exchange: PaperExchange, is_full_run: bool
) -> None:
    rounds = 300 if is_full_run else 40
    for number in range(rounds):
        # By name, so that none of the landmarks is left to chance, and by number, so that no step is left out.
        dies_at = (
            LANDMARKS[number // 3 % len(LANDMARKS)] if number % 3 == 0 else number * STRIDE % STEPS
        )
        nursery.bear(ahead_s=number * BETWEEN_LIVES_S, dies_at=dies_at)
        assert nursery.wait() == -signal.SIGKILL, nursery.output.read_text()
        assert {order["idempotency_key"] for order in exchange.orders()} <= {
            row["idempotency_key"] for row in journal_rows(folder)
        }
    assert set(nursery.said("died_at")) >= set(LANDMARKS)
    folder.set_mode("Halted")  # from now on old orders are settled, and no new ones sent
    nursery.bear(ahead_s=rounds * BETWEEN_LIVES_S)
    wait_for(lambda: "written" not in nursery.orders(), what="all orders settled", timeout_s=60)
    assert nursery.pid is not None
    os.kill(nursery.pid, signal.SIGTERM)
    assert nursery.wait() == 0, nursery.output.read_text()
    _agree(journal_rows(folder), exchange)


def _agree(rows: list[dict[str, Any]], exchange: PaperExchange) -> None:
    at_exchange = {order["idempotency_key"]: order for order in exchange.orders()}
    in_journal = {row["idempotency_key"]: row for row in rows if row["status"] != "failed"}
    assert at_exchange.keys() == in_journal.keys()
    for key, order in at_exchange.items():
        told = {name: order[name] for name in ("order_id", "market", "side", "status")}
        assert told == {name: in_journal[key][name] for name in told}
    assert set(exchange.sent.values()) == {1}
    held = {market: size for market, size in exchange.positions().items() if size}
    assert held == positions(rows)
