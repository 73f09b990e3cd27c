"""Trading of one agent: the loop, strategies, risk limits, orders, escrows, and the orderly end."""
