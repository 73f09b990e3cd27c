"""Values of quantities, of the form that the models allow."""

from decimal import Decimal

_SUFFIXES = {
    "m": Decimal("0.001"),
    **{suffix: Decimal(1000) ** power for power, suffix in enumerate("kMGTPE", start=1)},
    **{f"{suffix}i": Decimal(1024) ** power for power, suffix in enumerate("KMGTPE", start=1)},
}


def value(amount: str) -> Decimal:
    """Return the value of a quantity of the spec, such as 0.5 for 500m."""
    number = amount.rstrip("mkKMGTPEi")
    return Decimal(number) * _SUFFIXES.get(amount[len(number) :], Decimal(1))


WHOLE_LIMIT = 10**15
"""Largest amount of a device. Kubernetes counts in thousandths, in 64 bits."""


def is_whole(amount: str) -> bool:
    """Return True if the quantity is a whole number that Kubernetes can count."""
    # Not the remainder, because its quotient may have more digits than a Decimal.
    return value(amount) == value(amount).to_integral_value() <= WHOLE_LIMIT
