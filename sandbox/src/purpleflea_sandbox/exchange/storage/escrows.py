"""Escrows as rows.

They are looked up by id or idempotency key, always within the creator's account.
"""

import sqlite3
from decimal import Decimal

from purpleflea_sandbox.exchange.core.escrows import Escrow, EscrowStatus, NewEscrow
from purpleflea_sandbox.exchange.storage.database import Database


def add(database: Database, escrow: Escrow) -> None:
    request = escrow.request
    database.execute(
        "INSERT INTO escrows (escrow_id, account_id, idempotency_key, counterparty_id, amount_usd,"
        " description, status, created_ms, updated_ms) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (
            escrow.escrow_id,
            escrow.account_id,
            request.idempotency_key,
            request.counterparty_id,
            str(request.amount_usd),
            request.description,
            escrow.status,
            escrow.created_ms,
            escrow.updated_ms,
        ),
    )


def update(database: Database, escrow: Escrow) -> None:
    database.execute(
        "UPDATE escrows SET status = ?, updated_ms = ? WHERE escrow_id = ?",
        (escrow.status, escrow.updated_ms, escrow.escrow_id),
    )


def find(database: Database, account_id: int, escrow_id: str) -> Escrow | None:
    row = database.row(
        "SELECT * FROM escrows WHERE escrow_id = ? AND account_id = ?", (escrow_id, account_id)
    )
    return _escrow(row) if row else None


def find_by_idempotency_key(database: Database, account_id: int, key: str) -> Escrow | None:
    row = database.row(
        "SELECT * FROM escrows WHERE account_id = ? AND idempotency_key = ?", (account_id, key)
    )
    return _escrow(row) if row else None


def every(database: Database) -> list[Escrow]:
    return [_escrow(row) for row in database.rows("SELECT * FROM escrows")]


def _escrow(row: sqlite3.Row) -> Escrow:
    request = NewEscrow(
        idempotency_key=row["idempotency_key"],
        counterparty_id=row["counterparty_id"],
        amount_usd=Decimal(row["amount_usd"]),
        description=row["description"],
    )
    return Escrow(
        escrow_id=row["escrow_id"],
        account_id=row["account_id"],
        request=request,
        status=EscrowStatus(row["status"]),
        created_ms=row["created_ms"],
        updated_ms=row["updated_ms"],
    )
