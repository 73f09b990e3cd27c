"""Do the agents keep to their budget of custom metrics? Pure."""

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.controllers.agent.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.decisions.metrics_budget import estimated
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState


def within_budget(world: ObservedState) -> tuple[Finding, ...]:
    """The finding, where there is a budget to keep to."""
    budget = world.agent.spec.datadog.custom_metrics_budget if world.agent else None
    if world.agent is None or budget is None:
        return ()
    kind, spec = ConditionType.WITHIN_BUDGET, world.agent.spec
    found = estimated(spec)
    state = f"{found} custom metrics are to be expected of {spec.replicas} agents; the budget is {budget}"
    if found <= budget:
        return (finding(kind, "True", "WithinBudget", state),)
    remedy = "Fewer replicas or markets, or a larger spec.datadog.customMetricsBudget"
    return (finding(kind, "False", "BudgetExceeded", f"{state}. {remedy}"),)
