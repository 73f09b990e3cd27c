"""All conditions of an agent, with the summary Ready first. Pure."""

from collections.abc import Sequence

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions.conditions.duplicate_identity import (
    duplicate_identity,
)
from purpleflea_operator.controllers.agent.decisions.conditions.finding import (
    Check,
    Finding,
    finding,
)
from purpleflea_operator.controllers.agent.decisions.conditions.positions_consistent import (
    positions_consistent,
)
from purpleflea_operator.controllers.agent.decisions.conditions.progressing import progressing
from purpleflea_operator.controllers.agent.decisions.conditions.spec_valid import spec_valid
from purpleflea_operator.controllers.agent.decisions.conditions.storage_ready import storage_ready
from purpleflea_operator.controllers.agent.decisions.conditions.telemetry import (
    datadog_installed,
    telemetry_ready,
)
from purpleflea_operator.controllers.agent.decisions.conditions.trading_active import trading_active
from purpleflea_operator.controllers.agent.decisions.conditions.within_budget import within_budget
from purpleflea_operator.controllers.agent.decisions.conditions.workload_available import (
    workload_available,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState

_REQUIRED = (ConditionType.SPEC_VALID, ConditionType.WORKLOAD_AVAILABLE)


def summary(findings: Sequence[Finding]) -> Finding:
    """Return Ready. Telemetry does not count, because agents trade without it (whenMissing: Warn)."""
    for item in findings:
        if item.type in _REQUIRED and item.status != "True":
            return Finding(
                type=ConditionType.READY,
                status="False",
                reason=item.reason,
                message=item.message,
            )
        if item.type is ConditionType.DUPLICATE_IDENTITY and item.reason is Reason.NOT_STARTED:
            return finding(ConditionType.READY, Reason.DUPLICATE_IDENTITY, item.message)
    return finding(ConditionType.READY, Reason.READY, "all agents are ready")


CHECKS: tuple[Check, ...] = (
    spec_valid,
    workload_available,
    datadog_installed,
    telemetry_ready,
    trading_active,
    progressing,
    duplicate_identity,
    storage_ready,
)


def findings(observed: ObservedState) -> tuple[Finding, ...]:
    """Return the results of all checks, the summary first."""
    checked = tuple(check(observed) for check in CHECKS)
    optional = (*within_budget(observed), *positions_consistent(observed))
    return (summary(checked), *checked, *optional)
