"""The trade journal: what the agent meant to do, on disk before it is done, and what came of it.

This is the event loop's side: one thread of its own does the disk's work, so that a slow disk never stops the loop.
What to do about an unsettled order is the order desk's business.
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
from purpleflea_agent.journal_days import day_of
from purpleflea_agent.journal_escrows import EscrowEntry
from purpleflea_agent.journal_markets import Reckoning, Told
from purpleflea_agent.journal_store import Entry, JournalStore

P = ParamSpec("P")
T = TypeVar("T")

FILE_NAME = "journal.sqlite3"


class JournalError(Exception):
    """The journal cannot be opened or written; the text says why and what to do."""


class Journal:
    """The journal of one agent."""

    def __init__(self, folder: Path, *, clock: Callable[[], float] = time.time) -> None:
        self._path = folder / FILE_NAME
        self._clock = clock
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="journal")
        try:
            self._store = JournalStore(self._path)
        except (OSError, sqlite3.Error) as error:
            raise JournalError(_why_unusable(self._path, error)) from error
        self._trouble: str | None = None

    @property
    def trouble(self) -> str | None:
        """What a write failed of, until an order, or as much as one, was written again; None where all is well."""
        return self._trouble

    async def prove(self) -> None:
        """Write as much as an order, to learn whether it can be done again."""
        await self._note(self._store.prove)
        self._trouble = None

    async def write(self, request: OrderRequest) -> None:
        """Put an order on disk, before it is sent."""
        await self._note(self._store.write, request, self._clock())
        self._trouble = None

    async def settle(self, order: Order) -> None:
        """Note what the exchange says of an order."""
        await self._note(self._store.settle, order, self._clock())

    async def fail(self, idempotency_key: str, reason: str) -> None:
        """Note that an order had no effect."""
        await self._note(self._store.fail, idempotency_key, reason, self._clock())

    async def entry(self, idempotency_key: str) -> Entry | None:
        """The order of a key."""
        return await self._run(self._store.entry, idempotency_key)

    async def unfinished(self) -> list[Entry]:
        """Orders whose outcome is unknown, and those that rest at the exchange; oldest first."""
        return await self._run(self._store.unfinished)

    async def orders_between(self, after: float, until: float) -> int:
        """How many orders were written in a span of time (seconds since the epoch)."""
        return await self._run(self._store.orders_between, after, until)

    async def counts(self) -> dict[str, int]:
        """How many orders there are of each status."""
        return await self._run(self._store.counts)

    async def today(self) -> tuple[str, dict[str, Decimal]]:
        """The present day (UTC), and what was counted on it."""
        now = self._clock()
        return day_of(now), await self._run(self._store.days.of, now)

    async def raise_peak(self, equity_usd: Decimal) -> Decimal:
        """The highest equity ever, this one included, as if money beside trading had always come and gone."""
        return await self._note(self._store.raise_peak, equity_usd, self._clock())

    async def reckon(self, told: Mapping[str, Told]) -> Reckoning:
        """What is held and was gained in all markets, now that the exchange told this of them."""
        return await self._note(self._store.reckon, told)

    async def adopt(self, market: str, size: Decimal) -> bool:
        """Take the exchange's word on a position; False while an order of the market is open and may explain it."""
        return await self._note(self._store.adopt, market, size)

    @contextlib.contextmanager
    def awaiting_credit(self) -> Iterator[None]:
        """While a payment may arrive whose amount is not known yet."""
        self._store.flows.awaited += 1
        try:
            yield
        finally:
            self._store.flows.awaited -= 1

    async def credit(self, claim: Claim) -> None:
        """Note a payment of the faucet: no profit."""
        await self._note(self._store.credit, claim, self._clock())

    async def fact(self, name: str) -> str | None:
        """What was last noted under a name."""
        return await self._run(self._store.facts.get, name)

    async def set_fact(self, name: str, value: str) -> None:
        """Note something under a name."""
        await self._note(self._store.facts.set, name, value)

    async def write_escrow(self, request: EscrowRequest) -> None:
        """Put an escrow on disk, before it is opened."""
        await self._note(self._store.escrows.write, request, self._clock())

    async def open_escrow(self, escrow: Escrow, idempotency_key: str) -> bool:
        """Note that an escrow was opened; False where that was known."""
        return await self._note(self._store.open_escrow, escrow, idempotency_key, self._clock())

    async def fail_escrow(self, idempotency_key: str) -> bool:
        """Note that an escrow had no effect; False where its outcome was known."""
        return await self._note(self._store.escrows.fail, idempotency_key)

    async def move_escrow(self, escrow: Escrow) -> bool:
        """Note the end that an escrow reached; False where that was known."""
        return await self._note(self._store.move_escrow, escrow, self._clock())

    async def escrow(self, idempotency_key: str) -> EscrowEntry | None:
        """The escrow of a key."""
        return await self._run(self._store.escrows.entry, idempotency_key)

    async def unfinished_escrows(self) -> list[EscrowEntry]:
        """Escrows whose outcome is unknown, and open ones; oldest first."""
        return await self._run(self._store.escrows.unfinished)

    async def escrow_counts(self) -> dict[str, int]:
        """How many escrows there are of each status."""
        return await self._run(self._store.escrows.counts)

    async def close(self) -> None:
        """Finish what is queued and close the file."""
        await self._run(self._store.close)
        self._thread.shutdown(wait=False)

    async def _note(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Write, and remember what it failed of. Success proves little: a full disk may have room for a page."""
        try:
            return await self._run(work, *args, **kwargs)
        except JournalError as error:
            # A row that is there already is no trouble of the disk.
            if not isinstance(error.__cause__, sqlite3.IntegrityError):
                self._trouble = str(error.__cause__)
            raise

    async def _run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        future = self._thread.submit(work, *args, **kwargs)
        try:
            # Shielded: a write that has begun is finished, whoever was waiting for it.
            return await asyncio.shield(asyncio.wrap_future(future))
        except sqlite3.Error as error:
            raise JournalError(f"the journal {self._path} cannot be used: {error}") from error


def _why_unusable(path: Path, error: Exception) -> str:
    if isinstance(error, sqlite3.DatabaseError) and not isinstance(error, sqlite3.OperationalError):
        return (
            f"the journal {path} is damaged ({error}): restore it, or look at the exchange for orders it may have"
            " held and move it aside"
        )
    return (
        f"the journal {path} cannot be opened ({error}): check that its volume is writable, has room, and that no"
        " other agent uses it"
    )
