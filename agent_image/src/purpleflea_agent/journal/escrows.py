"""The escrows of the journal: each is written before it is opened, and each state is recorded once.

An answer and a later look-up may both report the same change. Only the first call changes the row and returns True, so
the caller that gets True reports the change. The store owns the open file, its transactions and its thread.
"""

import sqlite3
from dataclasses import dataclass, replace
from decimal import Decimal

from purpleflea_agent.exchange.port import Escrow, EscrowRequest
from purpleflea_agent.journal.key_values import GIVEN_UP, UNSENT, Marks

WRITTEN = "written"
"""The escrow is on disk and may have been sent; its outcome is unknown."""
FAILED = "failed"
"""The escrow had no effect: it was refused, or never reached the exchange. The marks UNSENT and GIVEN_UP say more."""
OPEN = "created"
CANCELLED = "cancelled"


@dataclass(frozen=True, slots=True, kw_only=True)
class EscrowEntry:
    """An escrow in the journal."""

    request: EscrowRequest
    status: str
    written_at: float
    escrow_id: str | None
    mark: str | None = None
    """UNSENT or GIVEN_UP, for an escrow without effect."""

    @property
    def is_unsettled(self) -> bool:
        """True if its outcome is unknown."""
        return self.status == WRITTEN

    @property
    def may_be_sent_again(self) -> bool:
        """True if the escrow never had an effect, so that it may be sent again under its key."""
        return self.status == FAILED and self.mark == UNSENT

    @property
    def is_given_up(self) -> bool:
        """True if its outcome is unknown for so long that it counts as never received."""
        return self.status == FAILED and self.mark == GIVEN_UP

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
        self._marks = Marks(database, "escrow")

    def write(self, request: EscrowRequest, now: float) -> None:
        """Write an escrow to disk before it is opened."""
        if self._marks.has(UNSENT, request.idempotency_key):
            self._changed(
                "DELETE FROM escrows WHERE idempotency_key = ? AND status = ?",
                request.idempotency_key,
                FAILED,
            )
            self._marks.clear(request.idempotency_key)
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
        expected = FAILED if self._marks.has(GIVEN_UP, idempotency_key) else WRITTEN
        self._marks.clear(idempotency_key)
        return self._changed(
            "UPDATE escrows SET status = ?, escrow_id = ? WHERE idempotency_key = ? AND status = ?",
            escrow.status,
            escrow.escrow_id,
            idempotency_key,
            expected,
        )

    def fail(self, idempotency_key: str, mark: str | None = None) -> bool:
        """Record that it had no effect, with the mark UNSENT or GIVEN_UP; False if its outcome was recorded before."""
        is_changed = self._changed(
            "UPDATE escrows SET status = ? WHERE idempotency_key = ? AND status = ?",
            FAILED,
            idempotency_key,
            WRITTEN,
        )
        if is_changed and mark is not None:
            self._marks.set(mark, idempotency_key)
        return is_changed

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
        if not rows:
            return None
        marks = (m for m in (UNSENT, GIVEN_UP) if self._marks.has(m, idempotency_key))
        return replace(_entry(rows[0]), mark=next(marks, None))

    def unfinished(self) -> list[EscrowEntry]:
        """Return open escrows and escrows of unknown outcome, oldest first."""
        rows = self._rows(
            "SELECT * FROM escrows WHERE status IN (?, ?) ORDER BY written_at", WRITTEN, OPEN
        )
        return [_entry(row) for row in rows]

    def given_up(self, after: float) -> list[EscrowEntry]:
        """Return the escrows that were given up and were written later than a moment."""
        entries = [self.entry(key) for key in self._marks.keys(GIVEN_UP)]
        return [
            entry for entry in entries if entry and entry.is_given_up and entry.written_at > after
        ]

    def counts(self) -> dict[str, int]:
        """Return the number of escrows of each status."""
        rows = self._rows("SELECT status, count(*) AS n FROM escrows GROUP BY status")
        return {row["status"]: int(row["n"]) for row in rows}

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
