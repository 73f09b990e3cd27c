"""Pure: spec of a PurpleFleaObservability -> parameters of the catalogue, and the address of Datadog."""

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

INSIDE = re.compile(
    r"^http://(localhost|127\.0\.0\.1|[a-z0-9-]+(\.[a-z0-9-]+)?\.svc(\.cluster\.local)?)(:\d+)?(/.*)?$"
)


def parameters(spec: ObservabilitySpec) -> Parameters:
    """What the catalogue needs to know."""
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
            # The others are read from the organisation: see bodies.
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
    told = spec.notifications
    return Notifications(
        paging=tuple(target(text) for text in told.paging),
        trading=tuple(target(text) for text in told.trading),
        infrastructure=tuple(target(text) for text in told.infrastructure),
    )


def target(text: str) -> Target:
    """The notification target that a text such as slack:account/channel names. The model has checked its form."""
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
    """Base URL of the API, as the spec has it."""
    return f"https://api.{spec.site}" if spec.url is None else spec.url.rstrip("/")


def api_url(spec: ObservabilitySpec, allowed: Collection[str]) -> str:
    """Base URL of the API that keys may be sent to; `allowed` are the URLs other than Datadog's own.

    Raises:
        ValueError: Keys would go to a stranger, or travel in the open.
    """
    if spec.url is None:
        return address(spec)
    # The API server lets no such resource in, but its CRD may be older than the operator.
    if not spec.url.startswith("https://") and not (
        spec.allow_insecure_url and INSIDE.match(spec.url)
    ):
        raise ValueError(
            "spec.url must be https; with allowInsecureUrl also http, for loopback or a Service"
        )
    if address(spec) not in {url.rstrip("/") for url in allowed}:
        raise ValueError(
            "spec.url: the operator may not send keys there: add it to the chart value"
            " observability.urls, or leave it out for Datadog's own site"
        )
    return address(spec)


def page_url(spec: ObservabilitySpec) -> str:
    """Base URL of the web pages that links lead to."""
    if spec.url is not None:
        return spec.url.rstrip("/")
    # Sites of two labels have an app host; the others are the host.
    return f"https://app.{spec.site}" if spec.site.count(".") == 1 else f"https://{spec.site}"
