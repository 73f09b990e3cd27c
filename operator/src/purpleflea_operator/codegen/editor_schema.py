"""JSON Schema of the manifest for editors: `python -m purpleflea_operator.codegen.editor_schema FILE` (`make crds`).

Unlike the CRD it says what is in fields that the CRD leaves free of form, and that other fields are mistakes.
"""

import json
import sys
from pathlib import Path
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_operator.api.agent_status import PurpleFleaAgent
from purpleflea_operator.codegen.structural_schema import Schema, structural

FILE = "purplefleaagent.schema.json"
_UNNEEDED = "x-kubernetes-"


def editor_schema() -> Schema:
    """The schema of a manifest of PurpleFleaAgent."""
    resource = structural(PurpleFleaAgent, in_full=True)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "PurpleFleaAgent",
        "description": resource["description"],
        "type": "object",
        "required": ["apiVersion", "kind", "metadata", "spec"],
        "additionalProperties": False,
        "properties": {
            "apiVersion": {"const": kubernetes.API_VERSION},
            "kind": {"const": "PurpleFleaAgent"},
            "metadata": {"type": "object"},
            "spec": _closed(resource["properties"]["spec"]),
            # What kubectl shows may be opened, too.
            "status": {"type": "object"},
        },
    }


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    found = {key: _closed(item) for key, item in node.items() if not key.startswith(_UNNEEDED)}
    if isinstance(node.get("properties"), dict) and "type" in node:
        found["additionalProperties"] = False
    if node.get("x-kubernetes-int-or-string"):
        found["type"] = ["integer", "string"]
    return found


def editor_text() -> str:
    """The schema as the text of its file."""
    return json.dumps(editor_schema(), indent=1) + "\n"


def main(files: list[str]) -> None:
    """Write the schema into each of `files`."""
    for file in files:
        Path(file).write_text(editor_text(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
