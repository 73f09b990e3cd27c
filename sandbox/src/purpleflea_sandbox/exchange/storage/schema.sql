-- Money, prices and sizes are decimal text, because SQLite numbers are binary. Times are milliseconds since 1970, UTC.
CREATE TABLE IF NOT EXISTS api_keys (
    key_hash TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    created_ms INTEGER NOT NULL
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS accounts (
    account_id INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    agent_id TEXT NOT NULL,
    cash_usd TEXT NOT NULL,
    opened_ms INTEGER NOT NULL,
    UNIQUE (owner, agent_id)
);
CREATE INDEX IF NOT EXISTS accounts_by_agent ON accounts (agent_id);

-- Every change of an account's cash with its reason. The cash is the sum of the entries.
CREATE TABLE IF NOT EXISTS entries (
    entry_id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts,
    kind TEXT NOT NULL,
    amount_usd TEXT NOT NULL,
    reference TEXT NOT NULL,
    at_ms INTEGER NOT NULL
);
CREATE INDEX IF NOT EXISTS entries_by_account ON entries (account_id, kind, at_ms);

CREATE TABLE IF NOT EXISTS positions (
    account_id INTEGER NOT NULL REFERENCES accounts,
    market TEXT NOT NULL,
    size TEXT NOT NULL,
    cost_usd TEXT NOT NULL,
    realized_pnl_usd TEXT NOT NULL,
    PRIMARY KEY (account_id, market)
) WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS orders (
    sequence INTEGER PRIMARY KEY,
    order_id TEXT NOT NULL UNIQUE,
    account_id INTEGER NOT NULL REFERENCES accounts,
    idempotency_key TEXT NOT NULL,
    market TEXT NOT NULL,
    side TEXT NOT NULL,
    type TEXT NOT NULL,
    size TEXT NOT NULL,
    limit_price TEXT,
    limit_ticks INTEGER,
    status TEXT NOT NULL,
    fill_price TEXT,
    fee_usd TEXT NOT NULL,
    realized_pnl_usd TEXT NOT NULL,
    reject_reason TEXT,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    filled_size TEXT,
    slices INTEGER NOT NULL DEFAULT 1,
    pause_ms INTEGER,
    due_ms INTEGER,
    UNIQUE (account_id, idempotency_key)
);
CREATE INDEX IF NOT EXISTS orders_by_account ON orders (account_id, sequence);
CREATE INDEX IF NOT EXISTS resting_orders ON orders (market, side, limit_ticks) WHERE status = 'open';
CREATE INDEX IF NOT EXISTS resting_orders_by_account ON orders (account_id, sequence) WHERE status = 'open';

CREATE TABLE IF NOT EXISTS escrows (
    escrow_id TEXT PRIMARY KEY,
    account_id INTEGER NOT NULL REFERENCES accounts,
    idempotency_key TEXT NOT NULL,
    counterparty_id TEXT NOT NULL,
    amount_usd TEXT NOT NULL,
    description TEXT NOT NULL,
    status TEXT NOT NULL,
    created_ms INTEGER NOT NULL,
    updated_ms INTEGER NOT NULL,
    UNIQUE (account_id, idempotency_key)
) WITHOUT ROWID;
