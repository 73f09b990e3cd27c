"""What the agents of a resource are to be expected to cost in custom metrics. Pure.

The estimate itself is the contract's; model.rules says the same in CEL.
"""

from purpleflea_contract.cardinality import Sending, per_agent
from purpleflea_operator.api.agent import AgentSpec


def estimated(spec: AgentSpec) -> int:
    """Custom metrics of all agents together, in ordinary operation."""
    datadog = spec.datadog
    if datadog.connection == "Disabled":
        return 0
    sending = Sending(
        markets=len(spec.markets),
        histograms=datadog.legacy_histograms,
        runtime=datadog.apm.runtime_metrics,
        check=datadog.check.enabled,
        open_metrics=datadog.open_metrics.enabled,
    )
    return spec.replicas * per_agent(sending)


def status(spec: AgentSpec) -> dict[str, int]:
    """status.customMetrics."""
    budget = spec.datadog.custom_metrics_budget
    return {"estimated": estimated(spec), **({"budget": budget} if budget is not None else {})}
