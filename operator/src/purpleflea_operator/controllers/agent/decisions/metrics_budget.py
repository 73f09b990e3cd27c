"""The expected number of custom metrics of one agent resource. Pure.

The contract defines the estimate per pod; `api.cel_rules` has the same rule in CEL.
"""

from purpleflea_contract.cardinality import Sending, per_agent
from purpleflea_operator.api.agent import AgentSpec


def estimated(spec: AgentSpec) -> int:
    """Return the number of custom metrics of all pods in normal operation."""
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
    """Return status.customMetrics."""
    budget = spec.datadog.custom_metrics_budget
    return {"estimated": estimated(spec), **({"budget": budget} if budget is not None else {})}
