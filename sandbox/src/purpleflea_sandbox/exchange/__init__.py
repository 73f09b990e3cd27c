"""The paper Purple Flea exchange: trading, wallet, escrow and faucet with the Seed dialect.

core/ contains the rules and uses no clock, randomness or I/O. storage/ persists values. venue/
joins the two with one transaction per change. api/ serves HTTP. Balances and rules are real, but
prices are simulated, and no real money is involved.
"""
