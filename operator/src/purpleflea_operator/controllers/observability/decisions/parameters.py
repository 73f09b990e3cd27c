"""Pure: spec of a PurpleFleaObservability -> parameters of the catalog, and the address of Datadog."""

import re
from collections.abc import Collection

from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.api.thresholds import FastBurn, SlowBurn, Thresholds
from purpleflea_operator.datadog.definitions.notification_targets import (
    Email,
    Incident,
    OnCall,
    PagerDuty,
    Slack,
    Target,
    Webhook,
)
from purpleflea_operator.datadog.definitions.parameters import (
    BurnRate,
    Feature,
    LogIndex,
    Notifications,
    Objective,
    Parameters,
    Rule,
)

INTERNAL_URL = re.compile(
    r"^http://(localhost|127\.0\.0\.1|[a-z0-9-]+(\.[a-z0-9-]+)?\.svc(\.cluster\.local)?)(:\d+)?(/.*)?$"
)
"""Addresses to which plain http is allowed: loopback and Services of the cluster."""


def parameters(spec: ObservabilitySpec) -> Parameters:
    """Return the parameters of the catalog."""
    thresholds = spec.thresholds
    return Parameters(
        env=spec.env,
        service=spec.service,
        team=spec.team,
        currency=spec.currency,
        runbooks_url=spec.runbooks_url.rstrip("/"),
        notifications=_notifications(spec),
        features=_features(spec),
        renotify_minutes=spec.renotify_minutes,
        objective=Objective(
            target=spec.objective.target,
            warning=spec.objective.warning,
            timeframe=spec.objective.timeframe,
        ),
        fast_burn=_burn(spec.objective.fast_burn),
        slow_burn=_burn(spec.objective.slow_burn),
        log_index=LogIndex(
            name=spec.log_index.name,
            retention_days=spec.log_index.retention_days,
            daily_limit=spec.log_index.daily_limit,
            # The other indexes are read from the organization: see `payloads.index_order`.
            others=(),
        ),
        **_rules(thresholds),
    )


def _rules(thresholds: Thresholds) -> dict[str, Rule]:
    return {
        name: Rule(**getattr(thresholds, name).model_dump())
        for name in type(thresholds).model_fields
    }


def _burn(burn: FastBurn | SlowBurn) -> BurnRate:
    return BurnRate(rate=burn.rate, long_window=burn.long_window, short_window=burn.short_window)


def _features(spec: ObservabilitySpec) -> frozenset[Feature]:
    chosen = spec.features.model_dump()
    return frozenset(feature for feature in Feature if chosen[feature.value])


def _notifications(spec: ObservabilitySpec) -> Notifications:
    notifications = spec.notifications
    return Notifications(
        paging=tuple(target(text) for text in notifications.paging),
        trading=tuple(target(text) for text in notifications.trading),
        infrastructure=tuple(target(text) for text in notifications.infrastructure),
    )


def target(text: str) -> Target:
    """Return the notification target of a text such as slack:account/channel. The CRD has validated its format."""
    kind, _, name = text.partition(":")
    account, _, channel = name.rpartition("/")
    match kind:
        case "slack":
            return Slack(channel=channel, account=account)
        case "pagerduty":
            return PagerDuty(service=name)
        case "webhook":
            return Webhook(name=name)
        case "oncall":
            return OnCall(team=name)
        case "incident":
            return Incident(name=name)
        case _:
            return Email(address=name)


def address(spec: ObservabilitySpec) -> str:
    """Return the base URL of the API as in the spec."""
    return f"https://api.{spec.site}" if spec.url is None else spec.url.rstrip("/")


def api_url(spec: ObservabilitySpec, allowed: Collection[str]) -> str:
    """Return the base URL of the API. `allowed` are the URLs, besides Datadog's own, to which keys may be sent.

    Raises:
        ValueError: The keys would be sent to an address that is not allowed, or unencrypted.
    """
    if spec.url is None:
        return address(spec)
    # The API server rejects such a resource, but the CRD may be older than the operator.
    if not spec.url.startswith("https://") and not (
        spec.allow_insecure_url and INTERNAL_URL.match(spec.url)
    ):
        raise ValueError(
            "spec.url must be https; http is allowed only with allowInsecureUrl,"
            " for loopback or a Service of the cluster"
        )
    if address(spec) not in {url.rstrip("/") for url in allowed}:
        raise ValueError(
            "spec.url: the operator may not send keys to this address; add it to the chart value"
            " observability.urls, or omit spec.url to use Datadog's own site"
        )
    return address(spec)


def page_url(spec: ObservabilitySpec) -> str:
    """Return the base URL of Datadog's web pages."""
    if spec.url is not None:
        return spec.url.rstrip("/")
    # Sites with two labels have the host app.<site>. All other sites are the host themselves.
    return f"https://app.{spec.site}" if spec.site.count(".") == 1 else f"https://{spec.site}"
