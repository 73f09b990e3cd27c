"""The journal for the event loop. One thread does all work on the disk, so a slow disk never blocks the loop.

It decides nothing; order_manager and escrows decide about entries of unknown outcome.
"""

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from decimal import Decimal
from pathlib import Path
from typing import ParamSpec, TypeVar

from purpleflea_agent.exchange.port import Claim, Escrow, EscrowRequest, Order, OrderRequest
from purpleflea_agent.journal.daily_stats import day_of
from purpleflea_agent.journal.errors import JournalError
from purpleflea_agent.journal.escrows import EscrowEntry
from purpleflea_agent.journal.key_values import check_own_value
from purpleflea_agent.journal.orders import OrderEntry
from purpleflea_agent.journal.positions import (
    ALL_READABLE,
    Reconciliation,
    ReportedPosition,
    UnreadableRows,
)
from purpleflea_agent.journal.store import JournalStore

P = ParamSpec("P")
T = TypeVar("T")

FILE_NAME = "journal.sqlite3"
FAUCET_NOT_BEFORE = "faucet_not_before"


class Journal:
    """The journal of one agent: one SQLite file, which one process opens at a time.

    Times are seconds since the epoch. Every method raises JournalError if the file cannot be read or written, such as
    when the disk is full; the text names the file and the cause. An order that could not be written must not be sent.
    """

    def __init__(
        self,
        folder: Path,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        is_durable: bool = True,
    ) -> None:
        """Open the file in `folder`, or create it. A journal that is not durable does not survive a power cut.

        Raises:
            JournalError: The file is damaged, locked, out of space or too new.
        """
        self._path = folder / FILE_NAME
        self._clock = clock
        self._monotonic = monotonic
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        try:
            self._store = JournalStore(self._path, is_durable=is_durable)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(_opening_error(self._path, error)) from error
        self._write_error: str | None = None

    @property
    def write_error(self) -> str | None:
        """Error of the last write that failed; None again when an order, or the same number of bytes, is written."""
        return self._write_error

    async def check_writable(self) -> None:
        """Write as many bytes as an order needs, to find out whether writes succeed again."""
        await self._write(self._store.check_writable)
        self._write_error = None

    async def write(self, request: OrderRequest) -> None:
        """Write an order to disk before it is sent; its state is then `written`.

        Raises:
            JournalError: The order is not on disk: do not send it. Also if the key has an order already.
        """
        await self._write(self._store.write, request, self._clock(), self._monotonic())
        self._write_error = None

    async def settle(self, order: Order) -> None:
        """Record the state of an order at the exchange."""
        await self._write(self._store.settle, order, self._clock())

    async def fail(self, idempotency_key: str, reason: str, *, mark: str | None = None) -> None:
        """Record that an order had no effect, with the mark journal.key_values.UNSENT or GIVEN_UP."""
        await self._write(self._store.fail, idempotency_key, reason, self._clock(), mark)

    async def withdraw(self, idempotency_key: str) -> None:
        """Remove an order that was written and then not sent; its key counts as never used."""
        await self._write(self._store.withdraw, idempotency_key, self._clock())

    async def entry(self, idempotency_key: str) -> OrderEntry | None:
        """Return the order of a key."""
        return await self._run(self._store.orders.entry, idempotency_key)

    async def by_order_id(self, order_id: str) -> OrderEntry | None:
        """Return the order with an id of the exchange."""
        return await self._run(self._store.orders.by_order_id, order_id)

    async def recent(self, limit: int) -> list[OrderEntry]:
        """Return the newest orders, newest first."""
        return await self._run(self._store.orders.recent, limit)

    async def unfinished(self) -> list[OrderEntry]:
        """Return orders of unknown outcome and resting orders, oldest first."""
        return await self._run(self._store.orders.unfinished)

    async def given_up(self, max_age_s: float) -> list[OrderEntry]:
        """Return the orders that were given up, up to an age."""
        return await self._run(self._store.orders.given_up, self._clock() - max_age_s)

    async def order_ages(self) -> list[float] | None:
        """Return the ages of the orders in the window of order_times, oldest first; None after a boot of the node."""
        return await self._run(self._store.order_times.ages, self._monotonic())

    async def orders_since(self, moment: float) -> int:
        """Return the number of orders written after a moment (seconds since the epoch)."""
        return await self._run(self._store.orders.count_since, moment)

    async def counts(self) -> dict[str, int]:
        """Return the number of orders of each status."""
        return await self._run(self._store.orders.counts)

    async def today(self) -> tuple[str, dict[str, Decimal]]:
        """Return the current day (UTC) and its counters."""
        now = self._clock()
        return day_of(now), await self._run(self._store.daily_stats.of, now)

    async def update_peak_equity(self, equity_usd: Decimal) -> Decimal:
        """Return the highest equity so far, this one included, without cash flows outside of trading."""
        return await self._write(self._store.update_peak_equity, equity_usd, self._clock())

    async def reset_peak(self, requested_at: str) -> Decimal | None:
        """Forget the peak of the equity once per request; return the former peak, or None if it was done before."""
        return await self._write(self._store.reset_peak, requested_at)

    async def has_positions(self) -> bool:
        """Return whether positions were ever adopted from a report of the exchange."""
        return await self._run(self._store.has_positions)

    async def confirm_positions(self) -> None:
        """Record that the reported positions may be adopted."""
        await self._write(self._store.confirm_positions)

    async def reconcile(
        self, reported: Mapping[str, ReportedPosition], unreadable: UnreadableRows = ALL_READABLE
    ) -> Reconciliation:
        """Combine the positions that the exchange reports with our own fills."""
        return await self._write(self._store.reconcile, reported, unreadable)

    async def accept_reported(self, market: str, size: Decimal) -> bool:
        """Accept the size that the exchange reports; False if an unfinished order of the market may explain it."""
        return await self._write(self._store.accept_reported, market, size)

    @contextlib.contextmanager
    def awaiting_credit(self) -> Iterator[None]:
        """Mark the time in which a payment of unknown amount may arrive."""
        self._store.cash_flows.awaited += 1
        try:
            yield
        finally:
            self._store.cash_flows.awaited -= 1

    async def credit(self, claim: Claim) -> None:
        """Record a payment of the faucet, which is not a profit."""
        await self._write(self._store.credit, claim, self._clock())

    async def faucet_not_before(self) -> float | None:
        """Return the time before which no claim is sent to the faucet, or None if it was never set."""
        value = await self._run(self._store.key_values.get, FAUCET_NOT_BEFORE)
        try:
            return None if value is None else float(value)
        except ValueError:  # own agents could overwrite it in an earlier version
            return None

    async def postpone_claims(self, not_before: float) -> None:
        """Set the time before which no claim is sent to the faucet."""
        await self._write(self._store.key_values.set, FAUCET_NOT_BEFORE, str(not_before))

    async def get_value(self, name: str) -> str | None:
        """Return a value of an own agent, or None if it was never set. No name reads a value of the agent itself.

        Raises:
            ValueError: The name is empty or too long.
        """
        check_own_value(name)
        return await self._run(self._store.own_values.get, name)

    async def set_value(self, name: str, value: str) -> None:
        """Set a value of an own agent: a name of 1 to 256 characters, and a text of up to a million.

        No name changes a value of the agent itself.

        Raises:
            ValueError: The name or the value is too long, or not a text.
        """
        check_own_value(name, value)
        await self._write(self._store.own_values.set, name, value)

    async def write_escrow(self, request: EscrowRequest) -> None:
        """Write an escrow to disk before it is opened."""
        await self._write(self._store.write_escrow, request, self._clock())

    async def withdraw_escrow(self, idempotency_key: str) -> None:
        """Remove an escrow that was written and then not sent; its key counts as never used."""
        await self._write(self._store.escrows.withdraw, idempotency_key)

    async def open_escrow(self, escrow: Escrow, idempotency_key: str) -> bool:
        """Record that an escrow was opened; False if that was recorded before."""
        return await self._write(self._store.open_escrow, escrow, idempotency_key, self._clock())

    async def fail_escrow(self, idempotency_key: str, *, mark: str | None = None) -> bool:
        """Record that an escrow had no effect; False if its outcome was recorded before."""
        return await self._write(self._store.fail_escrow, idempotency_key, mark)

    async def given_up_escrows(self, max_age_s: float) -> list[EscrowEntry]:
        """Return the escrows that were given up, up to an age."""
        return await self._run(self._store.escrows.given_up, self._clock() - max_age_s)

    async def finish_escrow(self, escrow: Escrow) -> bool:
        """Record the final state of an escrow; False if that was recorded before."""
        return await self._write(self._store.finish_escrow, escrow, self._clock())

    async def escrow(self, idempotency_key: str) -> EscrowEntry | None:
        """Return the escrow of a key."""
        return await self._run(self._store.escrows.entry, idempotency_key)

    async def unfinished_escrows(self) -> list[EscrowEntry]:
        """Return open escrows and escrows of unknown outcome, oldest first."""
        return await self._run(self._store.escrows.unfinished)

    async def escrow_counts(self) -> dict[str, int]:
        """Return the number of escrows of each status."""
        return await self._run(self._store.escrows.counts)

    async def close(self) -> None:
        """Finish queued work and close the file."""
        await self._run(self._store.close)
        self._thread.shutdown(wait=False)

    async def _write(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run a write and keep its error. Success does not clear it: a full disk may have space for a small write."""
        try:
            return await self._run(work, *args, **kwargs)
        except JournalError as error:
            # A row that exists already is not a failure of the disk.
            if not isinstance(error.__cause__, sqlite3.IntegrityError):
                self._write_error = str(error.__cause__)
            raise

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        future = self._thread.submit(work, *args, **kwargs)
        try:
            # Shielded: a write that has begun is finished even if its caller is canceled.
            return await asyncio.shield(asyncio.wrap_future(future))
        except sqlite3.Error as error:
            raise JournalError(f"the journal {self._path} cannot be used: {error}") from error


def _opening_error(path: Path, error: Exception) -> str:
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return (
            f"the journal {path} is damaged ({error}): restore it from a copy, or look up its open orders"
            " at the exchange and move it aside"
        )
    return (
        f"the journal {path} cannot be opened ({error}): check that its volume is writable and has free space, and"
        " that no other agent uses it"
    )
