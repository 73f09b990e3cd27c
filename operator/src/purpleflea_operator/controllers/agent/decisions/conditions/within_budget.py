"""WithinBudget: the expected number of custom metrics against the budget of the spec. Pure."""

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.decisions.metrics_budget import estimated
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState


def within_budget(observed: ObservedState) -> tuple[Finding, ...]:
    """Return WithinBudget if the spec has a budget, else nothing."""
    budget = observed.agent.spec.datadog.custom_metrics_budget if observed.agent else None
    if observed.agent is None or budget is None:
        return ()
    kind, spec = ConditionType.WITHIN_BUDGET, observed.agent.spec
    expected = estimated(spec)
    usage = f"{spec.replicas} agents are expected to send {expected} custom metrics, and the budget is {budget}"
    if expected <= budget:
        return (finding(kind, Reason.WITHIN_BUDGET, usage),)
    remedy = (
        "reduce the replicas or the markets, or raise the budget (spec.datadog.customMetricsBudget)"
    )
    return (finding(kind, Reason.BUDGET_EXCEEDED, f"{usage}; {remedy}"),)
