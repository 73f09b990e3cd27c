"""The pure parts of trading: signals, sizing, limits."""

from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from purpleflea_agent.trading import risk, sizing, strategies
from purpleflea_agent.trading.risk import OrderContext
from purpleflea_agent.trading.sizing import MAX_STEPS, Sizing, Step
from purpleflea_agent.trading.strategy_loading import UnknownStrategy
from purpleflea_contract.settings import Risk

PRICE = Decimal(60000)
SIZE = Decimal("0.01")
SIZING = Sizing(
    order_size=SIZE,
    signal_threshold=Decimal("0.001"),
    max_order_usd=Decimal(10**6),
    max_position_usd=Decimal(10**7),
)


def prices(*values: int) -> list[Decimal]:
    return [Decimal(value) for value in values]


@pytest.mark.parametrize(
    ("closes", "signal"),
    [
        (prices(*range(100, 110)), Decimal("0.09")),
        (prices(*([1] * 5), *range(100, 110)), Decimal("0.09")),
        (prices(*([100] * 10)), Decimal(0)),
        (prices(*([100] * 9)), Decimal(0)),
        (prices(0, *([100] * 9)), Decimal(0)),
        ([], Decimal(0)),
    ],
)
def test_momentum_is_the_rate_of_change_over_ten_prices(
    closes: list[Decimal], signal: Decimal
) -> None:
    assert strategies.momentum(closes) == signal


def test_mean_reversion_buys_below_the_mean_and_sells_above() -> None:
    assert strategies.mean_reversion(prices(*([100] * 9), 90)) == Decimal(9) / Decimal(99)
    assert strategies.mean_reversion(prices(*([100] * 9), 110)) < 0
    assert strategies.mean_reversion(prices(*([0] * 10))) == 0


def test_a_strategy_is_found_with_underscore_or_hyphen() -> None:
    assert strategies.find("mean-reversion") is strategies.find("mean_reversion")
    with pytest.raises(UnknownStrategy, match="mean_reversion, momentum"):
        strategies.find("astrology")


@pytest.mark.parametrize(
    ("signal", "position", "step"),
    [
        ("0.0009", "0", None),
        ("0", "0", None),
        ("0.001", "0", Step(side="buy", size=SIZE)),
        ("-0.001", "0", Step(side="sell", size=SIZE)),
        ("0.01", "0.02", Step(side="buy", size=SIZE)),
        ("0.01", "0.03", Step(side="buy", size=SIZE)),
        ("0.01", "0.04", None),
        ("-0.01", "-0.04", None),
        ("0.01", "0.41", None),
        ("0.01", "-0.03", Step(side="buy", size=Decimal("0.04"))),
        ("-0.01", "0.02", Step(side="sell", size=Decimal("0.03"))),
    ],
)
def test_a_position_grows_in_steps_to_its_full_size_and_reverses(
    signal: str, position: str, step: Step | None
) -> None:
    given_position = Decimal(position)
    next_step = sizing.next_step(
        Decimal(signal), position=given_position, price=PRICE, sizing=SIZING
    )
    assert next_step == step


@pytest.mark.parametrize("signal", [1, -1])
def test_take_profit_closes_one_step_at_the_full_size(signal: int) -> None:
    taking = replace(SIZING, takes_profit=True)
    full = MAX_STEPS * SIZE * signal
    step = sizing.next_step(Decimal(signal), position=full, price=PRICE, sizing=taking)
    assert step == Step(side="sell" if signal > 0 else "buy", size=SIZE)


@pytest.mark.parametrize(
    ("limit_usd", "position", "step"),
    [
        ("1800", "0.02", Step(side="buy", size=SIZE)),
        ("1800", "0.03", None),
        ("1799", "0.02", None),
        # One step always passes the sizing, so that the limit refuses it with a reason.
        ("1", "0", Step(side="buy", size=SIZE)),
        ("1", "0.01", None),
    ],
)
def test_the_full_size_is_smaller_if_the_limit_of_a_position_is(
    limit_usd: str, position: str, step: Step | None
) -> None:
    limited = replace(SIZING, max_position_usd=Decimal(limit_usd))
    found = sizing.next_step(Decimal(1), position=Decimal(position), price=PRICE, sizing=limited)
    assert found == step


