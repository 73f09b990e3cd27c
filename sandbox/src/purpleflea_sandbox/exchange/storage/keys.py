"""Registered API keys, stored as hashes, so the database never contains a usable key."""

from purpleflea_sandbox.exchange.storage.database import Database


def add(database: Database, key_hash: str, owner: str, now_ms: int) -> None:
    database.execute(
        "INSERT INTO api_keys (key_hash, owner, created_ms) VALUES (?, ?, ?)",
        (key_hash, owner, now_ms),
    )


def owner_of(database: Database, key_hash: str) -> str | None:
    row = database.row("SELECT owner FROM api_keys WHERE key_hash = ?", (key_hash,))
    return None if row is None else row["owner"]
