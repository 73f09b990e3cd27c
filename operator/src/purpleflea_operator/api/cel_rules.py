"""What must hold between fields of the spec, as CEL rules that the API server checks at every write.

Rules within one class stand at the class. Amounts are decimal strings, which CEL compares as quantities.
"""

from pydantic import JsonValue

from purpleflea_contract import cardinality
from purpleflea_contract.cardinality import Share
from purpleflea_operator.api.types import rule

FLATTEN_GRACE_S = 20
"""Half of the grace period is for closing positions; 10 s are needed for cancelling, selling and asking."""


def within_limits(resources: str, field: str) -> dict[str, JsonValue]:
    """Requests do not exceed limits; `resources` is the CEL expression, `field` the path."""
    request = f"quantity(string({resources}.requests[name]))"
    limit = f"quantity(string({resources}.limits[name]))"
    return rule(
        f"{resources}.requests.all(name, !(name in {resources}.limits) || "
        f"{request}.compareTo({limit}) <= 0)",
        "a request must not be larger than the limit of the same name",
        fieldPath=field,
    )


def _within_budget() -> dict[str, JsonValue]:
    """The estimate of reconcile.budget, said in CEL."""
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
        "the agents would cost more custom metrics than datadog.customMetricsBudget: fewer replicas or markets, or a "
        "larger budget",
        fieldPath=".datadog.customMetricsBudget",
    )


SPEC = (
    rule(
        "duration(self.trading.interval) >= duration('1s') && "
        "duration(self.trading.interval) <= duration('1h')",
        "trading.interval must be between 1s and 1h",
        fieldPath=".trading.interval",
    ),
    rule(
        "quantity(self.trading.orderSize).isGreaterThan(quantity('0'))",
        "trading.orderSize must be greater than 0; to stop trading set trading.mode to Halted",
        fieldPath=".trading.orderSize",
    ),
    rule(
        "!self.faucet.autoClaim || "
        "quantity(self.faucet.belowUsd).compareTo(quantity(self.risk.minBalanceUsd)) >= 0",
        "faucet.belowUsd must not be less than risk.minBalanceUsd: an agent between the two would neither trade nor "
        "claim; raise faucet.belowUsd or set faucet.autoClaim to false",
        fieldPath=".faucet.belowUsd",
    ),
    rule(
        "!self.trading.flattenOnStop || "
        f"self.pod.terminationGracePeriodSeconds >= {FLATTEN_GRACE_S}",
        f"trading.flattenOnStop needs a pod.terminationGracePeriodSeconds of at least {FLATTEN_GRACE_S}: half of it is "
        "for closing positions",
        fieldPath=".pod.terminationGracePeriodSeconds",
    ),
    rule(
        "!(has(self.pod.serviceAccountName) && has(self.pod.serviceAccount))",
        "set pod.serviceAccountName or pod.serviceAccount, not both",
        fieldPath=".pod.serviceAccountName",
    ),
    rule(
        "!self.pod.automountServiceAccountToken || has(self.pod.serviceAccountName) || has(self.pod.serviceAccount)",
        "pod.automountServiceAccountToken needs pod.serviceAccountName or pod.serviceAccount",
        fieldPath=".pod.automountServiceAccountToken",
    ),
    # Only this is for good: a volume's size and class may be taken back where the storage class refuses them.
    rule(
        "!has(oldSelf.storage) || has(self.storage)",
        "storage cannot be removed: the journals on it know the orders whose outcome is still open; to run without, "
        "delete the agent and make it anew",
        fieldPath=".storage",
    ),
    within_limits("self.pod.resources", ".pod.resources.requests"),
    _within_budget(),
)
