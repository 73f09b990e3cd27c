"""CEL rules for dependencies between fields of the spec. The API server checks them at every write.

The CRD has no defaults for most fields, because every object would store and send them. Therefore a rule uses the
default of the model if a field is not set. A rule between fields of a single class is defined at that class. Amounts
are decimal strings, which CEL compares as quantities.
"""

import json
from typing import Any

from pydantic import BaseModel, JsonValue

from purpleflea_contract import cardinality
from purpleflea_contract.cardinality import Share
from purpleflea_operator.api.types import rule

FLATTEN_GRACE_S = 20
"""Half of the grace period is for closing positions, and 10 s are needed to cancel orders, sell and confirm."""


def within_limits(requests: str, limits: str, field: str) -> dict[str, JsonValue]:
    """Return the rule that requests do not exceed limits. Both are CEL expressions, and `field` is the path."""
    request, limit = f"quantity(string({requests}[name]))", f"quantity(string({limits}[name]))"
    return rule(
        f"{requests}.all(name, !(name in {limits}) || {request}.compareTo({limit}) <= 0)",
        "a request must not be larger than the limit of the same name; reduce the request or raise the limit",
        fieldPath=field,
    )


class _Spec:
    """CEL expressions for fields of the spec, from the defaults of a model."""

    def __init__(self, model: type[BaseModel]) -> None:
        self._model = model

    def value(self, path: str) -> str:
        """Return the expression for a field below an optional object; its default if the field is not set."""
        return f"({_is_set(path)} ? self.{path} : {json.dumps(self.default(path))})"

    def default(self, path: str) -> Any:
        """Return the default of a field."""
        group, *names = path.split(".")
        default: Any = self._model.model_fields[group].default.model_dump(by_alias=True)
        for name in names:
            default = default[name]
        return default


def _is_set(path: str) -> str:
    """Return the expression for the presence of a field. CEL's optional values cannot replace it, because the API
    server estimates the cost of a rule from the bounds of a field, and an optional value has none."""
    names = path.split(".")
    parents = (".".join(names[: end + 1]) for end in range(len(names)))
    return f"({' && '.join(f'has(self.{parent})' for parent in parents)})"


def _is_true(path: str) -> str:
    """Return the expression for a flag that is set and true. Its default is false."""
    return f"({_is_set(path)} && self.{path})"


def _within_budget(spec: _Spec) -> dict[str, JsonValue]:
    """Return the rule for the budget of custom metrics. The operator makes the same estimate in `metrics_budget`."""
    markets = "size(self.markets)"

    def share(of: Share) -> str:
        return f"{of.fixed} + {of.per_market} * {markets}"

    sent = (
        f"({spec.value('datadog.legacyHistograms')} ? {share(cardinality.SENT_AS_HISTOGRAMS)}"
        f" : {share(cardinality.SENT)})"
    )
    more = " + ".join(
        f"({spec.value(f'datadog.{switch}')} ? {share(of)} : 0)"
        for switch, of in (
            ("apm.runtimeMetrics", cardinality.RUNTIME),
            ("check.enabled", cardinality.CHECK),
            ("openMetrics.enabled", cardinality.OPEN_METRICS),
        )
    )
    return rule(
        f"{spec.value('datadog.budgetPolicy')} == 'Warn' || !{_is_set('datadog.customMetricsBudget')}"
        f" || {spec.value('datadog.connection')} == 'Disabled'"
        f" || self.replicas * ({sent} + {more}) <= self.datadog.customMetricsBudget",
        "the agents would cost more custom metrics than datadog.customMetricsBudget; reduce replicas or markets, or "
        "raise the budget",
        fieldPath=".datadog.customMetricsBudget",
    )


def _between(spec: _Spec, path: str, least: str, most: str) -> dict[str, JsonValue]:
    """Return the rule that a duration is in a range."""
    value = spec.value(path)
    group, name = path.split(".")
    default = spec.default(path)
    return rule(
        f"duration({value}) >= duration('{least}') && duration({value}) <= duration('{most}')",
        f"{group}.{name} must be between {least} and {most}; set a duration such as {default}",
        fieldPath=f".{path}",
    )


def spec_rules(model: type[BaseModel]) -> list[JsonValue]:
    """Return the rules of a PurpleFleaAgent's spec; `model` has the fields and their defaults."""
    spec = _Spec(model)
    below_usd = spec.value("faucet.belowUsd")
    account, own_account = _is_set("pod.serviceAccountName"), _is_set("pod.serviceAccount")
    return [
        _between(spec, "trading.interval", "1s", "1h"),
        _between(spec, "trading.unknownOrderWindow", "1m", "12h"),
        _between(spec, "trading.maxCandleAge", "10s", "24h"),
        rule(
            f"quantity({spec.value('trading.maxPriceJump')}).isGreaterThan(quantity('1'))",
            "trading.maxPriceJump must be greater than 1; set a factor such as 3",
            fieldPath=".trading.maxPriceJump",
        ),
        rule(
            f"quantity({spec.value('trading.orderSize')}).isGreaterThan(quantity('0'))",
            "trading.orderSize must be greater than 0; to stop trading, set trading.mode to Halted",
            fieldPath=".trading.orderSize",
        ),
        rule(
            f"!{spec.value('faucet.autoClaim')} || "
            f"quantity({below_usd}).compareTo(quantity({spec.value('risk.minBalanceUsd')})) >= 0",
            "faucet.belowUsd must not be less than risk.minBalanceUsd, because an agent with a balance between the "
            "two would neither trade nor claim; raise faucet.belowUsd or set faucet.autoClaim to false",
            fieldPath=".faucet.belowUsd",
        ),
        rule(
            f"!{spec.value('trading.flattenOnStop')} || "
            f"{spec.value('pod.terminationGracePeriodSeconds')} >= {FLATTEN_GRACE_S}",
            f"trading.flattenOnStop needs a pod.terminationGracePeriodSeconds of at least {FLATTEN_GRACE_S}, because "
            "half of it is for closing positions; raise it, or set trading.flattenOnStop to false",
            fieldPath=".pod.terminationGracePeriodSeconds",
        ),
        rule(
            f"!({account} && {own_account})",
            "set pod.serviceAccountName or pod.serviceAccount, not both",
            fieldPath=".pod.serviceAccountName",
        ),
        rule(
            f"!{spec.value('pod.automountServiceAccountToken')} || {account} || {own_account}",
            "pod.automountServiceAccountToken needs pod.serviceAccountName or pod.serviceAccount; set one of them",
            fieldPath=".pod.automountServiceAccountToken",
        ),
        # Size and class may be changed, because a user must be able to revert a value that the storage class rejects.
        rule(
            "!has(oldSelf.storage) || has(self.storage)",
            "storage cannot be removed, because the journals on its volumes record orders whose outcome is still "
            "open; to run without storage, delete the agent and create it again with storage.ephemeral: true",
            fieldPath=".storage",
        ),
        rule(
            f"!has(oldSelf.storage) || !{_is_set('storage')} || !{_is_true('storage.ephemeral')} || "
            "(has(oldSelf.storage.ephemeral) && oldSelf.storage.ephemeral)",
            "storage.ephemeral can be set only when the agent is created, because the journals on the volumes record "
            "orders whose outcome is still open; delete the agent and create it again",
            fieldPath=".storage.ephemeral",
        ),
        within_limits(
            spec.value("pod.resources.requests"),
            spec.value("pod.resources.limits"),
            ".pod.resources.requests",
        ),
        _within_budget(spec),
    ]
