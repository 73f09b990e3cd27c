"""The live view in a terminal: equity, profit net of fees, positions and the last orders. It needs the package rich."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from rich.console import Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from purpleflea_agent.exchange.port import Order
from purpleflea_agent.paper import report
from purpleflea_agent.paper.history import History
from purpleflea_agent.paper.session import Update

ORDERS_SHOWN = 8
STATUS_STYLES = {"filled": "green", "rejected": "red", "cancelled": "yellow", "open": "cyan"}


@contextmanager
def opened(title: str) -> Iterator[Update]:
    """Show the view until the context ends."""
    with Live(Text("Starting"), refresh_per_second=4) as live:
        yield lambda history: live.update(screen(history, title))


def screen(history: History, title: str) -> RenderableType:
    """Return the whole view."""
    return Panel(
        Group(
            _figures(history),
            Text(),
            _positions(history),
            Text(),
            _orders(history),
            *(Text(note, style="yellow") for note in report.notes(history)),
        ),
        title=f"[bold]{title}[/bold]",
        subtitle="Ctrl-C ends the run and writes the report",
    )


def _figures(history: History) -> Table:
    table = Table.grid(padding=(0, 3), expand=True)
    equity = history.last.equity_usd if history.last else history.exchange.deposit_usd
    cells = (
        ("Equity", f"{equity:,.2f} USD", "bold"),
        ("P&L net of fees", report.signed(history.net_pnl_usd), _sign_style(history.net_pnl_usd)),
        ("Fees", f"{history.fees_usd:,.2f} USD", ""),
        ("Largest drawdown", f"{history.drawdown.largest_pct:.2f} %", ""),
        ("Trades", f"{len(history.trades):,}", ""),
    )
    table.add_row(*(Text(name, style="dim") for name, _, _ in cells))
    table.add_row(*(Text(value, style=style) for _, value, style in cells))
    return table


def _positions(history: History) -> Table:
    table = Table("Position", title_justify="left", expand=True, box=None, header_style="dim")
    for name in ("Price", "Size", "Unrealized", "Realized"):
        table.add_column(name, justify="right")
    for market, price in sorted((history.last.prices if history.last else {}).items()):
        held = history.exchange.books.holdings.get(market)
        unrealized = held.unrealized_pnl_usd(price) if held else Decimal(0)
        realized = held.realized_pnl_usd if held else Decimal(0)
        table.add_row(
            market,
            f"{price:,f}",
            f"{held.size:+f}" if held and held.size else "none",
            Text(report.signed(unrealized), style=_sign_style(unrealized)),
            Text(report.signed(realized), style=_sign_style(realized)),
        )
    return table


def _orders(history: History) -> Table:
    table = Table("Order", "Market", "Side", expand=True, box=None, header_style="dim")
    for name in ("Size", "Price", "Fee", "Status"):
        table.add_column(name, justify="right")
    for order in reversed(history.exchange.orders[-ORDERS_SHOWN:]):
        table.add_row(*_order_cells(order))
    if not history.exchange.orders:
        table.add_row("none yet")
    return table


def _order_cells(order: Order) -> tuple[RenderableType, ...]:
    return (
        order.order_id,
        order.market,
        Text(order.side, style="green" if order.side == "buy" else "red"),
        f"{order.size:f}",
        "" if order.price is None else f"{order.price:,.2f}",
        f"{order.fee_usd:,.2f}",
        Text(order.status.value, style=STATUS_STYLES[order.status.value]),
    )


def _sign_style(value: Decimal) -> str:
    return "red" if value < 0 else "green" if value > 0 else ""
