"""Strategies: from closing prices to the strength and direction of a signal. Pure.

To add a strategy, write a function and add it to BUILT_IN, or install a package with an entry point of the group
`purpleflea.strategies` whose function has the same signature. sizing decides how much is traded on a signal.
"""

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal, localcontext
from importlib import import_module, metadata

ENTRY_POINTS = "purpleflea.strategies"
POINTS = 10
"""Number of prices that a signal uses."""

Strategy = Callable[[Sequence[Decimal]], Decimal]
"""Positive if the price should rise, negative if it should fall, zero for no signal. A fraction of the price."""


class UnknownStrategy(Exception):  # noqa: N818 - the name states the meaning
    """No strategy has this name, or it cannot be loaded; the text lists the names, or has the error."""


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


def from_path(path: str) -> Strategy:
    """Return the function of a path such as `package.module:function`, for a run outside of Kubernetes.

    Raises:
        UnknownStrategy: The module cannot be imported, or has no such function.
    """
    module_name, _, name = path.partition(":")
    if not module_name or not name:
        raise UnknownStrategy(f"the strategy {path!r} is not a path: write it as module:function")
    try:
        with localcontext():  # the module may change precision and traps, and limits need theirs
            strategy = getattr(import_module(module_name), name, None)
    except KeyboardInterrupt:
        raise
    except BaseException as error:  # code of the user may raise anything, and may call sys.exit
        raise UnknownStrategy(
            f"the module of the strategy {path!r} cannot be imported: {type(error).__name__}: {error}"
        ) from error
    if not callable(strategy):
        raise UnknownStrategy(
            f"the module {module_name!r} has no function {name!r}: define it, or correct the path"
        )
    function: Strategy = strategy
    return function


def _load(entry_point: metadata.EntryPoint) -> Strategy:
    try:
        with localcontext():  # as above
            strategy: Strategy = entry_point.load()
    except KeyboardInterrupt:
        raise
    except (
        BaseException
    ) as error:  # code of another package may raise anything, and may call sys.exit
        raise UnknownStrategy(
            f"the strategy {entry_point.name!r} ({entry_point.value}) cannot be loaded:"
            f" {type(error).__name__}: {error}"
        ) from error
    if not callable(strategy):
        raise UnknownStrategy(
            f"the strategy {entry_point.name!r} ({entry_point.value}) is not a function: correct the entry point"
        )
    return strategy
