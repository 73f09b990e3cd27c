"""Lines of styled text, which a terminal shows with colors and everything else without. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Style = Literal["", "bold", "dim", "green", "yellow", "red", "cyan"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Text in one style."""

    text: str
    style: Style = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One line."""

    parts: tuple[Part, ...] = ()

    @property
    def plain(self) -> str:
        """The line without styles."""
        return "".join(part.text for part in self.parts).rstrip()


def line(*parts: str | Part) -> Line:
    """Return a line of texts and parts."""
    return Line(parts=tuple(Part(text=item) if isinstance(item, str) else item for item in parts))


def styled(text: str, style: Style) -> Part:
    """Return text in a style."""
    return Part(text=text, style=style)


def table(rows: Sequence[Sequence[str | Part]], gap: int = 3) -> list[Line]:
    """Return rows as lines with aligned columns."""
    cells = [[Part(text=cell) if isinstance(cell, str) else cell for cell in row] for row in rows]
    count = max((len(row) for row in cells), default=0)
    widths = [
        max((len(row[at].text) for row in cells if at < len(row)), default=0) for at in range(count)
    ]
    found = []
    for row in cells:
        parts: list[Part] = []
        for at, cell in enumerate(row):
            padding = "" if at == len(row) - 1 else " " * (widths[at] - len(cell.text) + gap)
            parts += [cell, Part(text=padding)] if padding else [cell]
        found.append(Line(parts=tuple(parts)))
    return found
