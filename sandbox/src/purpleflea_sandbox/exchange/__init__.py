"""The paper Purple Flea exchange: trading, wallet, escrow and faucet behind the Seed dialect.

core/ decides and knows no clock, no chance and no I/O; storage/ keeps; venue/ joins the two, one transaction per
change; api/ speaks HTTP. Real balances and real rules, a made-up price: nothing here ever touches real money.
"""
