"""Fault registry: selects the injected faults of a request.

This module only decides; api/fault_injection.py applies the faults. The random source is an
argument, so tests are reproducible.
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
class RequestTarget:
    """The fields of a request that faults match on."""

    method: str
    path: str
    agent_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FaultMatch:
    """Selects the requests of a fault; an omitted field matches everything."""

    method: str | None = None
    path_prefix: str | None = None
    agent_id: str | None = None

    def matches(self, target: RequestTarget) -> bool:
        return (
            self.method in (None, target.method)
            and self.agent_id in (None, target.agent_id)
            and target.path.startswith(self.path_prefix or "")
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    match: FaultMatch = field(default_factory=FaultMatch)
    kind: FaultKind
    ms: int | None = None
    status: int | None = None
    probability: float = 1.0
    times: int | None = None

    def applies_to(self, target: RequestTarget) -> bool:
        # Only reads can be stale, because a stale write would have no effect.
        readable = self.kind is not FaultKind.STALE or target.method == "GET"
        return readable and self.match.matches(target)


@dataclass(slots=True, kw_only=True)
class InstalledFault:
    """A fault and the number of requests it has affected."""

    fault: Fault
    hits: int = 0

    @property
    def is_spent(self) -> bool:
        return self.fault.times is not None and self.hits >= self.fault.times


class FaultRegistry:
    """The active faults, in sequence."""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self.installed: tuple[InstalledFault, ...] = ()

    def replace(self, faults: Sequence[Fault]) -> None:
        self.installed = tuple(InstalledFault(fault=fault) for fault in faults)

    def select(self, target: RequestTarget) -> tuple[Fault, ...]:
        """Return the faults of this request.

        Delays accumulate; the first fault of another kind ends the selection.
        """
        selected: list[Fault] = []
        for item in self.installed:
            if item.is_spent or not item.fault.applies_to(target):
                continue
            if self._chance() >= item.fault.probability:
                continue
            item.hits += 1
            selected.append(item.fault)
            if item.fault.kind is not FaultKind.DELAY:
                break
        return tuple(selected)
