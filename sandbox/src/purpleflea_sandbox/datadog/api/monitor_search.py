"""GET /api/v1/monitor/search: find monitors by name, tag, type and status, with counts and pages."""

import shlex
from collections import Counter
from collections.abc import Iterable
from typing import Any

from purpleflea_sandbox.datadog.api.errors import refused
from purpleflea_sandbox.datadog.api.organisation import AUTHOR, Document, Monitor, Organisation
from purpleflea_sandbox.datadog.api.routing import Answer, Call
from purpleflea_sandbox.datadog.queries import read, tree

_PER_PAGE = 30


def search(call: Call) -> Answer:
    try:
        terms = shlex.split(call.query.get("query", ""))
    except ValueError as error:
        raise refused(400, f"Invalid search query: {error}") from error
    matches = [
        monitor
        for _, monitor in sorted(call.organisation.monitors.items())
        if all(_matches(monitor, term) for term in terms)
    ]
    per_page = max(1, call.number("per_page", _PER_PAGE))
    page = call.number("page", 0)
    shown = matches[page * per_page : (page + 1) * per_page]
    return Answer(
        body={
            "counts": _counts(matches),
            "metadata": {
                "page": page,
                "page_count": len(shown),
                "per_page": per_page,
                "total_count": len(matches),
            },
            "monitors": [_result(call.organisation, monitor) for monitor in shown],
        }
    )


def _matches(monitor: Monitor, term: str) -> bool:
    """Match `tag:"a:b"`, `type:`, `status:` and `id:`. If the term has none of these keys, the name must contain it."""
    key, colon, value = term.partition(":")
    value = value.strip('"')
    match key if colon else "":
        case "tag" | "tags":
            return value in monitor.tags
        case "type":
            return str(monitor.definition["type"]).startswith(value)
        case "status":
            return monitor.overall_state.lower() == value.lower()
        case "id":
            return str(monitor.id) == value
        case _:
            return term.lower() in monitor.definition["name"].lower()


def _counts(matches: Iterable[Monitor]) -> dict[str, Any]:
    def counted(values: Iterable[str]) -> list[dict[str, Any]]:
        return [{"name": name, "count": count} for name, count in Counter(values).most_common()]

    monitors = list(matches)
    return {
        "status": counted(monitor.overall_state for monitor in monitors),
        "type": counted(monitor.definition["type"] for monitor in monitors),
        "tag": counted(tag for monitor in monitors for tag in monitor.tags),
        "muted": [{"name": False, "count": len(monitors)}] if monitors else [],
    }


def _result(organisation: Organisation, monitor: Monitor) -> Document:
    definition = monitor.definition
    condition = read.condition(definition["query"], definition["type"])
    metrics = (
        sorted({leaf.metric for leaf in tree.leaves(condition.expression)})
        if isinstance(condition, tree.MetricCondition)
        else []
    )
    return {
        "id": monitor.id,
        "org_id": organisation.org_id,
        "name": definition["name"],
        "type": definition["type"],
        "query": definition["query"],
        "status": monitor.overall_state,
        "tags": monitor.tags,
        "metrics": metrics,
        "scopes": sorted(monitor.groups),
        "creator": AUTHOR,
        "last_triggered_ts": monitor.state_modified and int(monitor.state_modified),
    }
