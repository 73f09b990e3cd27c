"""The port to what people defined: dashboards, monitors, objectives. As bodies of Datadog's API.

It does not know where they are kept: the stand-in's API has them, a test may give its own.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

Body = Mapping[str, Any]


class Definitions(Protocol):
    """What there is now."""

    def all_dashboards(self) -> Iterable[Body]:
        """Dashboards with their ids, the oldest first."""

    def all_monitors(self) -> Iterable[Body]:
        """Monitors with their ids."""

    def all_objectives(self) -> Mapping[str, Body]:
        """SLOs by id."""

    def webhooks(self) -> Mapping[str, str]:
        """Addresses of webhooks by name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """Definitions that are simply given."""

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
