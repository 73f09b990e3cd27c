"""Line charts with logarithmic axes as SVG. Pure.

The charts are three pictures of a few points, so they do not justify a plotting library in the locked requirements.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

Points = Sequence[tuple[float, float]]
WIDTH, HEIGHT = 720, 420
LEFT, RIGHT, TOP, BOTTOM = 70, 170, 46, 56
COLORS = ("#0b62a4", "#c8501e", "#3a7d34", "#7a4f9a", "#8a6d00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """A logarithmic axis from 10^low to 10^high, over pixels."""

    low: float
    high: float
    first: float
    last: float

    @classmethod
    def over(cls, values: Sequence[float], first: float, last: float) -> "Axis":
        """Return an axis that contains the values, which must be positive, with some space around them."""
        logs = [math.log10(value) for value in values]
        low, high = min(logs), max(logs)
        margin = max(0.08 * (high - low), 0.1)
        return cls(low=low - margin, high=high + margin, first=first, last=last)

    def at(self, value: float) -> float:
        """Return the pixel of a value."""
        share = (math.log10(value) - self.low) / (self.high - self.low)
        return self.first + share * (self.last - self.first)

    def ticks(self) -> list[float]:
        """Return 1, 2 and 5 times each power of ten on the axis; only the powers if that would be more than 8."""
        powers = range(math.floor(self.low), math.ceil(self.high) + 1)
        for factors in ((1, 2, 5), (1,)):
            found = [factor * 10.0**power for power in powers for factor in factors]
            ticks = [value for value in found if self.low <= math.log10(value) <= self.high]
            if len(ticks) <= 8:
                break
        return ticks


def chart(title: str, x_label: str, y_label: str, series: Mapping[str, Points]) -> str:
    """Return the chart. Points whose coordinates are not positive are omitted."""
    shown = {
        name: kept
        for name, points in series.items()
        if (kept := sorted((x, y) for x, y in points if x > 0 and y > 0))
    }
    values = [point for points in shown.values() for point in points]
    if not values:
        raise ValueError(f"the chart {title!r} has no points")
    x = Axis.over([item for item, _ in values], LEFT, WIDTH - RIGHT)
    y = Axis.over([item for _, item in values], HEIGHT - BOTTOM, TOP)
    body = [
        _text((LEFT, 24), title, size=15, weight="bold"),
        *_grid(x, y),
        _text(((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12), x_label, anchor="middle"),
        _text((14, TOP - 8), y_label),
    ]
    for number, (name, points) in enumerate(shown.items()):
        body += _line(name, [(x.at(a), y.at(b)) for a, b in points], number)
    head = (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12">'
    )
    background = f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>'
    return "\n".join([head, background, *body, "</svg>"]) + "\n"


def _grid(x: Axis, y: Axis) -> list[str]:
    lines = []
    for value in x.ticks():
        at = x.at(value)
        lines.append(_rule((at, TOP), (at, HEIGHT - BOTTOM)))
        lines.append(_text((at, HEIGHT - BOTTOM + 18), f"{value:,.10g}", anchor="middle"))
    for value in y.ticks():
        at = y.at(value)
        lines.append(_rule((LEFT, at), (WIDTH - RIGHT, at)))
        lines.append(_text((LEFT - 8, at + 4), f"{value:,.10g}", anchor="end"))
    return lines


def _line(name: str, points: Points, number: int) -> list[str]:
    color = COLORS[number % len(COLORS)]
    path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
    dots = [f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.5" fill="{color}"/>' for x, y in points]
    at = (WIDTH - RIGHT + 14, TOP + 16 + 20 * number)
    key = f'<rect x="{at[0]}" y="{at[1] - 9}" width="12" height="4" fill="{color}"/>'
    line = f'<polyline points="{path}" fill="none" stroke="{color}" stroke-width="2"/>'
    return [line, *dots, key, _text((at[0] + 18, at[1] - 3), name)]


def _rule(start: tuple[float, float], end: tuple[float, float]) -> str:
    return (
        f'<line x1="{start[0]:.1f}" y1="{start[1]:.1f}" x2="{end[0]:.1f}" y2="{end[1]:.1f}" '
        'stroke="#dddddd"/>'
    )


def _text(
    at: tuple[float, float],
    text: str,
    *,
    anchor: str = "start",
    size: int = 12,
    weight: str = "normal",
) -> str:
    return (
        f'<text x="{at[0]:.1f}" y="{at[1]:.1f}" text-anchor="{anchor}" font-size="{size}" '
        f'font-weight="{weight}" fill="#222222">{escape(text)}</text>'
    )
