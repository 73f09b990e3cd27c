"""The parts of an agent that is made from a Deployment, and the report of each field. Pure."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class Fate(StrEnum):
    """Result for one field."""

    KEPT = "kept"
    CHANGED = "changed"
    DROPPED = "dropped"
    """Not needed, because the operator sets it."""
    LOST = "not carried over"
    """A user has to decide."""
    REQUIRED = "to fill in"


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One line of the report."""

    fate: Fate
    source: str
    result: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choices:
    """Values that a Deployment does not have, from the command line."""

    strategy: str = ""
    markets: tuple[str, ...] = ()
    key_secret: str = ""


@dataclass(slots=True)
class Draft:
    """The spec so far; `pod` and `datadog` become its groups."""

    spec: dict[str, Any] = field(default_factory=dict)
    pod: dict[str, Any] = field(default_factory=dict)
    datadog: dict[str, Any] = field(default_factory=dict)
    report: list[Change] = field(default_factory=list)

    def note(self, fate: Fate, source: str, result: str) -> None:
        """Add a line to the report."""
        self.report.append(Change(fate=fate, source=source, result=result))
