"""The reference of the resource as a page: `python -m purpleflea_operator.codegen.reference_docs FILE` (`make docs`).

Every row comes from the models: field, type, default, bounds, meaning, and what a change does to running agents.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.api.agent_status import AgentStatus
from purpleflea_operator.api.change_effects import MEANINGS, effect_of
from purpleflea_operator.codegen.structural_schema import Schema, structural

HEAD = """# PurpleFleaAgent

Generated from the models by `make docs`; do not edit. In a cluster: `kubectl explain pfa.spec --recursive`.
Examples, one per group, are in `examples/`. For completion and checks in an editor, start a manifest with
`# yaml-language-server: $schema=https://.../docs/reference/purplefleaagent.schema.json` (or a path to that file).

A field that is not here is refused: by the API server (`kubectl apply` validates strictly by default), and by the
operator where it was stored all the same, with the condition SpecValid.

"""
PRECEDENCE = """\
What Secrets hold (the API key, the token) is read again when it changes: no field, no restart.

## Who wins

`spec.pod.labels`, `annotations`, `env`, `volumes`, `volumeMounts` and `sidecars` merge by key (name, path) with what
the operator renders. In this order, the first wins:

1. what the operator needs: its labels (`app.kubernetes.io/...`, `purpleflea.com/...`, `tags.datadoghq.com/...`),
   the Datadog annotations it renders, the variables of [the contract](../telemetry.md) save `DD_LOGS_INJECTION`,
   the volumes `config`, `api-key`, `api-token`, `state`, `tmp`, `node-agent`, `node-agent-apm` and the paths they are
   mounted at, the containers `agent` and `await-node-agent`;
2. `env`, then `envFrom`, in the order of the list.

What loses against the operator is ignored, and told: the condition SpecValid stays True with the reason OverrideIgnored
and names the fields, and an Event of type Warning says the same.

Sidecars start before the agent and end after it. Their security context is filled in to Pod Security "restricted"; one
that asks for more is refused.
"""
RULES = """\
## Rules

The API server refuses a resource that breaks one of these. Inside of affinity, volumes and probes, whose fields the CRD
leaves out to stay small, it is the operator that refuses (SpecValid), or the API server when the operator applies the
workload (WorkloadAvailable); what runs is left as it is.
"""


def page() -> str:
    """The page."""
    spec = structural(AgentSpec, in_full=True)
    changes = _table(
        ("change", "effect on agents that run"),
        [(f"`{effect}`", text) for effect, text in MEANINGS.items()],
    )
    parts = [HEAD, f"## What a change does\n\n{changes}", PRECEDENCE]
    groups = {name: node for name, node in spec["properties"].items() if "properties" in node}
    single = [name for name in spec["properties"] if name not in groups]
    single_fields = {**spec, "properties": {name: spec["properties"][name] for name in single}}
    rows = _inner("", single_fields, "")
    parts.append(_section("spec", spec["description"], rows, changes=True))
    for name, node in groups.items():
        rows = _inner(name, node, "")
        parts.append(_section(f"spec.{name}", node["description"], rows, changes=True))
    parts.append(_rules(spec))
    status = structural(AgentStatus, in_full=True)
    parts.append(_section("status", status["description"], _inner("", status, ""), changes=False))
    return "\n".join(parts)


Row = tuple[str, ...]


def _inner(path: str, node: Schema, prefix: str) -> Iterator[Row]:
    required = set(node.get("required", ()))
    for name, child in node["properties"].items():
        inner = f"{path}.{name}" if path else name
        yield from _rows(inner, child, required=name in required, prefix=prefix)


def _rows(path: str, node: Schema, *, required: bool, prefix: str) -> Iterator[Row]:
    label = f"{prefix}{path.rpartition('.')[2].removesuffix('[]')}"
    content = node.get("items", node)
    default = "required" if required else _default(node)
    yield (
        f"`{label}`",
        _type(node),
        default,
        _bounds(node),
        node.get("description", ""),
        effect_of(path.replace("[]", "")).value,
    )
    if "properties" in content:
        mark = "[]" if "items" in node else ""
        yield from _inner(f"{path}{mark}", content, f"{label}{mark}.")


def _type(node: Schema) -> str:
    if node.get("x-kubernetes-int-or-string"):
        return "quantity"
    if node.get("type") == "array":
        return f"list of {_type(node['items'])}"
    values = node.get("additionalProperties")
    if isinstance(values, Mapping):
        return f"map of {_type(dict(values))}"
    return str(node["type"])


def _default(node: Schema) -> str:
    if "default" not in node or (node["default"] == {} and "properties" in node):
        return "-"
    return f"`{json.dumps(node['default'])}`"


def _bounds(node: Schema) -> str:
    found = []
    if "enum" in node:
        found.append(", ".join(f"`{json.dumps(value).strip(chr(34))}`" for value in node["enum"]))
    for low, high, what in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
        ("minProperties", "maxProperties", " keys"),
    ):
        if high in node:
            found.append(f"{node.get(low, 0)} to {node[high]}{what}")
    if "pattern" in node:
        found.append(f"`{node['pattern']}`")
    return "; ".join(found) or "-"


def _rules(spec: Schema) -> str:
    rows = [(f"`{path}`", item["message"]) for path, item in _all_rules("spec", spec)]
    return f"{RULES}\n{_table(('at', 'rule'), rows)}"


def _all_rules(path: str, node: Schema) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for item in node.get("x-kubernetes-validations", ()):
        yield path, item
    for name, child in node.get("properties", {}).items():
        yield from _all_rules(f"{path}.{name}", child)
    if isinstance(node.get("items"), Mapping):
        yield from _all_rules(f"{path}[]", node["items"])


def _section(name: str, text: str, rows: Iterable[Row], *, changes: bool) -> str:
    header = ("field", "type", "default", "bounds", "meaning", "change")
    width = len(header) if changes else len(header) - 1
    table = _table(header[:width], [row[:width] for row in rows])
    return f"## {name}\n\n{text}\n\n{table}"


def _table(header: Row, rows: Iterable[Row]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


def main(files: list[str]) -> None:
    """Write the page into each of `files`."""
    for file in files:
        Path(file).write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
