"""The fault switchboard: which made-up trouble, if any, a request runs into.

Decides only; api/fault_injection.py carries it out. Chance comes in from outside, so tests can repeat a run.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum

MAX_MS = 60_000


class FaultKind(StrEnum):
    DELAY = "delay"
    STATUS = "status"
    RESET = "reset"
    TIMEOUT_AFTER_COMMIT = "timeout_after_commit"
    STALE = "stale"
    RATE_LIMIT = "rate_limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """The part of a request that faults are matched on."""

    method: str
    path: str
    agent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Which requests a fault is for; what is left out matches everything."""

    method: str | None = None
    path_prefix: str | None = None
    agent_id: str | None = None

    def covers(self, target: Target) -> bool:
        return (
            self.method in (None, target.method)
            and self.agent_id in (None, target.agent_id)
            and target.path.startswith(self.path_prefix or "")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    match: Match = field(default_factory=Match)
    kind: FaultKind
    ms: int | None = None
    status: int | None = None
    probability: float = 1.0
    times: int | None = None

    def concerns(self, target: Target) -> bool:
        # A stale write would be no write at all; only reads can be stale.
        readable = self.kind is not FaultKind.STALE or target.method == "GET"
        return readable and self.match.covers(target)


@dataclass(slots=True, kw_only=True)
class Installed:
    """A fault and how often it has struck."""

    fault: Fault
    hits: int = 0

    @property
    def is_spent(self) -> bool:
        return self.fault.times is not None and self.hits >= self.fault.times


class Switchboard:
    """The faults in force, in order."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self.installed: tuple[Installed, ...] = ()

    def replace(self, faults: Sequence[Fault]) -> None:
        self.installed = tuple(Installed(fault=fault) for fault in faults)

    def strike(self, target: Target) -> tuple[Fault, ...]:
        """The faults this request meets: delays add up, the first other kind ends the row."""
        struck: list[Fault] = []
        for item in self.installed:
            if item.is_spent or not item.fault.concerns(target):
                continue
            if self._chance() >= item.fault.probability:
                continue
            item.hits += 1
            struck.append(item.fault)
            if item.fault.kind is not FaultKind.DELAY:
                break
        return tuple(struck)
