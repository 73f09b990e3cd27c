"""All objects in an organization of the kinds that the operator creates, by kind, from its list endpoints."""

from collections.abc import Callable
from typing import Any

Ask = Callable[[str], Any]
"""Function that returns the response to a GET of a path."""
SCANNER = "/api/v2/sensitive-data-scanner/config"
LOGS = "/api/v1/logs/config"


def held(ask: Ask) -> dict[str, list[str]]:
    """Return ids by kind, with the kind names of the resource status. Indexes also include their order."""
    scanner = ask(SCANNER).get("included") or []
    return {
        "monitor": _ids(ask("/api/v1/monitor")),
        "slo": _ids(ask("/api/v1/slo")["data"]),
        "dashboard": _ids(ask("/api/v1/dashboard")["dashboards"]),
        "log-pipeline": _ids(ask(f"{LOGS}/pipelines")),
        "log-index": sorted(item["name"] for item in ask(f"{LOGS}/indexes")["indexes"]),
        "log-index-order": ask(f"{LOGS}/index-order")["index_names"],
        "metric-tags": _ids(ask("/api/v2/metrics?filter[configured]=true")["data"]),
        "scanner-group": _ids(one for one in scanner if one["type"].endswith("_group")),
        "scanner-rule": _ids(one for one in scanner if one["type"].endswith("_rule")),
        "notebook": _ids(ask("/api/v1/notebooks")["data"]),
    }


def _ids(items: Any) -> list[str]:
    return sorted(str(item["id"]) for item in items)
