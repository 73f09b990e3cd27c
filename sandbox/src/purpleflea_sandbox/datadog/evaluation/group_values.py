"""Values of a monitor's groups at one time. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from purpleflea_sandbox.datadog.evaluation.time_grid import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupValue:
    """A value, and the times of the newest and the oldest point behind it."""

    value: float | None
    newest: float
    oldest: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupValues:
    """All groups with data. If `zero_when_missing` is set, a group without data counts as 0 (as counts do in
    Datadog).
    """

    groups: Mapping[Group, GroupValue]
    zero_when_missing: bool = False
    by: tuple[str, ...] = ()
