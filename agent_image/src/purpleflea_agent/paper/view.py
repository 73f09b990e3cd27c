"""The view of a running session: live with the optional package rich on a terminal, else one line per interval."""

import importlib.util
import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from purpleflea_agent.paper import report
from purpleflea_agent.paper.history import History
from purpleflea_agent.paper.session import Update


def opened(title: str, *, is_plain: bool) -> AbstractContextManager[Update]:
    """Return a view that is shown until the context ends."""
    if is_plain or not sys.stdout.isatty() or importlib.util.find_spec("rich") is None:
        return _lines()
    from purpleflea_agent.paper import terminal

    return terminal.opened(title)


@contextmanager
def _lines() -> Iterator[Update]:
    shown = 0

    def update(history: History) -> None:
        nonlocal shown
        if history.intervals > shown:
            shown = history.intervals
            sys.stdout.write(f"{line(history)}\n")
            sys.stdout.flush()

    yield update


def line(history: History) -> str:
    """Return the state of a run in one line."""
    equity = history.last.equity_usd if history.last else history.exchange.deposit_usd
    held = ", ".join(
        f"{market} {holding.size:+f}"
        for market, holding in sorted(history.exchange.books.holdings.items())
        if holding.size
    )
    problems = f"  warnings {history.problem_count}" if history.problem_count else ""
    return (
        f"interval {history.intervals}  equity {equity:,.2f}  P&L net of fees {report.signed(history.net_pnl_usd)}"
        f"  trades {len(history.trades)}  positions {held or 'none'}{problems}"
    )
