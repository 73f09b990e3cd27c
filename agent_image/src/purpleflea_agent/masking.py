"""Secrets never leave the process in a text: known values and everything that looks like a Purple Flea key.

The node agent masks the same patterns in logs; this is the first line, at the source.
"""

import json
import re

from purpleflea_contract import secrets

PLACEHOLDER = "[masked]"
PATTERNS = re.compile("|".join((secrets.API_KEY, secrets.PRIVATE_KEY, secrets.BEARER)))
SHORTEST_SECRET = 8

# Replaced, never changed: the threads of telemetry read it while a key is being read.
_concealed: frozenset[str] = frozenset()


def conceal(secret: str) -> None:
    """Mask `secret` from now on, whatever it looks like."""
    global _concealed
    if len(secret) >= SHORTEST_SECRET and secret not in _concealed:
        # In a line of JSON it may be written otherwise.
        _concealed |= {secret, json.dumps(secret)[1:-1]}


def mask(text: str) -> str:
    """The text without secrets."""
    for secret in _concealed:
        if secret in text:
            text = text.replace(secret, PLACEHOLDER)
    return PATTERNS.sub(PLACEHOLDER, text)
