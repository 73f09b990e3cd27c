"""The result of a run: as text for the terminal, and as one page without scripts or external files. Pure."""

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from html import escape

from purpleflea_agent.paper.charts import Marker, line_chart
from purpleflea_agent.paper.exchange import Trade
from purpleflea_agent.paper.history import History

MAX_ROWS = 500
"""Trades in the table of the page; the newest are shown."""
MAX_MARKERS = 400

STYLE = """
:root { color-scheme: light dark; --ink: #1c2330; --soft: #5b6678; --line: #dfe4ec; --page: #ffffff; --panel: #f6f8fb;
  --accent: #2456c8; --up: #1a7f4b; --down: #b3261e; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6eaf2; --soft: #9aa6b8; --line: #313a49; --page: #12161d;
  --panel: #1a2029; --accent: #7ea6ff; --up: #56c98d; --down: #ff8a80; } }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 1040px; padding: 28px 24px 48px; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, sans-serif; font-variant-numeric: tabular-nums; }
h1 { font-size: 24px; margin: 0 0 2px; } h2 { font-size: 17px; margin: 32px 0 8px; }
p { margin: 0; color: var(--soft); }
.figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(170px, 1fr)); gap: 12px; margin: 22px 0 0; }
.figures div { background: var(--panel); border: 1px solid var(--line); border-radius: 8px; padding: 12px 14px; }
dt { color: var(--soft); font-size: 13px; } dd { margin: 2px 0 0; font-size: 20px; font-weight: 600; }
dd small { display: block; font-size: 13px; font-weight: 400; color: var(--soft); }
.up { color: var(--up); } .down { color: var(--down); }
svg { width: 100%; height: auto; display: block; }
.grid { stroke: var(--line); } .base { stroke: var(--soft); stroke-dasharray: 4 4; }
.line { fill: none; stroke: var(--accent); stroke-width: 1.6; stroke-linejoin: round; }
.axis { fill: var(--soft); font-size: 12px; }
polygon.buy { fill: var(--up); } polygon.sell { fill: var(--down); }
.scroll { overflow-x: auto; }
table { border-collapse: collapse; width: 100%; font-size: 14px; }
th, td { padding: 5px 10px; border-bottom: 1px solid var(--line); text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 500; } th:first-child, td:first-child, .left { text-align: left; }
.note { margin-top: 12px; border-left: 3px solid var(--down); padding-left: 10px; }
"""


def figures(history: History) -> list[tuple[str, str, str]]:
    """Return (name, value, detail) of each figure; the detail may be empty."""
    pnl = signed(history.net_pnl_usd)
    drawdown = history.drawdown
    rows = [
        ("P&L net of fees", pnl, f"{history.net_pnl_pct:+.2f} % of the deposit"),
        ("Realized", signed(history.realized_pnl_usd), "before fees"),
        ("Unrealized", signed(history.unrealized_pnl_usd), "open positions, before fees"),
        ("Fees", f"{history.fees_usd:,.2f} USD", ""),
        (
            "Largest drawdown",
            f"{drawdown.largest_pct:.2f} %",
            f"{drawdown.largest_usd:,.2f} USD below the peak",
        ),
        (
            "Trades",
            f"{len(history.trades):,}",
            f"{history.won:,} of {history.closing:,} closes won",
        ),
    ]
    for market in sorted(history.last.prices if history.last else ()):
        change = history.market_change_pct(market)
        if change is not None:
            rows.append((f"Price of {market}", f"{change:+.2f} %", "without any trade"))
    return rows


def notes(history: History) -> list[str]:
    """Return what the reader must know: refused orders, failed intervals and problems."""
    found = []
    if history.refusals:
        counts = ", ".join(f"{name} {count:,}" for name, count in history.refusals.most_common())
        found.append(f"Orders refused by limits: {counts}")
    failed = history.intervals - history.completed
    if failed > 0:
        found.append(f"Intervals not completed: {failed:,} of {history.intervals:,}")
    if history.last_problem is not None:
        found.append(f"Warnings: {history.problem_count:,}; the last: {history.last_problem}")
    return found


def signed(amount_usd: Decimal) -> str:
    """Return an amount with its sign, and without the sign of a rounded zero."""
    rounded = round(amount_usd, 2)
    return f"{rounded:+,.2f} USD" if rounded else "0.00 USD"


