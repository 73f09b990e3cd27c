"""Strategies: from closing prices to the strength and direction of a signal. Pure.

To add a strategy, write a function and add it to BUILT_IN, or install a package with an entry point of the group
`purpleflea.strategies` whose function has the same signature. sizing decides how much is traded on a signal.
"""

from collections.abc import Mapping, Sequence
from decimal import Decimal
from importlib import metadata

from purpleflea_agent.trading.strategy_loading import Strategy, UnknownStrategy, checked, loaded

ENTRY_POINTS = "purpleflea.strategies"
POINTS = 10
"""Number of prices that a signal uses."""


def momentum(closes: Sequence[Decimal]) -> Decimal:
    """Return the rate of change over the last ten prices: a trend continues."""
    if len(closes) < POINTS or not closes[-POINTS]:
        return Decimal(0)
    return (closes[-1] - closes[-POINTS]) / closes[-POINTS]


def mean_reversion(closes: Sequence[Decimal]) -> Decimal:
    """Return the distance of the price below the mean of the last ten: a price returns to its mean."""
    if len(closes) < POINTS:
        return Decimal(0)
    mean = sum(closes[-POINTS:], Decimal(0)) / POINTS
    return (mean - closes[-1]) / mean if mean else Decimal(0)


BUILT_IN: Mapping[str, Strategy] = {"momentum": momentum, "mean_reversion": mean_reversion}


def find(name: str) -> Strategy:
    """Return the strategy of a name; an entry point takes precedence over a built-in strategy."""
    registered = metadata.entry_points(group=ENTRY_POINTS)
    if name in registered.names:
        return _load(registered[name])
    # Kubernetes names cannot contain an underscore, so both spellings are accepted.
    built_in = BUILT_IN.get(name.replace("-", "_"))
    if built_in is None:
        known = sorted({*BUILT_IN, *registered.names})
        raise UnknownStrategy(
            f"there is no strategy {name!r}: use one of {', '.join(known)}, or install a package"
            f" with an entry point of the group {ENTRY_POINTS}"
        )
    return built_in


def _load(entry_point: metadata.EntryPoint) -> Strategy:
    described = f"the strategy {entry_point.name!r} ({entry_point.value})"
    return checked(loaded(entry_point.load, f"{described} cannot be loaded"), described)
