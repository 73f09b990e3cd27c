"""Strategies: from closing prices to the strength and direction of a signal. Pure.

Built-in ones are named here; others are entry points of the group `purpleflea.strategies`, each a function of the
same shape. How much to trade on a signal is sizing's business.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from importlib import metadata

ENTRY_POINTS = "purpleflea.strategies"
POINTS = 10
"""Prices that a signal looks back over."""

Strategy = Callable[[Sequence[Decimal]], Decimal]
"""Positive: the price should rise. Negative: fall. Zero: nothing to say. A fraction of the price."""


class UnknownStrategy(Exception):  # noqa: N818 - named by what it means
    """No strategy has this name, or it cannot be loaded; the text says which there are, or why not."""


def momentum(closes: Sequence[Decimal]) -> Decimal:
    """Rate of change over the last ten prices: what rises goes on rising."""
    if len(closes) < POINTS or not closes[-POINTS]:
        return Decimal(0)
    return (closes[-1] - closes[-POINTS]) / closes[-POINTS]


def mean_reversion(closes: Sequence[Decimal]) -> Decimal:
    """How far the price is below the mean of the last ten: what fell comes back."""
    if len(closes) < POINTS:
        return Decimal(0)
    mean = sum(closes[-POINTS:], Decimal(0)) / POINTS
    return (mean - closes[-1]) / mean if mean else Decimal(0)


BUILT_IN: Mapping[str, Strategy] = {"momentum": momentum, "mean_reversion": mean_reversion}


def find(name: str) -> Strategy:
    """The strategy of a name; an entry point goes before a built-in one."""
    registered = metadata.entry_points(group=ENTRY_POINTS)
    if name in registered.names:
        return _loaded(registered[name])
    # Kubernetes names allow no underscore, users write either.
    built_in = BUILT_IN.get(name.replace("-", "_"))
    if built_in is None:
        known = sorted({*BUILT_IN, *registered.names})
        raise UnknownStrategy(
            f"there is no strategy {name!r}: use one of {', '.join(known)}, or install a package"
            f" with an entry point of the group {ENTRY_POINTS}"
        )
    return built_in


def _loaded(entry_point: metadata.EntryPoint) -> Strategy:
    try:
        strategy: Strategy = entry_point.load()
    except Exception as error:  # the edge: it is somebody else's code
        raise UnknownStrategy(
            f"the strategy {entry_point.name!r} ({entry_point.value}) cannot be loaded:"
            f" {type(error).__name__}: {error}"
        ) from error
    return strategy
