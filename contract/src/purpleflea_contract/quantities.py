"""Durations, amounts and numbers as strings, and their values.

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


def decimal_text(value: float) -> str:
    """Return a finite number without an exponent, with the fewest digits that parse to exactly the same number.

    Examples are 15, 1000000, 12.345678 and 0.0000001. A format with a fixed number of digits would change a threshold,
    and Datadog refuses a monitor if the number in its query differs from its threshold.
    """
    text = f"{Decimal(repr(value)):f}"
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
