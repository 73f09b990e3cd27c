"""Generate ids in Datadog's formats. No id is repeated, even if the process restarts."""

import secrets
import string
import uuid
from itertools import count

_ALPHABET = string.ascii_lowercase + string.digits


class Identifiers:
    """Generator of new ids."""

    def __init__(self) -> None:
        self._numbers = count(100_000_000 + secrets.randbelow(800_000_000))

    def number(self) -> int:
        """Return an id for a monitor, notebook, widget or event."""
        return next(self._numbers)

    def hexadecimal(self) -> str:
        """Return an id for an SLO."""
        return secrets.token_hex(16)

    def dashed(self) -> str:
        """Return an id for a dashboard: three groups of three characters."""
        return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(3)) for _ in range(3))

    def token(self) -> str:
        """Return an id for a log pipeline."""
        return secrets.token_urlsafe(16)

    def uuid(self) -> str:
        """Return an id for an object of the newer APIs."""
        return str(uuid.uuid4())
