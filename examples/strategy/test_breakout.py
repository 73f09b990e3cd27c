"""A template for the tests of a strategy: prices in, the sign of the signal out."""

from decimal import Decimal

import pytest
from breakout import RANGE, breakout

QUIET = [Decimal(100), Decimal(101)] * (RANGE // 2)


@pytest.mark.parametrize(
    ("price", "sign"),
    [("100.5", 0), ("101", 0), ("101.5", 1), ("99.5", -1)],
)
def test_only_a_price_outside_of_the_range_is_a_signal(price: str, sign: int) -> None:
    signal = breakout([*QUIET, Decimal(price)])
    assert (signal > 0) - (signal < 0) == sign


def test_too_few_prices_are_no_signal() -> None:
    assert breakout(QUIET) == 0
