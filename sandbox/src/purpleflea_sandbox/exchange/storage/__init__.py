"""SQLite behind the exchange: one module per thing kept, one connection, one writer.

Rows become values here and nowhere else; no rule is decided here.
"""
