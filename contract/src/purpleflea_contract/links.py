"""Addresses of the documentation that the operator's Events, the monitors and the kubectl plugin show. Pure.

A condition in a status has no address: it follows from the type and the reason, and it would be repeated in each status
that 10,000 agents write. The plugin computes it when it shows a condition, and an Event is written once per transition.
The addresses name no version, because published reasons do not change.
"""

PROJECT_URL = "https://github.com/purpleflea/purpleflea-operator"
"""The home of the project, as in the charts."""
DOCS_URL = f"{PROJECT_URL}/blob/main/docs"
RUNBOOKS_URL = f"{DOCS_URL}/runbooks"
CONDITIONS_URL = f"{DOCS_URL}/conditions.md"

_PREFIXES = {
    "PurpleFleaAgent": "",
    "PurpleFleaHalt": "halt-",
    "PurpleFleaObservability": "observability-",
}


def reason_anchor(kind: str, condition: str, reason: str) -> str:
    """Return the anchor of a reason on the page of the conditions.

    An Event that belongs to no condition has the empty condition.
    """
    if not condition:
        return f"event-{reason}".lower()
    return f"{_PREFIXES.get(kind, '')}{condition}-{reason}".lower()


def reason_url(kind: str, condition: str, reason: str) -> str:
    """Return the address of the runbook of a reason."""
    return f"{CONDITIONS_URL}#{reason_anchor(kind, condition, reason)}"
