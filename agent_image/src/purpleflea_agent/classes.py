"""What could be a tag without bound, mapped to one of few classes: ids of counterparties, paths with ids, errors. Pure.

The full value belongs into a span or a log line. Which classes there are is the contract's.
"""

import functools
import re

from purpleflea_contract import tags

AGENT_PREFIXES = ("agent", "ag_")
"""How ids of other Purple Flea agents begin."""
_TEMPLATES = {
    re.compile(re.sub(r":\w+", "[^/]+", template)): template
    for template in tags.ENDPOINT.values
    if ":" in template
}


def of_counterparty(counterparty: str) -> str:
    """The class of an escrow counterparty."""
    if not counterparty or counterparty == "unknown":
        return tags.OTHER
    return "agent" if counterparty.startswith(AGENT_PREFIXES) else "external"


@functools.lru_cache(maxsize=1024)
def of_endpoint(endpoint: str) -> str:
    """The route template of a path."""
    path = endpoint.partition("?")[0].rstrip("/")
    if path in tags.ENDPOINT.values:
        return path
    matching = (template for path_of, template in _TEMPLATES.items() if path_of.fullmatch(path))
    return next(matching, tags.OTHER)


def of_error(error: BaseException) -> str:
    """The class of a failure: what the error says of itself, else what its HTTP status or its type suggests."""
    declared = getattr(error, "error_type", None)
    if isinstance(declared, str):
        return declared
    status = getattr(getattr(error, "response", error), "status_code", None)
    if isinstance(status, int):
        return _of_status(status)
    if isinstance(error, TimeoutError) or "Timeout" in type(error).__name__:
        return "timeout"
    if isinstance(error, ConnectionError) or "Connect" in type(error).__name__:
        return "connection"
    return tags.OTHER


def _of_status(status: int) -> str:
    if status == 429:
        return "rate_limited"
    return "upstream" if status >= 500 else "rejected"
