"""CEL rules for dependencies between fields of the spec. The API server checks them at every write.

A rule between fields of a single class is defined at that class. Amounts are decimal strings, which CEL compares as
quantities.
"""

from pydantic import JsonValue

from purpleflea_contract import cardinality
from purpleflea_contract.cardinality import Share
from purpleflea_operator.api.types import rule

FLATTEN_GRACE_S = 20
"""Half of the grace period is for closing positions, and 10 s are needed to cancel orders, sell and confirm."""


def within_limits(resources: str, field: str) -> dict[str, JsonValue]:
    """Return the rule that requests do not exceed limits; `resources` is a CEL expression, `field` is the path."""
    request = f"quantity(string({resources}.requests[name]))"
    limit = f"quantity(string({resources}.limits[name]))"
    return rule(
        f"{resources}.requests.all(name, !(name in {resources}.limits) || "
        f"{request}.compareTo({limit}) <= 0)",
        "a request must not be larger than the limit of the same name; reduce the request or raise the limit",
        fieldPath=field,
    )


def _within_budget() -> dict[str, JsonValue]:
    """Return the rule for the budget of custom metrics. The operator makes the same estimate in `metrics_budget`."""
    markets, datadog = "size(self.markets)", "self.datadog"

    def share(of: Share) -> str:
        return f"{of.fixed} + {of.per_market} * {markets}"

    sent = (
        f"({datadog}.legacyHistograms ? {share(cardinality.SENT_AS_HISTOGRAMS)}"
        f" : {share(cardinality.SENT)})"
    )
    more = " + ".join(
        f"({datadog}.{switch} ? {share(of)} : 0)"
        for switch, of in (
            ("apm.runtimeMetrics", cardinality.RUNTIME),
            ("check.enabled", cardinality.CHECK),
            ("openMetrics.enabled", cardinality.OPEN_METRICS),
        )
    )
    return rule(
        f"{datadog}.budgetPolicy == 'Warn' || !has({datadog}.customMetricsBudget)"
        f" || {datadog}.connection == 'Disabled'"
        f" || self.replicas * ({sent} + {more}) <= {datadog}.customMetricsBudget",
        "the agents would cost more custom metrics than datadog.customMetricsBudget; reduce replicas or markets, or "
        "raise the budget",
        fieldPath=".datadog.customMetricsBudget",
    )


SPEC = (
    rule(
        "duration(self.trading.interval) >= duration('1s') && "
        "duration(self.trading.interval) <= duration('1h')",
        "trading.interval must be between 1s and 1h; set a duration such as 15s",
        fieldPath=".trading.interval",
    ),
    rule(
        "quantity(self.trading.orderSize).isGreaterThan(quantity('0'))",
        "trading.orderSize must be greater than 0; to stop trading, set trading.mode to Halted",
        fieldPath=".trading.orderSize",
    ),
    rule(
        "!self.faucet.autoClaim || "
        "quantity(self.faucet.belowUsd).compareTo(quantity(self.risk.minBalanceUsd)) >= 0",
        "faucet.belowUsd must not be less than risk.minBalanceUsd, because an agent with a balance between the two "
        "would neither trade nor claim; raise faucet.belowUsd or set faucet.autoClaim to false",
        fieldPath=".faucet.belowUsd",
    ),
    rule(
        "!self.trading.flattenOnStop || "
        f"self.pod.terminationGracePeriodSeconds >= {FLATTEN_GRACE_S}",
        f"trading.flattenOnStop needs a pod.terminationGracePeriodSeconds of at least {FLATTEN_GRACE_S}, because half "
        "of it is for closing positions; raise it, or set trading.flattenOnStop to false",
        fieldPath=".pod.terminationGracePeriodSeconds",
    ),
    rule(
        "!(has(self.pod.serviceAccountName) && has(self.pod.serviceAccount))",
        "set pod.serviceAccountName or pod.serviceAccount, not both",
        fieldPath=".pod.serviceAccountName",
    ),
    rule(
        "!self.pod.automountServiceAccountToken || has(self.pod.serviceAccountName) || has(self.pod.serviceAccount)",
        "pod.automountServiceAccountToken needs pod.serviceAccountName or pod.serviceAccount; set one of them",
        fieldPath=".pod.automountServiceAccountToken",
    ),
    # Size and class may be changed, because a user must be able to revert a value that the storage class rejects.
    rule(
        "!has(oldSelf.storage) || has(self.storage)",
        "storage cannot be removed, because the journals on its volumes record orders whose outcome is still open; to "
        "run without storage, delete the agent and create it again",
        fieldPath=".storage",
    ),
    within_limits("self.pod.resources", ".pod.resources.requests"),
    _within_budget(),
)
