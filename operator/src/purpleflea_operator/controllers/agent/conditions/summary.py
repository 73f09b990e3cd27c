"""The world -> findings: one per condition, with reason, message and what to do next. Pure."""

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.controllers.agent.conditions.duplicate_identity import duplicate_identity
from purpleflea_operator.controllers.agent.conditions.finding import Check, Finding, finding
from purpleflea_operator.controllers.agent.conditions.progressing import progressing
from purpleflea_operator.controllers.agent.conditions.spec_valid import spec_valid
from purpleflea_operator.controllers.agent.conditions.storage_ready import storage_ready
from purpleflea_operator.controllers.agent.conditions.telemetry import (
    datadog_installed,
    telemetry_ready,
)
from purpleflea_operator.controllers.agent.conditions.trading_active import trading_active
from purpleflea_operator.controllers.agent.conditions.within_budget import within_budget
from purpleflea_operator.controllers.agent.conditions.workload_available import workload_available
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState


def summary(findings: tuple[Finding, ...]) -> Finding:
    """Can all identities do their work? Telemetry is a matter of its own: whenMissing is Warn."""
    for item in findings:
        decisive = item.type in (ConditionType.SPEC_VALID, ConditionType.WORKLOAD_AVAILABLE)
        if decisive and item.status != "True":
            return finding(ConditionType.READY, "False", item.reason, item.message)
        if item.type is ConditionType.DUPLICATE_IDENTITY and item.reason == "NotStarted":
            return finding(ConditionType.READY, "False", "DuplicateIdentity", item.message)
    return finding(ConditionType.READY, "True", "Ready", "all agents are ready")


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


def findings(world: ObservedState) -> tuple[Finding, ...]:
    """The outcome of all checks, the summary first."""
    found = tuple(check(world) for check in CHECKS)
    return (summary(found), *found, *within_budget(world))
