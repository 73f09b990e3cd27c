"""Generate the JSON Schema for editors: `python -m purpleflea_operator.codegen.editor_schema FILE` (`make crds`).

Unlike the CRD, the schema includes the inner fields that the CRD omits, and it rejects unknown fields.
"""

import json
import sys
from pathlib import Path
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_operator.api.agent_status import PurpleFleaAgent
from purpleflea_operator.codegen.structural_schema import Schema, structural

FILE = "purplefleaagent.schema.json"
_KUBERNETES_KEYWORD = "x-kubernetes-"


def editor_schema() -> Schema:
    """Return the schema of a PurpleFleaAgent manifest."""
    resource = structural(PurpleFleaAgent, include_free_form=True)
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
            # A manifest from `kubectl get --output=yaml` has a status.
            "status": {"type": "object"},
        },
    }


def _closed(node: Any) -> Any:
    if isinstance(node, list):
        return [_closed(item) for item in node]
    if not isinstance(node, dict):
        return node
    schema = {
        key: _closed(item) for key, item in node.items() if not key.startswith(_KUBERNETES_KEYWORD)
    }
    if isinstance(node.get("properties"), dict) and "type" in node:
        schema["additionalProperties"] = False
    if node.get("x-kubernetes-int-or-string"):
        schema["type"] = ["integer", "string"]
    return schema


def editor_text() -> str:
    """Return the schema as the text of its file."""
    return json.dumps(editor_schema(), indent=1) + "\n"


def main(files: list[str]) -> None:
    """Write the schema into each of `files`."""
    for file in files:
        Path(file).write_text(editor_text(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
