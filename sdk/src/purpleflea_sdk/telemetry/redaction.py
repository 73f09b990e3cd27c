"""Removal of secrets from texts: registered secrets, and everything that looks like a Purple Flea key.

The node agent applies the same patterns to logs. Here they are removed before a text leaves the process.
"""

import json
import re

from purpleflea_contract import secrets

PLACEHOLDER = "[masked]"
PATTERNS = re.compile("|".join((secrets.API_KEY, secrets.PRIVATE_KEY, secrets.BEARER)))
MIN_SECRET_LENGTH = 8

# Replaced and never changed in place, because telemetry threads read it while a key is registered.
_secrets: frozenset[str] = frozenset()


def register_secret(secret: str) -> None:
    """Redact this secret from now on, in any text."""
    global _secrets
    if len(secret) >= MIN_SECRET_LENGTH and secret not in _secrets:
        # A line of JSON may contain it in escaped form.
        _secrets |= {secret, json.dumps(secret)[1:-1]}


def redact(text: str) -> str:
    """Return the text without secrets."""
    for secret in _secrets:
        if secret in text:
            text = text.replace(secret, PLACEHOLDER)
    return PATTERNS.sub(PLACEHOLDER, text)
