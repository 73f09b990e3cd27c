"""Classes for values that would be tags without a bound: ids of counterparties, paths with ids, errors. Pure.

Put the full value in a span or a log line. The contract lists the classes.
"""

import functools
import re

from purpleflea_contract import tags

AGENT_PREFIXES = ("agent", "ag_")
"""Prefixes of the ids of other Purple Flea agents."""
_TEMPLATES = {
    re.compile(re.sub(r":\w+", "[^/]+", template)): template
    for template in tags.ENDPOINT.values
    if ":" in template
}


def counterparty_class(counterparty: str) -> str:
    """Return the class of an escrow counterparty."""
    if not counterparty or counterparty == "unknown":
        return tags.OTHER
    return "agent" if counterparty.startswith(AGENT_PREFIXES) else "external"


@functools.lru_cache(maxsize=1024)
def endpoint_template(endpoint: str) -> str:
    """Return the route template of a path."""
    path = endpoint.partition("?")[0].rstrip("/")
    if path in tags.ENDPOINT.values:
        return path
    matching = (template for pattern, template in _TEMPLATES.items() if pattern.fullmatch(path))
    return next(matching, tags.OTHER)


def error_class(error: BaseException) -> str:
    """Return the class of a failure: the `error_type` of the error, else by its HTTP status or its type."""
    declared = getattr(error, "error_type", None)
    if isinstance(declared, str):
        return declared
    status = getattr(getattr(error, "response", error), "status_code", None)
    if isinstance(status, int):
        return _status_class(status)
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return "timeout"
    if isinstance(error, ConnectionError) or "Connect" in type(error).__name__:
        return "connection"
    return tags.OTHER


def _status_class(status: int) -> str:
    if status == 429:
        return "rate_limited"
    return "upstream" if status >= 500 else "rejected"
