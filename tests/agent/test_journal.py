"""The journal on a real disk."""

import sqlite3
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from purpleflea_agent.exchange.port import Escrow, EscrowRequest, Order, OrderRequest, OrderStatus
from purpleflea_agent.journal import FILE_NAME, Journal, JournalError
from purpleflea_agent.journal.orders import RETENTION_S
from purpleflea_agent.journal.positions import ReportedPosition

REQUEST = OrderRequest(idempotency_key="k1", market="BTC-USD", side="buy", size=Decimal("0.0100"))


def filled(profit: str) -> Order:
    return Order(
        order_id="o1",
        idempotency_key="k1",
        market="BTC-USD",
        side="buy",
        size=Decimal("0.0100"),
        type="market",
        status=OrderStatus.FILLED,
        price=Decimal(60000),
        filled_size=Decimal("0.01"),
        fee_usd=Decimal("0.30"),
        realized_pnl_usd=Decimal(profit),
    )


async def test_written_entries_are_there_after_reopening(tmp_path: Path) -> None:
    first = Journal(tmp_path, clock=lambda: 1000.0)
    await first.write(REQUEST)
    await first.update_peak_equity(Decimal("10000.123456"))
    await first.close()
    second = Journal(tmp_path, clock=lambda: 2000.0)
    (entry,) = await second.unfinished()
    assert (entry.request, entry.written_at, entry.is_unsettled) == (REQUEST, 1000.0, True)
    await second.settle(filled("1.5"))
    entry = await second.entry("k1")
    assert entry is not None
    assert entry.order == filled("1.5")
    assert await second.unfinished() == []
    assert await second.update_peak_equity(Decimal(1)) == Decimal("10000.123456")
    await second.close()


