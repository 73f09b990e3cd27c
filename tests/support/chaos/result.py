"""The figures of a chaos run."""

from collections import Counter
from dataclasses import dataclass, field, fields

from support.chaos.books import Violation
from support.chaos.plan import Plan


@dataclass
class Result:
    """The figures of a run."""

    plan: Plan
    operations: int = 0
    orders: int = 0
    fills: int = 0
    escrows: int = 0
    requests: int = 0
    simulated_s: float = 0.0
    real_s: float = 0.0
    faults: Counter[str] = field(default_factory=Counter)
    events: Counter[str] = field(default_factory=Counter)
    outcomes: Counter[str] = field(default_factory=Counter)
    checks: Counter[str] = field(default_factory=Counter)
    violations: list[Violation] = field(default_factory=list)
    slowest_halt_s: float = 0.0

    def add(self, other: "Result") -> None:
        """Add the figures of another group of agents, which ran beside this one."""
        for item in fields(self):
            value, more = getattr(self, item.name), getattr(other, item.name)
            if item.name in ("simulated_s", "slowest_halt_s", "real_s"):
                setattr(self, item.name, max(value, more))
            elif item.name != "plan":
                setattr(self, item.name, value + more)

    @property
    def found(self) -> set[str]:
        """Names of the invariants that did not hold."""
        return {violation.invariant for violation in self.violations}
