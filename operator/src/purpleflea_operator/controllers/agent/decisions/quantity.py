"""Quantities of Kubernetes as numbers, parsed, rounded and compared as by the API server. Pure.

The rules are those of resource.Quantity in k8s.io/apimachinery. `tests/data/quantities` has vectors that it generated.
"""

import re
from fractions import Fraction
from typing import Any

_SUFFIXES = {
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 10**3),
    "": Fraction(1),
    **{suffix: Fraction(1000**power) for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Fraction(1024**power) for power, suffix in enumerate("KMGTPE", start=1)},
}
_LARGEST_BINARY = 2**63 - 1
_TEXT = re.compile(
    r"(?P<sign>[+-]?)(?P<digits>[0-9]{0,40})(\.(?P<decimals>[0-9]{0,40}))?"
    r"(?P<suffix>[numkMGTPE]|[KMGTPE]i|[eE][+-]?[0-9]{1,2})?",
    re.ASCII,
)
NANO, MILLI = 10**9, 10**3


def quantity(text: Any) -> Fraction | None:
    """Return the value of a quantity, so that 0.5 equals 500m; None if it is not a quantity.

    As in Kubernetes, a value is rounded up to a billionth.
    """
    parts = _TEXT.fullmatch(str(text))
    if parts is None or not str(text):
        return None
    suffix, decimals = parts["suffix"] or "", parts["decimals"] or ""
    number = Fraction(int(f"{parts['digits']}{decimals}" or "0"), 10 ** len(decimals))
    value = number * _scale(suffix)
    if suffix.endswith("i"):
        value = min(value, Fraction(_LARGEST_BINARY))
    return _rounded_up(-value if parts["sign"] == "-" else value, NANO)


def same_quantity(one: Any, other: Any) -> bool:
    """Return whether the API server stores two values of a list of resources as the same quantity.

    It rounds these values up to thousandths. Texts that are not quantities are compared as texts.
    """
    if str(one) == str(other):
        return True
    left, right = quantity(one), quantity(other)
    if left is None or right is None:
        return False
    return _rounded_up(left, MILLI) == _rounded_up(right, MILLI)


def is_less(one: Any, other: Any) -> bool:
    """Return whether a quantity is less than another one; False if one of them is not a quantity."""
    left, right = quantity(one), quantity(other)
    if left is None or right is None:
        return False
    return _rounded_up(left, MILLI) < _rounded_up(right, MILLI)


def _scale(suffix: str) -> Fraction:
    if suffix in _SUFFIXES:
        return _SUFFIXES[suffix]
    return Fraction(10) ** int(suffix[1:])


def _rounded_up(value: Fraction, parts: int) -> Fraction:
    """Return the value rounded away from zero to a multiple of 1/parts."""
    scaled = abs(value) * parts
    whole = -(-scaled.numerator // scaled.denominator)
    return Fraction(-whole if value < 0 else whole, parts)
