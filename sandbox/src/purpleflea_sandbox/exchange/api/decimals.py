"""Decimals in JSON: strings in plain notation.

Responses contain only strings. Requests may also contain a number, because the client of the
published page sends numbers. A number is parsed as its shortest decimal representation.
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
    """Return plain notation, without an exponent and without a negative zero."""
    return format(value + 0 if value else abs(value), "f")


def _parsed(value: object) -> Decimal:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    written = repr(value) if is_number else value
    if not isinstance(written, str) or _DECIMAL.fullmatch(written) is None:
        raise PydanticCustomError(
            "decimal",
            'send a decimal string such as "0.01": not negative, without exponent, at most 12 digits before and after'
            " the point",
        )
    return Decimal(written)


DecimalInput = Annotated[
    Decimal,
    BeforeValidator(_parsed),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "string", "pattern": PATTERN},
                {"type": "number", "minimum": 0, "exclusiveMaximum": 10**12},
            ],
            "examples": ["0.01"],
        }
    ),
]
DecimalOutput = Annotated[str, Field(pattern=SIGNED_PATTERN, examples=["60000.00"])]
