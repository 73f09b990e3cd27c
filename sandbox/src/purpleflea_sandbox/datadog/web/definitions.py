"""Interface to the definitions that users created: dashboards, monitors and SLOs, in the format of Datadog's API.

It does not depend on their storage: the stand-in's API stores them, and a test may pass its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Body = Mapping[str, Any]


class Definitions(Protocol):
    """Current definitions."""

    def all_dashboards(self) -> Iterable[Body]:
        """Return dashboards with their ids, oldest first."""

    def all_monitors(self) -> Iterable[Body]:
        """Return monitors with their ids."""

    def all_objectives(self) -> Mapping[str, Body]:
        """Return SLOs by id."""

    def webhooks(self) -> Mapping[str, str]:
        """Return addresses of webhooks by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticDefinitions:
    """Definitions passed as values."""

    dashboards: list[Body] = field(default_factory=list)
    monitors: list[Body] = field(default_factory=list)
    objectives: dict[str, Body] = field(default_factory=dict)
    addresses: dict[str, str] = field(default_factory=dict)

    def all_dashboards(self) -> Iterable[Body]:
        return self.dashboards

    def all_monitors(self) -> Iterable[Body]:
        return self.monitors

    def all_objectives(self) -> Mapping[str, Body]:
        return self.objectives

    def webhooks(self) -> Mapping[str, str]:
        return self.addresses
