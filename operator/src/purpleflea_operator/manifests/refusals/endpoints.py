"""Plain HTTP endpoints outside the cluster. The CRD checks them too, unless the object is older than the rule."""

from collections.abc import Iterator

from purpleflea_operator.api.endpoint_urls import REMEDY, is_insecure
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.manifests.refusals.refusal import Refusal


def refusals(agent: Agent) -> Iterator[Refusal]:
    """Yield the refused endpoints."""
    api = agent.spec.api
    if api.allow_insecure_endpoints:
        return
    for name, url in api.endpoints:
        if is_insecure(url):
            yield Refusal(f"spec.api.endpoints.{name}", f"{url}: {REMEDY}")
