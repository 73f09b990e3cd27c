"""The pure parts of trading: signals, sizing, limits."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as some

from purpleflea_agent.trading import risk, sizing, strategies
from purpleflea_agent.trading.risk import OrderContext
from purpleflea_agent.trading.sizing import MAX_STEPS, Sizing, Step
from purpleflea_contract.settings import Risk

PRICE = Decimal(60000)
SIZE = Decimal("0.01")
SIZING = Sizing(order_size=SIZE, signal_threshold=Decimal("0.001"), max_order_usd=Decimal(10**6))


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
    with pytest.raises(strategies.UnknownStrategy, match="mean_reversion, momentum"):
        strategies.find("astrology")


@pytest.mark.parametrize(
    ("signal", "position", "step"),
    [
        ("0.0009", "0", None),
        ("0", "0", None),
        ("0.001", "0", Step(side="buy", size=SIZE)),
        ("-0.001", "0", Step(side="sell", size=SIZE)),
        ("0.01", "0.02", Step(side="buy", size=SIZE)),
        ("0.01", "0.04", Step(side="sell", size=SIZE)),
        ("-0.01", "-0.04", Step(side="buy", size=SIZE)),
        ("0.01", "-0.03", Step(side="buy", size=Decimal("0.04"))),
        ("-0.01", "0.02", Step(side="sell", size=Decimal("0.03"))),
    ],
)
def test_a_position_grows_in_steps_takes_profit_and_reverses(
    signal: str, position: str, step: Step | None
) -> None:
    given_position = Decimal(position)
    next_step = sizing.next_step(
        Decimal(signal), position=given_position, price=PRICE, sizing=SIZING
    )
    assert next_step == step


def test_a_reversal_takes_several_orders_if_the_limit_is_small() -> None:
    small = Sizing(order_size=SIZE, signal_threshold=Decimal(0), max_order_usd=Decimal(1500))
    step = sizing.next_step(Decimal(-1), position=Decimal("0.04"), price=PRICE, sizing=small)
    assert step == Step(side="sell", size=Decimal("0.02"))


@given(
    signals=some.lists(some.decimals(-1, 1, places=4), max_size=60),
    most_usd=some.integers(100, 10_000),
)
def test_positions_and_orders_stay_within_limits_for_any_signals(
    signals: list[Decimal], most_usd: int
) -> None:
    allowed = Sizing(order_size=SIZE, signal_threshold=Decimal(0), max_order_usd=Decimal(most_usd))
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
