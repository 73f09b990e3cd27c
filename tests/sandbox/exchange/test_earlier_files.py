import sqlite3
from decimal import Decimal

from purpleflea_sandbox.exchange.storage import orders
from purpleflea_sandbox.exchange.storage.database import Database

ADDED = ("filled_size", "slices", "pause_ms", "due_ms")


def test_a_file_without_partial_fills_is_opened_and_its_orders_are_complete(tmp_path):
    Database.in_folder(tmp_path).close()
    file = sqlite3.connect(tmp_path / "exchange.db")
    for name in ADDED:
        file.execute(f"ALTER TABLE orders DROP COLUMN {name}")
    file.execute("INSERT INTO accounts VALUES (1, 'fleet', 'momentum-0', '10', 0)")
    for number, status in enumerate(("filled", "open", "rejected")):
        file.execute(
            "INSERT INTO orders VALUES (?, ?, 1, ?, 'BTC-USD', 'buy', 'market', '0.1', NULL, NULL, ?,"
            " '60000', '0', '0', NULL, 0, 0)",
            (number, f"ord_{number}", f"k{number}", status),
        )
    file.commit()
    file.close()
    database = Database.in_folder(tmp_path)
    read = [orders.find(database, 1, f"ord_{number}") for number in range(3)]
    database.close()
    assert [order.filled_size for order in read] == [Decimal("0.1"), 0, 0]
    Database.in_folder(tmp_path).close()
