"""Trading: pure decisions (signals, sizing, risk) and the parts that act on them (orders, account, loop)."""
