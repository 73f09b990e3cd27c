"""Add the generated objects to an organization of the stand-in, as if they had been posted, with resolved references.

The objects are read from files; this module does not generate them.
"""

import json
from pathlib import Path
from typing import Any

from purpleflea_sandbox.datadog.api.organisation import Monitor, Organisation


def define(organisation: Organisation, folder: Path) -> dict[str, int]:
    """Add the objects in a folder that `make observability` wrote. Return the ids of the monitors by their key."""
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
    body: dict[str, Any] = json.loads(path.read_text())
    return body
