"""Numbers as text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_contract.quantities import decimal_text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"),
        (0.0, "0"),
        (-0.0, "0"),
        (15, "15"),
        (15.0, "15"),
        (100.0, "100"),
        (1_000_000, "1000000"),
        (1e9, "1000000000"),
        (12.345678, "12.345678"),
        (999_999_999.999, "999999999.999"),
        (0.1 + 0.2, "0.30000000000000004"),
        (1e-7, "0.0000001"),
        (1e-9, "0.000000001"),
        (-3.5, "-3.5"),
        (14.4, "14.4"),
    ],
)
def test_a_number_is_written_without_an_exponent(value, text):
    assert decimal_text(value) == text


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_the_text_parses_to_exactly_the_same_number(value):
    text = decimal_text(value)
    assert float(text) == value
    assert "e" not in text
