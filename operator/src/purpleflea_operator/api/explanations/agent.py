"""The explanations of all reasons of a PurpleFleaAgent."""

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.explanations import fleet, telemetry, workload
from purpleflea_operator.api.reasons import Explanations, Reason, Severity

WITHOUT_EVENTS = frozenset({ConditionType.READY, ConditionType.PROGRESSING})
"""Conditions that repeat the reasons of other conditions, so their transitions post no Events."""

AGENT_REASONS = Explanations(
    (
        *workload.SUMMARY,
        *workload.SPEC,
        *workload.AVAILABLE,
        *workload.PROGRESS,
        *workload.PROBLEMS,
        *telemetry.INSTALLED,
        *telemetry.TELEMETRY,
        *fleet.TRADING,
        *fleet.IDENTITY,
        *fleet.STORAGE,
        *fleet.BUDGET,
        *fleet.POSITIONS,
    )
)
TERMINAL = frozenset(item.reason for item in AGENT_REASONS.items if item.is_terminal)
"""Problems of pods that persist until a user acts."""
APPLIED = frozenset({Reason.COMPLETE, Reason.OPERATOR_UPGRADE})
"""Reasons of Progressing that show that all children of the reported generation were written."""
IN_PROGRESS = AGENT_REASONS.with_severity(Severity.IN_PROGRESS)
"""Reasons of a rollout that proceeds as expected."""
