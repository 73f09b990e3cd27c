"""Settings of the exchange, read once from the environment. No other module reads the environment.

Every invalid value raises a SettingsError with the name of the variable and the expected format.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import TypeVar

from purpleflea_sandbox.exchange.errors import SettingsError
from purpleflea_sandbox.exchange.venue.context import Terms

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class ExchangeSettings:
    host: str = "0.0.0.0"  # noqa: S104 - it serves a pod; tests bind loopback
    port: int = 8080
    keys_file: Path | None = None
    data_dir: Path | None = None
    """In memory if unset."""
    admin_token: str | None = None
    """If unset, the admin API and the fault API are closed."""
    rate_limit_per_minute: int = 1_200
    terms: Terms


def from_environment(environment: Mapping[str, str]) -> ExchangeSettings:
    """Return the settings from EXCHANGE_* variables; an empty variable counts as unset."""
    given = {name: value for name, value in environment.items() if value}
    default = Terms()
    return ExchangeSettings(
        host=given.get("EXCHANGE_HOST", "0.0.0.0"),  # noqa: S104 - see ExchangeSettings.host
        port=_whole(given, "EXCHANGE_PORT", 8080, least=0),
        keys_file=_path(given, "EXCHANGE_KEYS_FILE"),
        data_dir=_path(given, "EXCHANGE_DATA_DIR"),
        admin_token=_token(given),
        rate_limit_per_minute=_whole(given, "EXCHANGE_RATE_LIMIT_PER_MINUTE", 1_200, least=1),
        terms=Terms(
            seed=_whole(given, "EXCHANGE_SEED", default.seed, least=0),
            start_balance_usd=_money(
                given, "EXCHANGE_START_BALANCE_USD", default.start_balance_usd
            ),
            faucet_amount_usd=_money(
                given, "EXCHANGE_FAUCET_AMOUNT_USD", default.faucet_amount_usd
            ),
            faucet_window_s=_whole(
                given, "EXCHANGE_FAUCET_WINDOW_S", default.faucet_window_s, least=1
            ),
        ),
    )


def _path(given: Mapping[str, str], name: str) -> Path | None:
    return Path(given[name]) if name in given else None


def _token(given: Mapping[str, str]) -> str | None:
    token = given.get("EXCHANGE_ADMIN_TOKEN")
    if token is not None and not (len(token) >= 8 and token.isascii() and token.isprintable()):
        raise SettingsError(
            "EXCHANGE_ADMIN_TOKEN: must be 8 or more printable ASCII characters; unset it to close the admin API"
        )
    return token


def _whole(given: Mapping[str, str], name: str, default: int, *, least: int) -> int:
    return _parsed(given, name, default, f"a whole number of at least {least}", _at_least(least))


def _at_least(least: int) -> Callable[[str], int]:
    def parse(text: str) -> int:
        number = int(text)
        if not least <= number < 2**53:
            raise ValueError
        return number

    return parse


def _money(given: Mapping[str, str], name: str, default: Decimal) -> Decimal:
    return _parsed(given, name, default, "a decimal such as 10000 or 99.50", _amount)


def _amount(text: str) -> Decimal:
    amount = Decimal(text)
    if not (amount.is_finite() and 0 <= amount <= 10**12):
        raise ValueError
    return amount


def _parsed(
    given: Mapping[str, str], name: str, default: T, wanted: str, parse: Callable[[str], T]
) -> T:
    if name not in given:
        return default
    try:
        return parse(given[name])
    except (ValueError, InvalidOperation) as error:
        raise SettingsError(f"{name}: {given[name]!r} is not {wanted}") from error