@pytest.mark.parametrize("takes_profit", [False, True])
@pytest.mark.parametrize("limits", [Risk(max_position_usd="1"), Risk(max_position_usd="10000")])
def test_a_signal_that_persists_never_alternates_without_take_profit(
    takes_profit: bool, limits: Risk
) -> None:
    allowed = replace(
        SIZING, max_position_usd=sizing.max_position_usd(limits), takes_profit=takes_profit
    )
    sides, position = [], Decimal(0)
    for _ in range(20):
        step = sizing.next_step(Decimal(1), position=position, price=PRICE, sizing=allowed)
        if step is not None:
            sides.append(step.side)
            position += step.size if step.side == "buy" else -step.size
    assert ("sell" in sides) == takes_profit


def test_the_default_limit_of_a_position_is_ten_times_that_of_an_order() -> None:
    assert sizing.max_position_usd(Risk(max_order_usd="300")) == 3000
    assert sizing.max_position_usd(Risk(max_position_usd="50")) == 50


def test_a_reversal_takes_several_orders_if_the_limit_is_small() -> None:
    small = replace(SIZING, max_order_usd=Decimal(1500))
    step = sizing.next_step(Decimal(-1), position=Decimal("0.04"), price=PRICE, sizing=small)
    assert step == Step(side="sell", size=Decimal("0.02"))


@given(
    signals=some.lists(some.decimals(-1, 1, places=4), max_size=60),
    most_usd=some.integers(100, 10_000),
    takes_profit=some.booleans(),
)
def test_positions_and_orders_stay_within_limits_for_any_signals(
    signals: list[Decimal], most_usd: int, takes_profit: bool
) -> None:
    allowed = replace(
        SIZING,
        signal_threshold=Decimal(0),
        max_order_usd=Decimal(most_usd),
        takes_profit=takes_profit,
    )
    position = Decimal(0)
    for signal in signals:
        step = sizing.next_step(signal, position=position, price=PRICE, sizing=allowed)
        if step is not None:
            assert step.size > 0
            assert step.size * PRICE <= max(Decimal(most_usd), SIZE * PRICE)
            position += step.size if step.side == "buy" else -step.size
        assert abs(position) <= MAX_STEPS * SIZE


def prospect(**more: object) -> OrderContext:
    usual = {
        "market": "BTC-USD",
        "notional_usd": Decimal(600),
        "equity_usd": Decimal(10000),
        "peak_equity_usd": Decimal(10000),
        "balance_usd": Decimal(5000),
        "open_markets": frozenset[str](),
        "orders_last_minute": 0,
    }
    return OrderContext(**{**usual, **more})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("more", "limits", "reason"),
    [
        ({}, Risk(), None),
        ({"equity_usd": Decimal(8001)}, Risk(), None),
        ({"equity_usd": Decimal(8000)}, Risk(), "max_drawdown"),
        ({"balance_usd": Decimal("49.99")}, Risk(min_balance_usd="50"), "min_balance"),
        ({"balance_usd": Decimal(50)}, Risk(min_balance_usd="50"), None),
        ({"notional_usd": Decimal(1000)}, Risk(), None),
        ({"notional_usd": Decimal("1000.01")}, Risk(), "max_order"),
        (
            {"open_markets": frozenset({"ETH-USD"})},
            Risk(max_open_positions=1),
            "max_open_positions",
        ),
        ({"open_markets": frozenset({"BTC-USD"})}, Risk(max_open_positions=1), None),
        ({"orders_last_minute": 60}, Risk(), "max_orders_per_minute"),
        ({"position_usd": Decimal(10000)}, Risk(), None),
        ({"position_usd": Decimal("10000.01")}, Risk(), "max_position"),
        ({"position_usd": Decimal(10**9), "only_reduces": True}, Risk(), None),
        ({"position_usd": Decimal(601)}, Risk(max_position_usd="600"), "max_position"),
        ({"exposure_usd": Decimal(10**9)}, Risk(), None),
        ({"exposure_usd": Decimal(600)}, Risk(max_exposure_usd="600"), None),
        ({"exposure_usd": Decimal(601)}, Risk(max_exposure_usd="600"), "max_exposure"),
        ({"exposure_usd": Decimal(601), "only_reduces": True}, Risk(max_exposure_usd="1"), None),
    ],
)
def test_the_first_violated_limit_is_the_reason(
    more: dict[str, object], limits: Risk, reason: str | None
) -> None:
    assert risk.refusal(prospect(**more), limits) == reason


def test_drawdown_is_the_fall_from_the_peak_and_never_negative() -> None:
    assert risk.drawdown_pct(Decimal(75), Decimal(100)) == 25
    assert risk.drawdown_pct(Decimal(110), Decimal(100)) == 0
    assert risk.drawdown_pct(Decimal(-5), Decimal(0)) == 0
