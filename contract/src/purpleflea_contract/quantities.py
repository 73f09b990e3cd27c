"""Durations and amounts as strings, and their values.

A duration is a whole number with a unit (250ms, 15s, 5m, 1h); money and sizes are decimal strings, never floats.
"""

from datetime import timedelta
from decimal import Decimal
from typing import Annotated

from pydantic import Field

DURATION_PATTERN = "^[1-9][0-9]{0,5}(ms|s|m|h)$"
DECIMAL_PATTERN = "^[0-9]{1,12}([.][0-9]{1,8})?$"

Duration = Annotated[str, Field(pattern=DURATION_PATTERN, max_length=8)]
DecimalString = Annotated[str, Field(pattern=DECIMAL_PATTERN, max_length=21)]

_UNITS = {
    "ms": timedelta(milliseconds=1),
    "s": timedelta(seconds=1),
    "m": timedelta(minutes=1),
    "h": timedelta(hours=1),
}


def duration(text: str) -> timedelta:
    """Return the duration of a text such as 15s."""
    unit = text.lstrip("0123456789")
    return int(text[: len(text) - len(unit)]) * _UNITS[unit]


def decimal(text: str) -> Decimal:
    """Return the exact value of a decimal string."""
    return Decimal(text)
