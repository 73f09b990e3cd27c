"""Line charts as SVG, for a page without scripts. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from html import escape

WIDTH, HEIGHT = 960, 260
LEFT, RIGHT, TOP, BOTTOM = 76, 14, 12, 30
MAX_BUCKETS = 450
"""Each bucket keeps its smallest and its largest value, so that no peak is lost."""
GRID_LINES = 4
DAY_S = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Marker:
    """A trade on a chart."""

    at: float
    value: float
    is_buy: bool
    label: str


@dataclass(frozen=True, slots=True, kw_only=True)
class _Scale:
    first: float
    last: float
    low: float
    high: float

    def x(self, at: float) -> float:
        span = self.last - self.first or 1.0
        return LEFT + (at - self.first) / span * (WIDTH - LEFT - RIGHT)

    def y(self, value: float) -> float:
        return TOP + (self.high - value) / (self.high - self.low) * (HEIGHT - TOP - BOTTOM)


def line_chart(
    points: Sequence[tuple[float, float]],
    *,
    label: str,
    baseline: float | None = None,
    markers: Sequence[Marker] = (),
) -> str:
    """Return an SVG element; `points` are (seconds since the epoch, value), oldest first, at least one."""
    thinned = _thinned(points)
    values = [value for _, value in thinned] + [marker.value for marker in markers]
    scale = _scale(
        points[0][0], points[-1][0], [*values, *([] if baseline is None else [baseline])]
    )
    path = " ".join(f"{scale.x(at):.1f},{scale.y(value):.1f}" for at, value in thinned)
    parts = [
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">',
        *_grid(scale),
        *_times(scale),
    ]
    if baseline is not None:
        y = scale.y(baseline)
        parts.append(
            f'<line class="base" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
        )
    parts.append(f'<polyline class="line" points="{path}"/>')
    parts.extend(_marker(marker, scale) for marker in markers)
    parts.append("</svg>")
    return "\n".join(parts)


def _thinned(points: Sequence[tuple[float, float]]) -> Sequence[tuple[float, float]]:
    size = -(-len(points) // MAX_BUCKETS)
    if size <= 2:
        return points
    kept = [points[0]]
    for start in range(0, len(points), size):
        bucket = points[start : start + size]
        extremes = {min(bucket, key=lambda p: p[1]), max(bucket, key=lambda p: p[1])}
        kept.extend(sorted(extremes))
    return [*kept, points[-1]]


def _scale(first: float, last: float, values: Sequence[float]) -> _Scale:
    low, high = min(values), max(values)
    margin = (high - low) * 0.06 or abs(high) * 0.001 or 1.0
    return _Scale(first=first, last=last, low=low - margin, high=high + margin)


def _grid(scale: _Scale) -> list[str]:
    parts = []
    step = (scale.high - scale.low) / GRID_LINES
    digits = max(0, min(8, _digits(step)))
    for number in range(GRID_LINES + 1):
        value = scale.low + step * number
        y = scale.y(value)
        parts.append(
            f'<line class="grid" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text class="axis" x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{value:,.{digits}f}</text>'
        )
    return parts


def _digits(step: float) -> int:
    digits = 0
    while step < 2 and digits < 8:
        step *= 10
        digits += 1
    return digits


def _times(scale: _Scale) -> list[str]:
    form = "%Y-%m-%d" if scale.last - scale.first > 3 * DAY_S else "%m-%d %H:%M"
    if scale.last - scale.first < 600:
        form = "%H:%M:%S"
    parts = []
    for number, anchor in enumerate(("start", "middle", "middle", "middle", "end")):
        at = scale.first + (scale.last - scale.first) * number / 4
        text = datetime.fromtimestamp(at, UTC).strftime(form)
        parts.append(
            f'<text class="axis" x="{scale.x(at):.1f}" y="{HEIGHT - 8}" text-anchor="{anchor}">{text}</text>'
        )
        if scale.last == scale.first:
            break
    return parts


def _marker(marker: Marker, scale: _Scale) -> str:
    x, y = scale.x(marker.at), scale.y(marker.value)
    tip, base = (y + 3, y + 12) if marker.is_buy else (y - 3, y - 12)
    kind = "buy" if marker.is_buy else "sell"
    points = f"{x:.1f},{tip:.1f} {x - 5:.1f},{base:.1f} {x + 5:.1f},{base:.1f}"
    return (
        f'<polygon class="{kind}" points="{points}"><title>{escape(marker.label)}</title></polygon>'
    )
