"""The escrows of the journal: each is written before it is opened, and each state is recorded once.

An answer and a later look-up may both report the same change. Only the first call changes the row and returns True, so
the caller that gets True reports the change. The store owns the open file, its transactions and its thread.
"""

import sqlite3
from dataclasses import dataclass
from decimal import Decimal

from purpleflea_agent.exchange.port import Escrow, EscrowRequest

WRITTEN = "written"
"""The escrow is on disk and may have been sent; its outcome is unknown."""
FAILED = "failed"
"""The escrow had no effect: it was refused."""
UNSENT = "unsent"
"""The escrow had no effect because it never left, or was refused before any effect. Its key may be used again."""
GIVEN_UP = "given_up"
"""The escrow was not found for so long that it counts as never received. It is still looked up."""
PUBLIC_STATUS = {UNSENT: FAILED, GIVEN_UP: FAILED}
"""Statuses that counters report as another status."""
OPEN = "created"
CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class EscrowEntry:
    """An escrow in the journal."""

    request: EscrowRequest
    status: str
    written_at: float
    escrow_id: str | None

    @property
    def is_unsettled(self) -> bool:
        """True if its outcome is unknown."""
        return self.status == WRITTEN

    @property
    def may_be_sent_again(self) -> bool:
        """True if the escrow never had an effect, so that it may be sent again under its key."""
        return self.status == UNSENT

    @property
    def escrow(self) -> Escrow | None:
        """The escrow at the exchange, or None if it was never opened."""
        if self.escrow_id is None:
            return None
        return Escrow(
            escrow_id=self.escrow_id,
            status=self.status,
            counterparty_id=self.request.counterparty_id,
            amount_usd=self.request.amount_usd,
        )


class EscrowTable:
    """The table of escrows in an open journal."""

    def __init__(self, database: sqlite3.Connection) -> None:
        self._database = database

    def write(self, request: EscrowRequest, now: float) -> None:
        """Write an escrow to disk before it is opened."""
        self._changed(
            "DELETE FROM escrows WHERE idempotency_key = ? AND status = ?",
            request.idempotency_key,
            UNSENT,
        )
        self._database.execute(
            "INSERT INTO escrows (idempotency_key, counterparty_id, amount_usd, status, written_at)"
            " VALUES (?, ?, ?, ?, ?)",
            (
                request.idempotency_key,
                request.counterparty_id,
                str(request.amount_usd),
                WRITTEN,
                now,
            ),
        )

    def open(self, escrow: Escrow, idempotency_key: str) -> bool:
        """Record that the exchange opened it; False if that was recorded before."""
        return self._changed(
            "UPDATE escrows SET status = ?, escrow_id = ? WHERE idempotency_key = ? AND status IN (?, ?)",
            escrow.status,
            escrow.escrow_id,
            idempotency_key,
            WRITTEN,
            GIVEN_UP,
        )

    def fail(self, idempotency_key: str, status: str = FAILED) -> bool:
        """Record that it had no effect (FAILED, UNSENT or GIVEN_UP); False if its outcome was recorded before."""
        return self._changed(
            "UPDATE escrows SET status = ? WHERE idempotency_key = ? AND status = ?",
            status,
            idempotency_key,
            WRITTEN,
        )

    def withdraw(self, idempotency_key: str) -> bool:
        """Remove an escrow whose outcome is unknown; False if there is none."""
        return self._changed(
            "DELETE FROM escrows WHERE idempotency_key = ? AND status = ?", idempotency_key, WRITTEN
        )

    def is_known(self, escrow_id: str) -> bool:
        """Return whether this agent opened it."""
        return bool(self._rows("SELECT 1 FROM escrows WHERE escrow_id = ?", escrow_id))

    def finish(self, escrow: Escrow) -> bool:
        """Record its final state; False if that was recorded before, or it is still open.

        A final state never changes: an answer that reports it as open is older than the answer that reported its end.
        """
        return escrow.status != OPEN and self._changed(
            "UPDATE escrows SET status = ? WHERE escrow_id = ? AND status = ?",
            escrow.status,
            escrow.escrow_id,
            OPEN,
        )

    def uncertain_amounts(self) -> list[Decimal]:
        """Return the amounts that may have moved without a record.

        An escrow of unknown outcome may be paid (negative), an open escrow may have been returned (positive).
        """
        rows = self._rows(
            "SELECT amount_usd, status FROM escrows WHERE status IN (?, ?)", WRITTEN, OPEN
        )
        return [Decimal(row["amount_usd"]) * (1 if row["status"] == OPEN else -1) for row in rows]

    def entry(self, idempotency_key: str) -> EscrowEntry | None:
        """Return the escrow of a key."""
        rows = self._rows("SELECT * FROM escrows WHERE idempotency_key = ?", idempotency_key)
        return _entry(rows[0]) if rows else None

    def unfinished(self) -> list[EscrowEntry]:
        """Return open escrows and escrows of unknown outcome, oldest first."""
        rows = self._rows(
            "SELECT * FROM escrows WHERE status IN (?, ?) ORDER BY written_at", WRITTEN, OPEN
        )
        return [_entry(row) for row in rows]

    def given_up(self, after: float) -> list[EscrowEntry]:
        """Return the escrows that were given up and were written later than a moment."""
        rows = self._rows(
            "SELECT * FROM escrows WHERE status = ? AND written_at > ? ORDER BY written_at",
            GIVEN_UP,
            after,
        )
        return [_entry(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """Return the number of escrows of each status."""
        rows = self._rows("SELECT status, count(*) AS n FROM escrows GROUP BY status")
        counts: dict[str, int] = {}
        for row in rows:
            status = PUBLIC_STATUS.get(row["status"], row["status"])
            counts[status] = counts.get(status, 0) + int(row["n"])
        return counts

    def _changed(self, statement: str, *values: object) -> bool:
        return self._database.execute(statement, values).rowcount > 0

    def _rows(self, statement: str, *values: object) -> list[sqlite3.Row]:
        return self._database.execute(statement, values).fetchall()


def _entry(row: sqlite3.Row) -> EscrowEntry:
    return EscrowEntry(
        request=EscrowRequest(
            idempotency_key=row["idempotency_key"],
            counterparty_id=row["counterparty_id"],
            amount_usd=Decimal(row["amount_usd"]),
        ),
        status=row["status"],
        written_at=row["written_at"],
        escrow_id=row["escrow_id"],
    )
