"""What this project generates, put into an organisation as if it had been posted: references are resolved to ids."""

import json
from pathlib import Path
from typing import Any

from purpleflea_sandbox.datadog.api.organisation import Monitor, Organisation


def define(organisation: Organisation, folder: Path) -> dict[str, int]:
    """What is in a folder as `make observability` writes it; ids of the monitors by their key."""
    organisation.dashboards["fleet"] = {"id": "fleet", **_body(folder / "dashboard.json")}
    organisation.slos["slo"] = {"id": "slo", **_body(folder / "slo.json")}
    organisation.logs.pipelines["agents"] = {"id": "agents", **_body(folder / "pipeline.json")}
    paths = [path for path in sorted(folder.glob("monitors/*.json")) if "anomaly" not in path.name]
    paths += sorted(folder.glob("monitors/by-reference/*.json"))
    ids = {path.stem: number for number, path in enumerate(paths, 1)}
    for path in paths:
        definition = _body(path)
        for name, number in ids.items():
            definition["query"] = definition["query"].replace(f"<monitor:{name}>", str(number))
        definition["query"] = definition["query"].replace("<slo:api-success>", "slo")
        number = ids[path.stem]
        organisation.monitors[number] = Monitor(
            id=number, definition=definition, created=0, modified=0
        )
    return ids


def _body(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text())
    return found
