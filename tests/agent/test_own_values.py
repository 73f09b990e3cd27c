"""Values of strategies and own agents in the journal: separate from those of the agent, and kept through upgrades."""

import sqlite3
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path

import pytest

from purpleflea_agent.exchange.port import Claim, EscrowRequest, Order, OrderRequest, OrderStatus
from purpleflea_agent.journal import FILE_NAME, Journal, key_values
from purpleflea_agent.journal.key_values import GIVEN_UP, UNSENT, is_reserved

OWN = "a value of a strategy"
REQUEST = OrderRequest(idempotency_key="k1", market="BTC-USD", side="buy", size=Decimal(1))
ORDER = Order(
    order_id="o1",
    idempotency_key="k1",
    market="BTC-USD",
    side="buy",
    size=Decimal(1),
    type="market",
    status=OrderStatus.FILLED,
    price=Decimal(100),
    filled_size=Decimal(1),
    fee_usd=Decimal("0.1"),
    realized_pnl_usd=Decimal(0),
)


@pytest.fixture
async def journal(tmp_path: Path) -> AsyncIterator[Journal]:
    opened = Journal(tmp_path)
    yield opened
    await opened.close()


async def use_everything(journal: Journal) -> None:
    """Let the agent write each of its values."""
    await journal.write(REQUEST)
    await journal.settle(ORDER)
    for key, mark in (("k2", UNSENT), ("k3", GIVEN_UP)):
        await journal.write(_request(key))
        await journal.fail(key, "refused", mark=mark)
    escrow = EscrowRequest(idempotency_key="e1", counterparty_id="a", amount_usd=Decimal(1))
    await journal.write_escrow(escrow)
    await journal.fail_escrow("e1", mark=UNSENT)
    await journal.update_peak_equity(Decimal(1000))
    await journal.reset_peak("2026-01-01T00:00:00Z")
    await journal.update_peak_equity(Decimal(1000))
    await journal.credit(Claim(claim_id="c1", credited_usd=Decimal(50)))
    await journal.confirm_positions()
    await journal.postpone_claims(123.0)
    await journal.check_writable()


def _request(key: str) -> OrderRequest:
    return OrderRequest(idempotency_key=key, market="BTC-USD", side="buy", size=Decimal(1))


def names(folder: Path) -> set[str]:
    with sqlite3.connect(folder / FILE_NAME) as database:
        found = {name for (name,) in database.execute("SELECT name FROM facts")}
    database.close()
    return found


async def test_every_name_that_the_agent_uses_is_reserved(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await use_everything(journal)
    await journal.close()
    used = names(tmp_path)
    assert {name for name in used if not is_reserved(name)} == set()
    assert used >= key_values.AGENT_NAMES
    prefixes = {name.partition(" ")[0] for name in used - key_values.AGENT_NAMES}
    assert prefixes == {UNSENT, GIVEN_UP, "fees"}


async def test_no_value_of_an_own_agent_reads_or_changes_one_of_the_agent(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await use_everything(journal)
    await journal.close()
    used = names(tmp_path)
    journal = Journal(tmp_path)
    before = journal._store.key_values
    known = {name: before.get(name) for name in used}
    for name in known:
        assert await journal.get_value(name) is None
        await journal.set_value(name, OWN)
        assert await journal.get_value(name) == OWN
    assert {name: before.get(name) for name in known} == known
    assert await journal.update_peak_equity(Decimal(1)) == Decimal(1050)  # with the claim
    assert await journal.faucet_not_before() == 123.0
    assert (await journal.reconcile({})).fees == {"BTC-USD": Decimal("0.1")}
    (given_up,) = await journal.given_up(1e12)
    assert given_up.request.idempotency_key == "k3"
    await journal.close()


@pytest.mark.parametrize(
    "name",
    [
        *("x", "own:x", "own:own:x", "agent:x", "unsent order k1", "Fees BTC-USD", " fees"),
        *("peak", "\0", "ü", "'; DROP TABLE facts", "x" * 256),
        *("peak_equity_usd", "PEAK_EQUITY_USD"),
    ],
)
async def test_each_name_has_one_value(journal: Journal, name: str) -> None:
    others = {"x", "own:x", "own:own:x", "own:peak_equity_usd", "peak_equity_usd"} - {name}
    for other in others:
        await journal.set_value(other, other)
    await journal.set_value(name, "first")
    await journal.set_value(name, "second")
    assert await journal.get_value(name) == "second"
    assert {await journal.get_value(other) for other in others} == others


@pytest.mark.parametrize("name", ["last_signal", "state of the strategy", "Fees BTC-USD", "x"])
async def test_a_value_of_an_earlier_version_survives_upgrade_and_rollback(
    tmp_path: Path, name: str
) -> None:
    await Journal(tmp_path).close()
    with sqlite3.connect(tmp_path / FILE_NAME) as database:  # as an earlier version writes it
        database.execute("INSERT INTO facts VALUES (?, ?)", (name, "before"))
    database.close()
    journal = Journal(tmp_path)
    assert await journal.get_value(name) == "before"
    await journal.set_value(name, "after")
    await journal.close()
    with sqlite3.connect(tmp_path / FILE_NAME) as database:  # as an earlier version reads it
        rows = database.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchall()
    database.close()
    assert rows == [("after",)]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("", "1", "the name of a journal value must not be empty"),
        ("x" * 257, "1", "the name of a journal value must be a text of at most 256"),
        ("x", "1" * 1_000_001, "the value of a journal value must be a text of at most 1000000"),
        ("\ud800", "1", "the name of a journal value must be a text"),
        ("x", "\ud800", "the value of a journal value must be a text"),
        ("x", 5, "the value of a journal value must be a text"),
        ("x", None, "the value of a journal value must be a text"),
        (5, "1", "the name of a journal value must be a text"),
    ],
)
async def test_a_value_that_cannot_be_stored_is_refused_before_the_disk_is_used(
    journal: Journal, name: str, value: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        await journal.set_value(name, value)
    assert journal.write_error is None


async def test_a_time_of_the_faucet_that_an_own_agent_has_overwritten_counts_as_unset(
    journal: Journal,
) -> None:
    journal._store.key_values.set("faucet_not_before", "tomorrow")
    assert await journal.faucet_not_before() is None
