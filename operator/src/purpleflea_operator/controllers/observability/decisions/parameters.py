"""Pure: spec of a PurpleFleaObservability -> parameters of the Datadog objects, and addresses of Datadog.

Fields of the spec and of the parameters with the same name have the same value, so a new threshold needs no change
here. The objects themselves are defined in `datadog.definitions`.
"""

from collections.abc import Collection
from dataclasses import fields
from typing import Any

from purpleflea_contract.tags import stored_value
from purpleflea_operator.api.endpoint_urls import is_insecure
from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.datadog.definitions.parameters import Parameters, features, notifications


def parameters(spec: ObservabilitySpec) -> Parameters:
    """Return the parameters that the spec chooses."""
    same: dict[str, Any] = {
        field.name: getattr(spec, field.name)
        for field in fields(Parameters)
        if field.name in ObservabilitySpec.model_fields
    }
    converted: dict[str, Any] = {
        # Queries find only the form of a tag that Datadog stores.
        **{name: stored_value(name, same[name]) for name in ("env", "service", "team", "currency")},
        "runbooks_url": spec.runbooks_url.rstrip("/"),
        "notifications": notifications(spec.notifications),
        "features": features(spec.features),
        # The controller reads the other indexes from the organization; see payloads.
        "other_indexes": (),
    }
    return Parameters(**same | converted)


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
    is_internal = spec.allow_insecure_url and not is_insecure(spec.url)
    if not spec.url.startswith("https://") and not is_internal:
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