async def test_realized_profit_is_the_report_plus_fills_since(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.write(REQUEST)
    await journal.settle(filled("1.5"))
    await journal.settle(filled("1.5"))  # the same outcome twice adds nothing
    assert (await journal.reconcile({})).realized == {"BTC-USD": Decimal("1.5")}
    reported = {"BTC-USD": ReportedPosition(size=Decimal("0.01"), realized_pnl_usd=Decimal(-4))}
    assert (await journal.reconcile(reported)).realized == {"BTC-USD": Decimal(-4)}
    assert (await journal.reconcile({})).realized == {"BTC-USD": Decimal(-4)}
    await journal.close()


async def test_a_report_older_than_our_fills_changes_neither_size_nor_profit(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path)
    old = {"BTC-USD": ReportedPosition(size=Decimal("0.02"), realized_pnl_usd=Decimal(3))}
    await journal.reconcile(old)
    await journal.write(REQUEST)
    await journal.settle(filled("1.5"))
    for _ in range(2):
        reconciled = await journal.reconcile(old)
        assert reconciled.realized == {"BTC-USD": Decimal("4.5")}
        assert reconciled.positions["BTC-USD"].size == Decimal("0.03")
    await journal.close()
    after = Journal(tmp_path)
    assert (await after.reconcile(old)).positions["BTC-USD"].size == Decimal("0.03")
    await after.close()


async def test_a_report_newer_than_our_fills_counts_no_profit_twice(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path)
    await journal.reconcile(
        {"BTC-USD": ReportedPosition(size=Decimal("0.02"), realized_pnl_usd=Decimal(3))}
    )
    sold = replace(REQUEST, side="sell")
    await journal.write(sold)
    newer = {"BTC-USD": ReportedPosition(size=Decimal("0.01"), realized_pnl_usd=Decimal("4.5"))}
    assert (await journal.reconcile(newer)).realized == {"BTC-USD": Decimal(3)}
    await journal.settle(replace(filled("1.5"), side="sell"))
    assert (await journal.reconcile({})).realized == {"BTC-USD": Decimal("4.5")}
    assert (await journal.reconcile(newer)).realized == {"BTC-USD": Decimal("4.5")}
    await journal.close()


async def test_a_reported_size_is_accepted_only_without_an_unfinished_order(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path)
    await journal.reconcile({"BTC-USD": ReportedPosition(size=Decimal(1))})
    await journal.write(REQUEST)
    assert not await journal.accept_reported("BTC-USD", Decimal(2))
    assert await journal.accept_reported("ETH-USD", Decimal(2))
    await journal.fail("k1", "refused")
    assert await journal.accept_reported("BTC-USD", Decimal(2))
    assert (await journal.reconcile({})).positions["BTC-USD"].size == Decimal(2)
    await journal.close()


async def test_a_finished_escrow_is_never_open_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    request = EscrowRequest(idempotency_key="e1", counterparty_id="agent_b", amount_usd=Decimal(25))
    await journal.write_escrow(request)
    escrow = Escrow(
        escrow_id="esc_1", status="created", counterparty_id="agent_b", amount_usd=Decimal(25)
    )
    assert await journal.open_escrow(escrow, "e1")
    assert await journal.finish_escrow(replace(escrow, status="cancelled"))
    assert not await journal.finish_escrow(escrow)  # an older answer
    assert await journal.escrow_counts() == {"cancelled": 1}
    await journal.close()


async def test_a_write_error_is_kept_until_a_large_write_succeeds(
    tmp_path: Path,
) -> None:
    journal = Journal(tmp_path)
    await journal.write(REQUEST)
    with pytest.raises(JournalError):
        await journal.write(REQUEST)  # the row exists, so the disk works
    assert journal.write_error is None
    sql = journal._store._database.execute
    sql(f"PRAGMA max_page_count = {sql('PRAGMA page_count').fetchone()[0]}")
    with pytest.raises(JournalError, match="full"):
        await journal.write(replace(REQUEST, idempotency_key="k" * 100_000))
    assert "full" in str(journal.write_error)
    await journal.counts()
    await journal.reconcile({})
    await journal.set_value("small", "enough to find room")
    assert journal.write_error is not None
    with pytest.raises(JournalError, match="full"):
        await journal.check_writable()
    sql("PRAGMA max_page_count = 1000000")
    await journal.check_writable()
    assert journal.write_error is None
    await journal.close()


async def test_counters_of_a_day_survive_a_restart_and_end_with_the_day(
    tmp_path: Path,
) -> None:
    noon = datetime(2026, 1, 31, 12, tzinfo=UTC).timestamp()
    first = Journal(tmp_path, clock=lambda: noon)
    await first.write(REQUEST)
    await first.settle(filled("1.5"))
    await first.settle(filled("1.5"))  # the same outcome twice counts once
    await first.write(replace(REQUEST, idempotency_key="k2"))
    await first.fail("k2", "refused")
    await first.close()
    second = Journal(tmp_path, clock=lambda: noon + 11 * 3600)
    assert await second.today() == (
        "2026-01-31",
        {
            "orders": 2,
            "filled": 1,
            "failed": 1,
            "fees_usd": Decimal("0.30"),
            "realized_pnl_usd": Decimal("1.5"),
        },
    )
    await second.close()
    third = Journal(tmp_path, clock=lambda: noon + 12 * 3600)
    day, counted = await third.today()
    assert (day, set(counted.values())) == ("2026-02-01", {Decimal(0)})
    await third.close()


async def test_counters_older_than_a_month_are_deleted(tmp_path: Path) -> None:
    days = [datetime(2026, month, 1, tzinfo=UTC).timestamp() for month in (1, 2, 3)]
    for number, day in enumerate(days):
        journal = Journal(tmp_path, clock=lambda day=day: day)
        await journal.write(replace(REQUEST, idempotency_key=f"k{number}"))
        await journal.close()
    database = sqlite3.connect(tmp_path / FILE_NAME)
    kept = [day for (day,) in database.execute("SELECT day FROM days ORDER BY day")]
    database.close()
    assert kept == ["2026-02-01", "2026-03-01"]


async def test_old_orders_are_deleted_unless_they_are_unfinished(
    tmp_path: Path,
) -> None:
    long_ago = Journal(tmp_path, clock=lambda: 1_000_000_000.0)
    await long_ago.write(REQUEST)
    await long_ago.settle(filled("1.5"))
    await long_ago.write(replace(REQUEST, idempotency_key="of unknown outcome"))
    await long_ago.close()
    now = Journal(tmp_path, clock=lambda: 1_000_000_000.0 + RETENTION_S + 1)
    await now.write(replace(REQUEST, idempotency_key="new"))
    assert await now.entry("k1") is None
    unfinished = [entry.request.idempotency_key for entry in await now.unfinished()]
    assert unfinished == ["of unknown outcome", "new"]
    assert (await now.reconcile({})).realized == {"BTC-USD": Decimal("1.5")}
    await now.close()


async def test_an_idempotency_key_is_written_once(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    await journal.write(REQUEST)
    with pytest.raises(JournalError, match="UNIQUE"):
        await journal.write(REQUEST)
    await journal.close()


async def test_an_escrow_is_recorded_until_its_end(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    request = EscrowRequest(idempotency_key="e1", counterparty_id="agent_b", amount_usd=Decimal(25))
    await journal.write_escrow(request)
    escrow = Escrow(
        escrow_id="esc_1", status="created", counterparty_id="agent_b", amount_usd=Decimal(25)
    )
    await journal.open_escrow(escrow, "e1")
    await journal.finish_escrow(
        Escrow(
            escrow_id="esc_1", status="released", counterparty_id="agent_b", amount_usd=Decimal(25)
        )
    )
    await journal.close()
    database = sqlite3.connect(tmp_path / FILE_NAME)
    assert database.execute("SELECT escrow_id, status FROM escrows").fetchall() == [
        ("esc_1", "released")
    ]
    database.close()


async def test_a_second_process_is_refused_with_the_remedy(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    with pytest.raises(JournalError, match="no other agent uses it"):
        Journal(tmp_path)
    await journal.close()


def test_a_damaged_file_is_named(tmp_path: Path) -> None:
    (tmp_path / FILE_NAME).write_bytes(b"not a database" * 1000)
    with pytest.raises(JournalError, match=FILE_NAME):
        Journal(tmp_path)


@pytest.mark.parametrize(
    ("answers", "peak"),
    [
        ([100, 10**12, 101], 101),  # the lower of two answers above the peak
        ([100, 10**12, 99], 100),
        ([100, 10**12, 99, 10**12, 99], 100),
        ([100, 110, 120], 110),
        ([100, 110, 120, 90], 110),
        ([100, 110, 105], 105),
        ([100, 110, 100, 110], 100),
        ([10**12, 100], 100),  # the very first answer is absurd
        ([10**12, 100, 99], 100),
        ([100, 60], 100),  # a real loss after the first answer
        ([100, 90, 20], 100),
    ],
)
async def test_a_new_peak_of_the_equity_counts_when_two_answers_confirm_it(
    tmp_path: Path, answers: list[int], peak: int
) -> None:
    journal = Journal(tmp_path)
    for answer in answers:
        known = await journal.update_peak_equity(Decimal(answer))
    assert known == peak
    await journal.close()
    restarted = Journal(tmp_path)
    assert await restarted.update_peak_equity(Decimal(1)) == peak
    await restarted.close()
