"""The options of a run, and the settings that they describe. Nothing is read from the environment."""

import argparse
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter, ValidationError

from purpleflea_agent.paper import settings_checks
from purpleflea_agent.paper.errors import PaperError
from purpleflea_agent.trading import strategies, strategy_loading
from purpleflea_agent.trading.strategy_loading import Strategy, UnknownStrategy
from purpleflea_contract import quantities
from purpleflea_contract.quantities import DecimalString, Duration
from purpleflea_contract.settings import Market, Settings

DEFAULT_MARKETS = ("BTC-USD",)
DEFAULT_STRATEGY = "momentum"
DEFAULT_DEPOSIT_USD = "10000"
DEFAULT_SEED = 1
OWN_STRATEGY = "custom"
"""Name of a strategy that was given as a path, if the name of its function is not a valid name."""
MAX_SETTINGS_BYTES = 1_000_000
MAX_DEPOSIT_USD = Decimal(10**9)

_DURATION: TypeAdapter[str] = TypeAdapter(Duration)
_FORMS: Mapping[str, tuple[TypeAdapter[str], str]] = {
    "market": (TypeAdapter(Market), "BTC-USD"),
    "interval": (_DURATION, "15s, 5m or 1h"),
    "duration": (_DURATION, "30s, 10m or 2h"),
    "order_size": (TypeAdapter(DecimalString), "0.01"),
    "signal_threshold": (TypeAdapter(DecimalString), "0.001"),
    "max_order_usd": (TypeAdapter(DecimalString), "1000"),
}
"""The form of each option that is a text, and an example."""
_FIELDS = {
    "interval": ("trading", "interval"),
    "order_size": ("trading", "orderSize"),
    "signal_threshold": ("trading", "signalThreshold"),
    "max_order_usd": ("risk", "maxOrderUsd"),
}
"""Options that replace one field of the settings."""
_NOT_IN_A_REPLAY = {
    "interval": "each candle is one interval",
    "seed": "the prices are those of the candles",
    "duration": "the run ends with the last candle",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """A run with paper money."""

    settings: Settings
    strategy: Strategy
    deposit_usd: Decimal
    seed: int
    duration_s: float | None
    replay: Path | None
    folder: Path | None
    is_plain: bool


def add_to(parser: argparse.ArgumentParser) -> None:
    """Add the options of a paper run."""
    paper = parser.add_argument_group("options of --paper and --replay")
    paper.add_argument(
        "--strategy",
        help="module:function of your strategy, or the name of an installed one (default momentum)",
    )
    paper.add_argument(
        "--market", action="append", help="market to trade, may be repeated (default BTC-USD)"
    )
    paper.add_argument(
        "--settings", type=Path, help="JSON file with the fields of spec; the options replace them"
    )
    paper.add_argument("--interval", help="time between two reads of the markets (default 15s)")
    paper.add_argument("--order-size", help="size of one order (default 0.01)")
    paper.add_argument("--signal-threshold", help="smallest signal for an order (default 0.001)")
    paper.add_argument("--max-order-usd", help="largest value of one order (default 1000)")
    paper.add_argument("--deposit-usd", help="paper money (default 10000)")
    paper.add_argument("--seed", type=int, help="seed of the simulated prices (default 1)")
    paper.add_argument("--for", dest="duration", help="length of the run, such as 10m; else Ctrl-C")
    paper.add_argument("--folder", type=Path, help="new folder of the run (default runs/TIME)")
    paper.add_argument("--plain", action="store_true", help="one line per interval, no live view")


def refuse_contradictions(arguments: argparse.Namespace) -> None:
    """Raise PaperError if two options do not go together, or one needs another."""
    # Not by equality, because 0 is a seed.
    given = [
        name for name, value in vars(arguments).items() if value is not None and value is not False
    ]
    options = [name for name in given if name not in ("paper", "replay")]
    if arguments.paper and arguments.replay is not None:
        raise PaperError(
            "--paper and --replay exclude each other: give --paper for simulated prices, or --replay for recorded ones"
        )
    if arguments.replay is not None:
        for name in options:
            if name in _NOT_IN_A_REPLAY:
                reason = _NOT_IN_A_REPLAY[name]
                raise PaperError(f"--replay and {_flag(name)} exclude each other: {reason}")
    elif options and not arguments.paper:
        needed = "--paper" if options[0] in _NOT_IN_A_REPLAY else "--paper or --replay"
        raise PaperError(
            f"{_flag(options[0])} needs {needed}: add it, or leave {_flag(options[0])} out to run the"
            " agent from its mounted settings"
        )


def from_arguments(arguments: argparse.Namespace) -> Options:
    """Return the options of a command line.

    Raises:
        PaperError, UnknownStrategy: An option cannot be used.
    """
    for option, (form, example) in _FORMS.items():
        _check(option, getattr(arguments, option), form, example)
    document = _document(arguments)
    given = document.get("strategy", DEFAULT_STRATEGY)
    strategy, name = _strategy(given if arguments.strategy is None else arguments.strategy)
    document["strategy"] = name
    # There is no faucet: the paper money is the deposit.
    document["faucet"] = {"autoClaim": False}
    deposit_usd = _deposit(arguments.deposit_usd or DEFAULT_DEPOSIT_USD)
    settings = _settings(document)
    problem = settings_checks.problem(settings, deposit_usd=deposit_usd)
    if problem is not None:
        raise PaperError(f"settings: {problem}")
    return Options(
        settings=settings,
        strategy=strategy,
        deposit_usd=deposit_usd,
        seed=DEFAULT_SEED if arguments.seed is None else arguments.seed,
        duration_s=_duration_s(arguments.duration),
        replay=arguments.replay,
        folder=arguments.folder,
        is_plain=arguments.plain,
    )


def _document(arguments: argparse.Namespace) -> dict[str, Any]:
    document = _read(arguments.settings) if arguments.settings else {}
    if arguments.market or not document.get("markets"):
        document["markets"] = arguments.market or list(DEFAULT_MARKETS)
    for option, (group, field) in _FIELDS.items():
        value = getattr(arguments, option)
        if value is not None:
            section = document.setdefault(group, {})
            if not isinstance(section, dict):
                raise PaperError(f"{arguments.settings}: {group}: not an object: correct the file")
            section[field] = value
    return document


def _read(path: Path) -> dict[str, Any]:
    try:
        with path.open("rb") as file:
            text = file.read(MAX_SETTINGS_BYTES + 1)
        document = json.loads(text) if len(text) <= MAX_SETTINGS_BYTES else None
    except OSError as error:
        raise PaperError(
            f"{path} cannot be read ({error.strerror}): give the path of a JSON file"
        ) from error
    except (ValueError, RecursionError) as error:
        raise PaperError(f"{path} is not valid JSON ({error}): correct the file") from error
    if not isinstance(document, dict):
        raise PaperError(f"{path} is not a JSON object with the fields of spec: correct the file")
    problem = settings_checks.unknown_field(document)
    if problem is not None:
        raise PaperError(f"{path}: {problem}")
    return document


def _settings(document: dict[str, Any]) -> Settings:
    try:
        return Settings.model_validate(document)
    except ValidationError as error:
        problem = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(str(part) for part in problem["loc"])
        raise PaperError(f"settings: {field}: {problem['msg']}") from error


def _strategy(text: object) -> tuple[Strategy, str]:
    if not isinstance(text, str):
        raise UnknownStrategy("settings: strategy: not a text: give the name of a strategy")
    if ":" not in text:
        return strategies.find(text), text
    name = text.rpartition(":")[2].lower()
    is_valid = name.isascii() and name.replace("_", "").isalnum() and name[0].isalpha()
    return strategy_loading.from_path(text), name.rstrip("_")[:63] if is_valid else OWN_STRATEGY


def _deposit(text: str) -> Decimal:
    try:
        deposit = Decimal(text)
    except InvalidOperation:
        deposit = Decimal("NaN")
    if not (deposit.is_finite() and 0 < deposit <= MAX_DEPOSIT_USD):
        raise PaperError(
            f"--deposit-usd: {text!r} is not a positive amount: write it as 10000 or 2500.50"
        )
    return deposit


def _duration_s(text: str | None) -> float | None:
    return None if text is None else quantities.duration(text).total_seconds()


def _check(option: str, given: object, form: TypeAdapter[str], example: str) -> None:
    for value in given if isinstance(given, list) else [given]:
        if value is None:
            continue
        try:
            form.validate_python(value)
        except ValidationError:
            raise PaperError(
                f"{_flag(option)}: {value!r} is not valid: write it as {example}"
            ) from None


def _flag(option: str) -> str:
    return "--for" if option == "duration" else f"--{option.replace('_', '-')}"
