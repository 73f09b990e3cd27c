"""The escrows of the journal: each written before it is opened, and every state it reaches noted exactly once.

A transition that two of us learn of (an answer, and a later question) succeeds for one: whoever gets True observes
it. The open file, and the thread it is used in, are the journal's.
"""

import sqlite3
from dataclasses import dataclass
from decimal import Decimal

from purpleflea_agent.exchange.port import Escrow, EscrowRequest

WRITTEN = "written"
"""On disk, and may have been sent; its outcome is unknown."""
FAILED = "failed"
"""It had no effect: refused, or never arrived."""
OPEN = "created"
CANCELLED = "cancelled"

SCHEMA = """
CREATE TABLE IF NOT EXISTS escrows (
    idempotency_key TEXT PRIMARY KEY,
    counterparty_id TEXT NOT NULL,
    amount_usd TEXT NOT NULL,
    status TEXT NOT NULL,
    escrow_id TEXT UNIQUE,
    written_at REAL NOT NULL
) STRICT;
CREATE INDEX IF NOT EXISTS escrows_by_status ON escrows (status);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class EscrowEntry:
    """An escrow as the journal knows it."""

    request: EscrowRequest
    status: str
    written_at: float
    escrow_id: str | None

    @property
    def is_unsettled(self) -> bool:
        """Whether nobody knows yet what came of it."""
        return self.status == WRITTEN

    @property
    def escrow(self) -> Escrow | None:
        """In the exchange's words, where it was ever opened."""
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
        self._database.executescript(SCHEMA)

    def write(self, request: EscrowRequest, now: float) -> None:
        """Put an escrow on disk, before it is opened."""
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
        """Note that the exchange opened it; False where that was known."""
        return self._changed(
            "UPDATE escrows SET status = ?, escrow_id = ? WHERE idempotency_key = ? AND status = ?",
            escrow.status,
            escrow.escrow_id,
            idempotency_key,
            WRITTEN,
        )

    def fail(self, idempotency_key: str) -> bool:
        """Note that it had no effect; False where its outcome was known."""
        return self._changed(
            "UPDATE escrows SET status = ? WHERE idempotency_key = ? AND status = ?",
            FAILED,
            idempotency_key,
            WRITTEN,
        )

    def is_known(self, escrow_id: str) -> bool:
        """Whether it was opened here."""
        return bool(self._rows("SELECT 1 FROM escrows WHERE escrow_id = ?", escrow_id))

    def move(self, escrow: Escrow) -> bool:
        """Note the end that it reached; False where that was known, or it is open as before.

        An end is final: an answer that calls it open is older than the one that told of its end.
        """
        return escrow.status != OPEN and self._changed(
            "UPDATE escrows SET status = ? WHERE escrow_id = ? AND status = ?",
            escrow.status,
            escrow.escrow_id,
            OPEN,
        )

    def unknown_flows(self) -> list[Decimal]:
        """What each may have moved without our knowing: one that is written may be paid, an open one may be back."""
        rows = self._rows(
            "SELECT amount_usd, status FROM escrows WHERE status IN (?, ?)", WRITTEN, OPEN
        )
        return [Decimal(row["amount_usd"]) * (1 if row["status"] == OPEN else -1) for row in rows]

    def entry(self, idempotency_key: str) -> EscrowEntry | None:
        """The escrow of a key."""
        rows = self._rows("SELECT * FROM escrows WHERE idempotency_key = ?", idempotency_key)
        return _entry(rows[0]) if rows else None

    def unfinished(self) -> list[EscrowEntry]:
        """Escrows whose outcome is unknown, and open ones; oldest first."""
        rows = self._rows(
            "SELECT * FROM escrows WHERE status IN (?, ?) ORDER BY written_at", WRITTEN, OPEN
        )
        return [_entry(row) for row in rows]

    def counts(self) -> dict[str, int]:
        """How many escrows there are of each status."""
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
