"""Ids in the forms that Datadog gives them. None comes twice, also not after a restart."""

import secrets
import string
import uuid
from itertools import count

_WORDS = string.ascii_lowercase + string.digits


class Identifiers:
    """New ids."""

    def __init__(self) -> None:
        self._numbers = count(100_000_000 + secrets.randbelow(800_000_000))

    def number(self) -> int:
        """Of monitors, notebooks, widgets, events."""
        return next(self._numbers)

    def hexadecimal(self) -> str:
        """Of objectives."""
        return secrets.token_hex(16)

    def dashed(self) -> str:
        """Of dashboards: three groups of three."""
        return "-".join("".join(secrets.choice(_WORDS) for _ in range(3)) for _ in range(3))

    def token(self) -> str:
        """Of log pipelines."""
        return secrets.token_urlsafe(16)

    def uuid(self) -> str:
        """Of everything newer."""
        return str(uuid.uuid4())
