"""Routes that validate keys: version 1 checks the API key only, version 2 checks both keys."""

from collections.abc import Iterable

from purpleflea_sandbox.datadog.api.routing import Answer, Call, Route


def routes() -> Iterable[Route]:
    yield Route("GET", "/api/v1/validate", api_key, None)
    yield Route("GET", "/api/v2/validate_keys", both_keys, "")


def api_key(call: Call) -> Answer:
    return Answer(body={"valid": True})


def both_keys(call: Call) -> Answer:
    return Answer(body={"status": "ok"})
