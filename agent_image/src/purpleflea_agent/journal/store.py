"""The open SQLite file of the journal, and the transactions that change several of its tables.

WAL mode with synchronous=FULL: a write that returned survives a power cut, except in a replay. All calls are
synchronous and from one thread at a time; the event loop uses journal.Journal.
"""

import contextlib
import sqlite3
from collections.abc import Iterator, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

from purpleflea_agent.exchange.port import (
    Claim,
    Escrow,
    EscrowRequest,
    Order,
    OrderRequest,
    OrderStatus,
)
from purpleflea_agent.journal import daily_stats, migrations
from purpleflea_agent.journal.cash_flows import CashFlowTable
from purpleflea_agent.journal.daily_stats import DailyStatsTable
from purpleflea_agent.journal.escrows import CANCELLED, EscrowTable
from purpleflea_agent.journal.fees import FeeTable
from purpleflea_agent.journal.key_values import KeyValueTable, OwnValues
from purpleflea_agent.journal.order_times import WINDOW_S, OrderTimes
from purpleflea_agent.journal.orders import OrderTable
from purpleflea_agent.journal.positions import (
    ALL_READABLE,
    PositionTable,
    Reconciliation,
    ReportedPosition,
    UnreadableRows,
)

ZERO = Decimal(0)
POSITIONS_CONFIRMED = "positions_confirmed"
WRITE_TEST = "0" * 65_536


