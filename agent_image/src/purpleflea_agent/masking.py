"""Secrets never leave the process in a text: known values and everything that looks like a Purple Flea key.

The node agent masks the same patterns in logs; this is the first line, at the source.
"""

import re

PLACEHOLDER = "[masked]"
PATTERNS = re.compile(
    r"(?:pf|sk|pk)_(?:live|paper|test|trade)_[A-Za-z0-9]{8,}"  # keys of every Purple Flea service
    r"|0x[0-9a-fA-F]{64}"  # private keys of wallets
    r"|(?i:bearer\s+)[A-Za-z0-9._~+/=-]{8,}"
)
SHORTEST_SECRET = 8

_concealed: set[str] = set()


def conceal(secret: str) -> None:
    """Mask `secret` from now on, whatever it looks like."""
    if len(secret) >= SHORTEST_SECRET:
        _concealed.add(secret)


def mask(text: str) -> str:
    """The text without secrets."""
    for secret in _concealed:
        if secret in text:
            text = text.replace(secret, PLACEHOLDER)
    return PATTERNS.sub(PLACEHOLDER, text)
