"""Values of a monitor's groups at one time. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass

from purpleflea_sandbox.datadog.evaluation.frames import Group


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """A value, and when the newest and the oldest point behind it came."""

    value: float | None
    newest: float
    oldest: float = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Readings:
    """All groups with data. `zero_when_missing`: a group without data counts as 0 (counts do, in Datadog)."""

    groups: Mapping[Group, Reading]
    zero_when_missing: bool = False
    by: tuple[str, ...] = ()
