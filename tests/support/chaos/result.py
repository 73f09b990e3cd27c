"""The figures of a chaos run."""

from collections import Counter
from dataclasses import dataclass, field

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

    @property
    def found(self) -> set[str]:
        """Names of the invariants that did not hold."""
        return {violation.invariant for violation in self.violations}
