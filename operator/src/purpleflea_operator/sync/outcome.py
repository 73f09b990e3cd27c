"""What came of one pass, for the report. A value without rules."""

from dataclasses import dataclass, field

from purpleflea_operator.reconcile.transitions import Transition


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a pass, for the report."""

    restored: list[str] = field(default_factory=list)
    remade: list[str] = field(default_factory=list)
    unanswered: list[str] = field(default_factory=list)
    deployed: list[Transition] = field(default_factory=list)
