"""Accounts, their cash entries, and their positions.

An account belongs to one agent under one owner of API keys.
"""

import sqlite3
from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from purpleflea_sandbox.exchange.core.positions import Position
from purpleflea_sandbox.exchange.storage.database import Database


class EntryKind(StrEnum):
    OPENING_DEPOSIT = "opening_deposit"
    FAUCET = "faucet"
    ADJUSTMENT = "adjustment"
    REALIZED_PNL = "realized_pnl"
    FEE = "fee"
    ESCROW_LOCK = "escrow_lock"
    ESCROW_REFUND = "escrow_refund"
    ESCROW_RECEIPT = "escrow_receipt"


@dataclass(frozen=True, slots=True, kw_only=True)
class Account:
    account_id: int
    owner: str
    agent_id: str
    cash_usd: Decimal
    opened_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerEntry:
    """One change of an account's cash."""

    account_id: int
    kind: EntryKind
    amount_usd: Decimal
    reference: str
    at_ms: int


def find(database: Database, owner: str, agent_id: str) -> Account | None:
    row = database.row("SELECT * FROM accounts WHERE owner = ? AND agent_id = ?", (owner, agent_id))
    return _account(row) if row else None


def get(database: Database, account_id: int) -> Account:
    row = database.row("SELECT * FROM accounts WHERE account_id = ?", (account_id,))
    if row is None:
        raise LookupError(f"no account {account_id}")
    return _account(row)


def every(database: Database) -> list[Account]:
    rows = database.rows("SELECT * FROM accounts ORDER BY owner, agent_id")
    return [_account(row) for row in rows]


def add(database: Database, owner: str, agent_id: str, now_ms: int) -> int:
    """Open an empty account; return its id."""
    return database.execute(
        "INSERT INTO accounts (owner, agent_id, cash_usd, opened_ms) VALUES (?, ?, '0', ?)",
        (owner, agent_id, now_ms),
    )


def post(database: Database, entry: LedgerEntry) -> None:
    """Change the cash of an account and record the entry."""
    cash = get(database, entry.account_id).cash_usd + entry.amount_usd
    database.execute(
        "UPDATE accounts SET cash_usd = ? WHERE account_id = ?", (str(cash), entry.account_id)
    )
    database.execute(
        "INSERT INTO entries (account_id, kind, amount_usd, reference, at_ms) VALUES (?, ?, ?, ?, ?)",
        (entry.account_id, entry.kind, str(entry.amount_usd), entry.reference, entry.at_ms),
    )


def last_entry_ms(database: Database, account_id: int, kind: EntryKind) -> int | None:
    """Return the time of the account's last entry of this kind."""
    row = database.row(
        "SELECT max(at_ms) AS at_ms FROM entries WHERE account_id = ? AND kind = ?",
        (account_id, kind),
    )
    return None if row is None else row["at_ms"]


def entries(database: Database, account_id: int) -> list[LedgerEntry]:
    rows = database.rows(
        "SELECT * FROM entries WHERE account_id = ? ORDER BY entry_id", (account_id,)
    )
    return [
        LedgerEntry(
            account_id=row["account_id"],
            kind=EntryKind(row["kind"]),
            amount_usd=Decimal(row["amount_usd"]),
            reference=row["reference"],
            at_ms=row["at_ms"],
        )
        for row in rows
    ]


def positions(database: Database, account_id: int) -> dict[str, Position]:
    rows = database.rows("SELECT * FROM positions WHERE account_id = ?", (account_id,))
    return {row["market"]: _position(row) for row in rows}


def positions_of_all(database: Database) -> dict[int, dict[str, Position]]:
    by_account: dict[int, dict[str, Position]] = {}
    for row in database.rows("SELECT * FROM positions"):
        by_account.setdefault(row["account_id"], {})[row["market"]] = _position(row)
    return by_account


def put_position(database: Database, account_id: int, position: Position) -> None:
    database.execute(
        "INSERT OR REPLACE INTO positions (account_id, market, size, cost_usd, realized_pnl_usd)"
        " VALUES (?, ?, ?, ?, ?)",
        (
            account_id,
            position.market,
            str(position.size),
            str(position.cost_usd),
            str(position.realized_pnl_usd),
        ),
    )


def _account(row: sqlite3.Row) -> Account:
    return Account(
        account_id=row["account_id"],
        owner=row["owner"],
        agent_id=row["agent_id"],
        cash_usd=Decimal(row["cash_usd"]),
        opened_ms=row["opened_ms"],
    )


def _position(row: sqlite3.Row) -> Position:
    return Position(
        market=row["market"],
        size=Decimal(row["size"]),
        cost_usd=Decimal(row["cost_usd"]),
        realized_pnl_usd=Decimal(row["realized_pnl_usd"]),
    )