def text(history: History, title: str) -> str:
    """Return the report for a terminal."""
    lines = [f"{title}: {_course(history)}"]
    lines.extend(
        f"  {name:<18}{value:>18}  {detail}".rstrip() for name, value, detail in figures(history)
    )
    lines.extend(f"  {note}" for note in notes(history))
    return "\n".join(lines)


def page(history: History, title: str) -> str:
    """Return the report as an HTML document."""
    body = [
        f"<h1>{escape(title)}</h1>",
        f"<p>{escape(_course(history))}</p>",
        '<dl class="figures">',
        *(_figure(*row) for row in figures(history)),
        "</dl>",
        *(f'<p class="note">{escape(note)}</p>' for note in notes(history)),
        *_charts(history),
        *_table(history.trades),
    ]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{STYLE}</style>\n</head>\n<body>\n<main>\n"
        + "\n".join(body)
        + "\n</main>\n</body>\n</html>\n"
    )


def _course(history: History) -> str:
    if history.last is None:
        return "no interval was traded"
    first, last = history.points[0].at, history.last.at
    return f"{history.intervals:,} intervals from {_time(first)} to {_time(last)} UTC"


def _figure(name: str, value: str, detail: str) -> str:
    kind = ""
    if name == "P&L net of fees":
        kind = ' class="down"' if value.startswith("-") else ' class="up"'
    small = f"<small>{escape(detail)}</small>" if detail else ""
    return f"<div><dt>{escape(name)}</dt><dd{kind}>{escape(value)}{small}</dd></div>"


def _charts(history: History) -> list[str]:
    if not history.points or history.last is None:
        return []
    points = [*history.points, history.last]
    equity = [(point.at, float(point.equity_usd)) for point in points]
    deposit = float(history.exchange.deposit_usd)
    parts = [
        "<h2>Equity in USD, net of fees</h2>",
        line_chart(equity, label="Equity over time", baseline=deposit),
    ]
    for market in sorted(history.last.prices):
        prices = [(p.at, float(p.prices[market])) for p in points if market in p.prices]
        trades = [trade for trade in history.trades if trade.fill.market == market]
        heading = f"{market}: price and trades"
        if len(trades) > MAX_MARKERS:
            heading = f"{market}: price ({len(trades):,} trades are too many to draw)"
            trades = []
        chart = line_chart(
            prices, label=f"Price of {market}", markers=[_marked(trade) for trade in trades]
        )
        parts.extend((f"<h2>{escape(heading)}</h2>", chart))
    return parts


def _marked(trade: Trade) -> Marker:
    fill = trade.fill
    side = "buy" if fill.size > 0 else "sell"
    return Marker(
        at=trade.at,
        value=float(fill.price),
        is_buy=fill.size > 0,
        label=f"{side} {abs(fill.size):f} at {_price(fill.price)}, {_time(trade.at)}",
    )


def _table(trades: Sequence[Trade]) -> list[str]:
    if not trades:
        return []
    shown = trades[-MAX_ROWS:]
    heading = f"Trades (the last {MAX_ROWS})" if len(trades) > MAX_ROWS else "Trades"
    head = "<th>Time (UTC)</th><th class=left>Market</th><th class=left>Side</th><th>Size</th>"
    return [
        f'<h2>{heading}</h2>\n<div class="scroll"><table>\n<thead><tr>{head}',
        "<th>Price</th><th>Fee</th><th>Realized</th></tr></thead>\n<tbody>",
        *(_row(trade) for trade in reversed(shown)),
        "</tbody></table></div>",
    ]


def _row(trade: Trade) -> str:
    fill = trade.fill
    side = "buy" if fill.size > 0 else "sell"
    realized = f"{trade.realized_pnl_usd:+,.2f}" if trade.realized_pnl_usd else ""
    return (
        f"<tr><td>{_time(trade.at)}</td><td class=left>{escape(fill.market)}</td><td class=left>{side}</td>"
        f"<td>{abs(fill.size):f}</td><td>{_price(fill.price)}</td><td>{fill.fee_usd:,.2f}</td><td>{realized}</td></tr>"
    )


def _price(price: Decimal) -> str:
    return f"{price:,.2f}" if price >= 1 else f"{price:.8f}"


def _time(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%d %H:%M:%S")
