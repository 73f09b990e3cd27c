"""Secrets that no log, trace or event may contain: regular expressions for Python, and for Go in the node agent.

The agent redacts at the source, the node agent by annotation, and Datadog with its scanner.
"""

API_KEY = r"(?:pf|sk|pk)_(?:live|paper|test|trade|sk|pk)_[A-Za-z0-9]{8,}"
"""Keys of every Purple Flea service."""
PRIVATE_KEY = r"0x[0-9a-fA-F]{64}"
"""32-byte private keys of wallets, and hashes of transactions, which have the same form."""
BEARER = r"(?i:bearer\s+)[A-Za-z0-9._~+/=-]{8,}"
"""Tokens of HTTP headers. Only for the agent, whose texts do not contain words such as "bearer instrument"."""
