"""What must not be in any log, trace or event: regular expressions for Python and for Go (the node agent's).

Masking is the work of others: the agent at the source, the node agent by annotation, Datadog by its scanner.
"""

API_KEY = r"(?:pf|sk|pk)_(?:live|paper|test|trade|sk|pk)_[A-Za-z0-9]{8,}"
"""Keys of every Purple Flea service."""
PRIVATE_KEY = r"0x[0-9a-fA-F]{64}"
"""32-byte private keys of wallets (and hashes of transactions: they look the same)."""
BEARER = r"(?i:bearer\s+)[A-Za-z0-9._~+/=-]{8,}"
"""Tokens of HTTP headers. For the source only: there, words such as "bearer instrument" cost nothing."""
