"""A full disk and a damaged journal: a clear error, and no lost order."""

import resource
import sqlite3
from pathlib import Path

import pytest

from support.agent_process import TOKEN, AgentFolder, AgentProcess
from support.paper_exchange import PaperExchange
from support.waiting import wait_for

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
ORDER = {"market": "BTC-USD", "side": "buy", "size": "0.01"}


def fill_the_disk(agent: AgentProcess, folder: AgentFolder) -> None:
    """Let no file of the process grow, which has the same effect as a full disk."""
    sizes = [path.stat().st_size for path in folder.state.iterdir()]
    _limit_files(agent, min(sizes))


def free_the_disk(agent: AgentProcess) -> None:
    _limit_files(agent, resource.RLIM_INFINITY)


def _limit_files(agent: AgentProcess, size: int) -> None:
    _, hard = resource.prlimit(agent.pid, resource.RLIMIT_FSIZE)
    resource.prlimit(agent.pid, resource.RLIMIT_FSIZE, (size, hard))


def journal_keys(folder: AgentFolder) -> set[str]:
    """Return the keys of the orders that are at the exchange by the journal."""
    database = sqlite3.connect(folder.state / "journal.sqlite3")
    rows = database.execute("SELECT idempotency_key, status FROM orders").fetchall()
    database.close()
    assert {status for _, status in rows} <= {"filled", "failed"}
    return {key for key, status in rows if status == "filled"}


def test_a_full_disk_stops_orders_until_there_is_space_again(
    folder: AgentFolder, exchange: PaperExchange
) -> None:
    with AgentProcess(folder, {}) as agent:
        agent.wait_until_ready()
        wait_for(lambda: exchange.order_count() >= 3, what="orders")
        fill_the_disk(agent, folder)
        refused = wait_for(
            lambda: (
                (answer := agent.http.post("/v1/trade", json=ORDER, headers=AUTHORIZED)).is_error
                and answer
            )
        )
        assert refused.status_code == 503, refused.text
        assert refused.json()["code"] == "journal"
        unready = agent.http.get("/readyz")
        assert unready.status_code == 503
        assert "no order can be written" in unready.json()["detail"]
        before = exchange.order_count()
        before_errors = len(journal_errors(agent))
        wait_for(
            lambda: len(journal_errors(agent)) >= before_errors + 2, what="two failed intervals"
        )
        assert exchange.order_count() == before
        assert agent.probe("/healthz") == 200
        free_the_disk(agent)
        wait_for(lambda: exchange.order_count() >= before + 3, what="orders again")
        agent.wait_until_ready()
        assert agent.terminate() == 0
    assert journal_keys(folder) == {order["idempotency_key"] for order in exchange.orders()}
    assert set(exchange.sent.values()) == {1}


def journal_errors(agent: AgentProcess) -> list[str]:
    return [
        line["error.message"]
        for line in agent.lines()
        if line["message"] == "Trading interval not completed"
        and "journal" in line["error.message"]
    ]


def damage(path: Path, at: int) -> None:
    with path.open("r+b") as file:
        file.seek(at)
        file.write(b"\xa5" * 600)


@pytest.mark.parametrize("at", [0, 4096, 8192], ids=["header", "first table", "second table"])
def test_a_damaged_journal_is_named_at_the_start_and_no_order_is_sent(
    folder: AgentFolder, exchange: PaperExchange, at: int
) -> None:
    with AgentProcess(folder, {}) as agent:
        wait_for(lambda: exchange.order_count() >= 3, what="orders", timeout_s=30)
        assert agent.terminate() == 0
    before = exchange.order_count()
    damage(folder.state / "journal.sqlite3", at)
    with AgentProcess(folder, {}) as agent:
        assert agent.wait() == 2
        (line,) = agent.lines()
        assert "journal.sqlite3" in line["message"]
        assert "move it aside" in line["message"]
        assert agent.stderr == []
    assert exchange.order_count() == before
