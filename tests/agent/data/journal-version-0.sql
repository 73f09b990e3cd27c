BEGIN TRANSACTION;
CREATE TABLE days (
    day TEXT NOT NULL,
    name TEXT NOT NULL,
    value TEXT NOT NULL,
    PRIMARY KEY (day, name)
) STRICT, WITHOUT ROWID;
INSERT INTO "days" VALUES('2027-01-15','failed','2');
INSERT INTO "days" VALUES('2027-01-15','fees_usd','0.60');
INSERT INTO "days" VALUES('2027-01-15','filled','1');
INSERT INTO "days" VALUES('2027-01-15','orders','6');
INSERT INTO "days" VALUES('2027-01-15','realized_pnl_usd','-3.25');
CREATE TABLE escrows (
    idempotency_key TEXT PRIMARY KEY,
    counterparty_id TEXT NOT NULL,
    amount_usd TEXT NOT NULL,
    status TEXT NOT NULL,
    escrow_id TEXT UNIQUE,
    written_at REAL NOT NULL
) STRICT;
INSERT INTO "escrows" VALUES('e-unknown','agent_7','25.00','written',NULL,1800000012.0);
INSERT INTO "escrows" VALUES('e-open','agent_7','30.00','created','esc_1',1800000012.0);
INSERT INTO "escrows" VALUES('e-released','agent_7','40.00','released','esc_2',1800000012.0);
INSERT INTO "escrows" VALUES('e-cancelled','agent_7','50.00','cancelled','esc_3',1800000012.0);
INSERT INTO "escrows" VALUES('e-failed','agent_7','60.00','failed',NULL,1800000012.0);
CREATE TABLE facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;
INSERT INTO "facts" VALUES('peak_equity_usd','10050.00');
INSERT INTO "facts" VALUES('flows_usd','30.00');
INSERT INTO "facts" VALUES('faucet_not_before','1800003600.0');
CREATE TABLE flows (source TEXT PRIMARY KEY, amount_usd TEXT NOT NULL, noted_at REAL NOT NULL) STRICT;
INSERT INTO "flows" VALUES('escrow esc_1','-30.00',1800000013.0);
INSERT INTO "flows" VALUES('escrow esc_2','-40.00',1800000014.0);
INSERT INTO "flows" VALUES('escrow esc_3','-50.00',1800000015.0);
INSERT INTO "flows" VALUES('escrow esc_3 back','50.00',1800000021.0);
INSERT INTO "flows" VALUES('claim clm_1','100',1800000022.0);
CREATE TABLE holdings (market TEXT PRIMARY KEY, size TEXT NOT NULL, told TEXT NOT NULL) STRICT;
INSERT INTO "holdings" VALUES('ETH-USD','-2.2','-2');
INSERT INTO "holdings" VALUES('BTC-USD','0.01','0');
CREATE TABLE orders (
    idempotency_key TEXT PRIMARY KEY,
    market TEXT NOT NULL,
    side TEXT NOT NULL,
    size TEXT NOT NULL,
    type TEXT NOT NULL,
    price TEXT,
    status TEXT NOT NULL,
    order_id TEXT,
    fill_price TEXT,
    filled_size TEXT,
    fee_usd TEXT,
    realized_pnl_usd TEXT,
    reason TEXT,
    written_at REAL NOT NULL
) STRICT;
INSERT INTO "orders" VALUES('o-filled','BTC-USD','buy','0.01','market',NULL,'filled','ord_1','60000.10','0.01','0.60','-3.25',NULL,1800000000.0);
INSERT INTO "orders" VALUES('o-open','ETH-USD','sell','0.5','limit','3100.25','open','ord_2','3100.25','0.2','0','0',NULL,1800000002.0);
INSERT INTO "orders" VALUES('o-rejected','BTC-USD','buy','0.01','market',NULL,'rejected','ord_3',NULL,'0','0','0','insufficient_funds',1800000004.0);
INSERT INTO "orders" VALUES('o-cancelled','ETH-USD','buy','1','limit','3000','cancelled','ord_4',NULL,'0','0','0',NULL,1800000006.0);
INSERT INTO "orders" VALUES('o-failed','BTC-USD','buy','0.01','market',NULL,'failed',NULL,NULL,NULL,NULL,NULL,'422: refused',1800000008.0);
INSERT INTO "orders" VALUES('o-unknown','BTC-USD','buy','0.01','market',NULL,'written',NULL,NULL,NULL,NULL,NULL,NULL,1800000010.0);
CREATE TABLE realized (market TEXT PRIMARY KEY, pnl_usd TEXT NOT NULL) STRICT;
INSERT INTO "realized" VALUES('ETH-USD','4.50');
INSERT INTO "realized" VALUES('BTC-USD','-3.25');
CREATE INDEX orders_by_status ON orders (status);
CREATE INDEX orders_by_time ON orders (written_at);
CREATE INDEX escrows_by_status ON escrows (status);
COMMIT;
