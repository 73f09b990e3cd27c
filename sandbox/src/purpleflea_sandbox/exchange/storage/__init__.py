"""SQLite storage of the exchange: one module per entity, one connection, one writer.

Rows are converted to values only here; this package contains no rules.
"""
