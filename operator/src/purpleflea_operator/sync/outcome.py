"""What came of one pass, for the report. A value without rules."""

from dataclasses import dataclass, field

from purpleflea_operator.reconcile.transitions import Transition


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What came of a pass, for the report."""

    restored: list[str] = field(default_factory=list)
    remade: list[str] = field(default_factory=list)
    vanished: list[str] = field(default_factory=list)
    """All that was made, where nothing of it is there any more."""
    removed: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    """What is not wanted any more, and cannot be proven to be ours."""
    copies: list[str] = field(default_factory=list)
    """What carries our mark and was made by somebody else."""
    unanswered: list[str] = field(default_factory=list)
    pending: list[str] = field(default_factory=list)
    """Creates of an earlier pass that may still take effect."""
    deployed: list[Transition] = field(default_factory=list)
