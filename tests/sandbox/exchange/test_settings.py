from decimal import Decimal
from pathlib import Path

import pytest

from purpleflea_sandbox.exchange.errors import SettingsError
from purpleflea_sandbox.exchange.settings import from_environment


def test_an_empty_environment_gives_the_defaults():
    settings = from_environment({})
    assert (settings.port, settings.data_dir, settings.admin_token) == (8080, None, None)
    assert settings.terms.start_balance_usd == 10_000


def test_every_variable_is_read_and_an_empty_variable_counts_as_unset():
    settings = from_environment(
        {
            "EXCHANGE_PORT": "9000",
            "EXCHANGE_KEYS_FILE": "/keys",
            "EXCHANGE_DATA_DIR": "",
            "EXCHANGE_ADMIN_TOKEN": "long enough",
            "EXCHANGE_SEED": "3",
            "EXCHANGE_START_BALANCE_USD": "12.5",
            "EXCHANGE_RATE_LIMIT_PER_MINUTE": "60",
            "EXCHANGE_FAUCET_WINDOW_S": "5",
            "EXCHANGE_FAUCET_AMOUNT_USD": "1",
        }
    )
    assert (settings.port, settings.keys_file, settings.data_dir) == (9000, Path("/keys"), None)
    assert (settings.rate_limit_per_minute, settings.admin_token) == (60, "long enough")
    terms = settings.terms
    assert (terms.seed, terms.start_balance_usd) == (3, Decimal("12.5"))
    assert (terms.faucet_window_s, terms.faucet_amount_usd) == (5, 1)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("EXCHANGE_PORT", "http"),
        ("EXCHANGE_SEED", "-1"),
        ("EXCHANGE_START_BALANCE_USD", "NaN"),
        ("EXCHANGE_START_BALANCE_USD", "-5"),
        ("EXCHANGE_START_BALANCE_USD", "lots"),
        ("EXCHANGE_RATE_LIMIT_PER_MINUTE", "0"),
        ("EXCHANGE_FAUCET_WINDOW_S", "1.5"),
        ("EXCHANGE_ADMIN_TOKEN", "short"),
    ],
)
def test_an_error_names_the_variable_of_an_invalid_value(name, value):
    with pytest.raises(SettingsError, match=name):
        from_environment({name: value})
