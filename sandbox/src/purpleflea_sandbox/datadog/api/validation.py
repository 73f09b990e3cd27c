"""Routes that tell whether keys are good: v1 the API key alone, v2 both."""

from collections.abc import Iterable

from purpleflea_sandbox.datadog.api.routing import Answer, Call, Route


def routes() -> Iterable[Route]:
    yield Route("GET", "/api/v1/validate", api_key, None)
    yield Route("GET", "/api/v2/validate_keys", both_keys, "")


def api_key(call: Call) -> Answer:
    return Answer(body={"valid": True})


def both_keys(call: Call) -> Answer:
    return Answer(body={"status": "ok"})