class JournalStore:
    """The open file. It is locked, so a second process cannot open it."""

    def __init__(self, path: Path, *, is_durable: bool = True) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            migrations.check_version(path)
        # sqlite3.connect is replaced by ddtrace, and a span for each statement has no value.
        self._database = sqlite3.Connection(
            path, check_same_thread=False, isolation_level=None, timeout=0.5
        )
        self._database.row_factory = sqlite3.Row
        try:
            self._database.execute("PRAGMA locking_mode = EXCLUSIVE")
            self._database.execute("PRAGMA journal_mode = WAL")
            self._database.execute(f"PRAGMA synchronous = {'FULL' if is_durable else 'OFF'}")
            self._check()
            migrations.migrate(self._database)
        except sqlite3.Error:
            self._database.close()
            raise
        self.orders = OrderTable(self._database)
        self.escrows = EscrowTable(self._database)
        self.positions = PositionTable(self._database)
        self.key_values = KeyValueTable(self._database)
        self.own_values = OwnValues(self.key_values)
        self.order_times = OrderTimes(self.key_values)
        self.cash_flows = CashFlowTable(self._database, self.key_values)
        self.daily_stats = DailyStatsTable(self._database)
        self.fees = FeeTable(self._database)

    def write(self, request: OrderRequest, now: float, monotonic: float) -> None:
        """Write an order to disk before it is sent."""
        with self._transaction():
            earlier = self.orders.count_since(now - WINDOW_S)
            self.orders.write(request, now)
            self.order_times.add(monotonic, earlier=earlier)
            self.daily_stats.add(now, {daily_stats.ORDERS: 1})

    def settle(self, order: Order, now: float) -> None:
        """Record the state of an order at the exchange; add the changes to its market and to the day."""
        with self._transaction():
            before = self.orders.entry(order.idempotency_key)
            known = before.order if before else None
            profit = order.realized_pnl_usd - (known.realized_pnl_usd if known else ZERO)
            fee = order.fee_usd - (known.fee_usd if known else ZERO)
            self.fees.add(order.market, fee)
            filled = order.filled_size - (known.filled_size if known else ZERO)
            self.positions.add_fill(
                order.market, filled if order.side == "buy" else -filled, profit
            )
            if before is not None and before.is_given_up and self.daily_stats.of(now)["failed"] > 0:
                self.daily_stats.add(now, {daily_stats.FAILED: -1})  # it was counted as failed
            is_changed = before is not None and before.status != order.status.value
            self.daily_stats.add(
                now,
                {
                    daily_stats.FILLED: int(is_changed and order.status is OrderStatus.FILLED),
                    daily_stats.FAILED: int(is_changed and order.status is OrderStatus.REJECTED),
                    daily_stats.FEES: fee,
                    daily_stats.REALIZED: profit,
                },
            )
            self.orders.settle(order)

    def fail(self, idempotency_key: str, reason: str, now: float, mark: str | None = None) -> None:
        """Record that an order had no effect."""
        with self._transaction():
            self.orders.fail(idempotency_key, reason, mark)
            self.daily_stats.add(now, {daily_stats.FAILED: 1})

    def withdraw(self, idempotency_key: str, now: float) -> None:
        """Remove an order that was written and then not sent."""
        with self._transaction():
            if self.orders.withdraw(idempotency_key):
                self.daily_stats.add(now, {daily_stats.ORDERS: -1})

    def reconcile(
        self, reported: Mapping[str, ReportedPosition], unreadable: UnreadableRows = ALL_READABLE
    ) -> Reconciliation:
        """Combine the positions that the exchange reports with our own fills, and add the fees."""
        with self._transaction():
            reconciliation = self.positions.reconcile(reported, unreadable)
            return replace(reconciliation, fees=self.fees.totals())

    def accept_reported(self, market: str, size: Decimal) -> bool:
        """Accept the size that the exchange reports; False if an unfinished order of the market may explain it."""
        with self._transaction():
            if any(entry.request.market == market for entry in self.orders.unfinished()):
                return False
            self.positions.accept_reported(market, size)
            return True

    def update_peak_equity(self, equity_usd: Decimal, now: float) -> Decimal:
        """Return the highest equity so far, this one included; see cash_flows."""
        with self._transaction():
            uncertain = self.escrows.uncertain_amounts()
            return self.cash_flows.update_peak_equity(equity_usd, uncertain, now)

    def reset_peak(self, requested_at: str) -> Decimal | None:
        """Forget the peak of the equity once per request; return the former peak, or None. See cash_flows."""
        with self._transaction():
            return self.cash_flows.reset_peak(requested_at)

    def has_positions(self) -> bool:
        """Return whether positions were ever adopted from a report of the exchange."""
        return self.positions.any() or self.key_values.get(POSITIONS_CONFIRMED) is not None

    def confirm_positions(self) -> None:
        """Record that the reported positions may be adopted."""
        with self._transaction():
            self.key_values.set(POSITIONS_CONFIRMED, "true")

    def write_escrow(self, request: EscrowRequest, now: float) -> None:
        """Write an escrow to disk before it is opened."""
        with self._transaction():
            self.escrows.write(request, now)

    def open_escrow(self, escrow: Escrow, idempotency_key: str, now: float) -> bool:
        """Record that an escrow was opened and its amount left; False if that was recorded before."""
        with self._transaction():
            is_opened = self.escrows.open(escrow, idempotency_key)
            if is_opened and escrow.status != CANCELLED:
                self.cash_flows.add(f"escrow {escrow.escrow_id}", -escrow.amount_usd, now)
            return is_opened

    def finish_escrow(self, escrow: Escrow, now: float) -> bool:
        """Record the final state of an escrow; False if that was recorded before.

        An escrow that was not opened here returns True, and it does not change our cash flows.
        """
        with self._transaction():
            if not self.escrows.is_known(escrow.escrow_id):
                return True
            is_finished = self.escrows.finish(escrow)
            if is_finished and escrow.status == CANCELLED:
                self.cash_flows.add(f"escrow {escrow.escrow_id} back", escrow.amount_usd, now)
            return is_finished

    def fail_escrow(self, idempotency_key: str, mark: str | None) -> bool:
        """Record that an escrow had no effect; False if its outcome was recorded before."""
        with self._transaction():
            return self.escrows.fail(idempotency_key, mark)

    def credit(self, claim: Claim, now: float) -> None:
        """Record a payment of the faucet."""
        with self._transaction():
            self.cash_flows.add(f"claim {claim.claim_id}", claim.credited_usd, now)

    def check_writable(self) -> None:
        """Write more bytes than an order needs; raise if there is no space for an order."""
        with self._transaction():
            self.key_values.set("proof", WRITE_TEST)

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _check(self) -> None:
        # Without this check, damage would surface between the sending of an order and the record of its outcome.
        ((verdict, *_), *_) = self._database.execute("PRAGMA quick_check(1)").fetchall()
        if verdict != "ok":
            raise sqlite3.DatabaseError(verdict)

    @contextlib.contextmanager
    def _transaction(self) -> Iterator[None]:
        self._database.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            if self._database.in_transaction:  # SQLite rolls back by itself if the disk is full
                self._database.execute("ROLLBACK")
            raise
        self._database.execute("COMMIT")
