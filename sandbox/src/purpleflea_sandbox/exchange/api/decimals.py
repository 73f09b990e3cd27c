"""Decimals on the wire: always JSON strings in plain notation, in both directions.

A JSON number has been through a binary float in most clients, so it is refused with the remedy in the message.
"""

import re
from decimal import Decimal
from typing import Annotated

from pydantic import BeforeValidator, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

PATTERN = r"^[0-9]{1,12}(\.[0-9]{1,12})?$"
SIGNED_PATTERN = r"^-?[0-9]+(\.[0-9]+)?$"

_DECIMAL = re.compile(PATTERN.removeprefix("^").removesuffix("$"))


def text(value: Decimal) -> str:
    """Plain notation: never an exponent, never a negative zero."""
    return format(value + 0 if value else abs(value), "f")


def _parsed(value: object) -> Decimal:
    if not isinstance(value, str) or _DECIMAL.fullmatch(value) is None:
        raise PydanticCustomError(
            "decimal_string",
            'send a decimal string such as "0.01", not a number and without exponent',
        )
    return Decimal(value)


DecimalInput = Annotated[
    Decimal,
    BeforeValidator(_parsed),
    WithJsonSchema({"type": "string", "pattern": PATTERN, "examples": ["0.01"]}),
]
DecimalOutput = Annotated[str, Field(pattern=SIGNED_PATTERN, examples=["60000.00"])]
