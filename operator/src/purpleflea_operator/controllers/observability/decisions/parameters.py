"""Pure: spec of a PurpleFleaObservability -> parameters of the Datadog objects, and addresses of Datadog.

Fields of the spec and of the parameters with the same name have the same value, so a new threshold needs no change
here. The objects themselves are defined in `datadog.definitions`.
"""

import re
from collections.abc import Collection
from dataclasses import fields
from typing import Any

from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.datadog.definitions.parameters import Parameters, features, notifications

INTERNAL_URL = re.compile(
    r"^http://(localhost|127\.0\.0\.1|[a-z0-9-]+(\.[a-z0-9-]+)?\.svc(\.cluster\.local)?)(:\d+)?(/.*)?$"
)


def parameters(spec: ObservabilitySpec) -> Parameters:
    """Return the parameters that the spec chooses."""
    same: dict[str, Any] = {
        field.name: getattr(spec, field.name)
        for field in fields(Parameters)
        if field.name in ObservabilitySpec.model_fields
    }
    converted: dict[str, Any] = {
        "runbooks_url": spec.runbooks_url.rstrip("/"),
        "notifications": notifications(spec.notifications),
        "features": features(spec.features),
        # The controller reads the other indexes from the organization; see payloads.
        "other_indexes": (),
    }
    return Parameters(**same | converted)


def address(spec: ObservabilitySpec) -> str:
    """Return the base URL of the API that the spec names."""
    return f"https://api.{spec.site}" if spec.url is None else spec.url.rstrip("/")


def api_url(spec: ObservabilitySpec, allowed: Collection[str]) -> str:
    """Return the base URL of the API, if keys may be sent to it. `allowed` are URLs in addition to Datadog's sites.

    Raises:
        ValueError: The URL is not allowed, or keys would be sent without encryption.
    """
    if spec.url is None:
        return address(spec)
    # The API server refuses such a resource, but its CRD may be older than the operator.
    if not spec.url.startswith("https://") and not (
        spec.allow_insecure_url and INTERNAL_URL.match(spec.url)
    ):
        raise ValueError(
            "spec.url must be https; with allowInsecureUrl it may also be http, for loopback or a Service"
        )
    if address(spec) not in {url.rstrip("/") for url in allowed}:
        raise ValueError(
            "the operator may not send keys to spec.url, because the chart value observability.urls does not list it;"
            " add it to observability.urls, or remove spec.url to use the Datadog site"
        )
    return address(spec)


def page_url(spec: ObservabilitySpec) -> str:
    """Return the base URL of the web pages for links."""
    if spec.url is not None:
        return spec.url.rstrip("/")
    # A site with two labels has the host app; other sites are the host themselves.
    return f"https://app.{spec.site}" if spec.site.count(".") == 1 else f"https://{spec.site}"
