"""Generate the reference pages: `python -m purpleflea_operator.codegen.reference_docs FILE...` (`make docs`).

Every row comes from the models: field, type, default, bounds, meaning, and the effect of a change on running agents.
"""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path
from typing import Any

from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.api.agent_status import AgentStatus
from purpleflea_operator.api.change_effects import MEANINGS, effect_of
from purpleflea_operator.api.halt import HaltSpec, HaltStatus
from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.api.observability_status import ObservabilityStatus
from purpleflea_operator.codegen.structural_schema import Schema, structural

HEAD = """# PurpleFleaAgent

This page is generated from the models by `make docs`; do not edit it. To show the fields in a cluster:
`kubectl explain pfa.spec --recursive`. The folder `examples/` has an example for each group of fields. For completion
and checks in an editor, start a manifest with
`# yaml-language-server: $schema=https://.../docs/reference/purplefleaagent.schema.json` (or a path to that file).

The API server rejects a field that is not listed here, because `kubectl apply` validates strictly by default. If an
unknown field is stored nevertheless, the operator rejects the spec and reports the field in the condition SpecValid.

"""
PRECEDENCE = """\
If the content of a Secret changes (the API key, the token), the agents read it again, without a restart.

## Precedence

The operator merges `spec.pod.labels`, `annotations`, `env`, `volumes`, `volumeMounts` and `sidecars` by key (name or
path) with the objects that it renders. If a key is defined more than once, the first of this list takes precedence:

1. The reserved keys of the operator: its labels (`app.kubernetes.io/...`, `purpleflea.com/...`,
   `tags.datadoghq.com/...`), the Datadog annotations that it renders, the variables of
   [the contract](../telemetry.md) except `DD_LOGS_INJECTION`, the volumes `config`, `api-key`, `api-token`, `state`,
   `tmp`, `node-agent` and `node-agent-apm` with their mount paths, and the containers `agent` and `await-node-agent`.
2. `env`, then `envFrom`, in the sequence of the list.

The operator ignores a user's value with a reserved key. The condition SpecValid then stays True with the reason
OverrideIgnored and lists the fields, and an Event of type Warning has the same message.

Sidecars start before the agent and end after it. The operator adds the settings of Pod Security "restricted" to their
security context. A sidecar that requests more is rejected.
"""
RULES = """\
## Rules

The API server rejects a resource that violates one of these rules. The CRD omits the inner fields of affinity, volumes
and probes to stay small. The operator validates these fields (condition SpecValid), and the API server validates them
when the operator applies the workload (condition WorkloadAvailable). If one of them rejects the spec, running pods are
not changed.
"""
HALT_HEAD = """# PurpleFleaHalt

This page is generated from the models by `make docs`; do not edit it. To show the fields in a cluster:
`kubectl explain pfh.spec --recursive`. [halts.md](../halts.md) explains the rules, the end of a halt and the rights,
[conditions.md](../conditions.md) the conditions, and `examples/halt.yaml` is an example.

"""
KIND_RULES = """\
## Rules

The API server rejects a resource that violates one of these rules.
"""


OBSERVABILITY_HEAD = """# PurpleFleaObservability

This page is generated from the models by `make docs`; do not edit it. To show the fields in a cluster:
`kubectl explain pfo.spec --recursive`. [observability.md](../observability.md) explains the objects, the keys and
manual edits, [conditions.md](../conditions.md) the conditions, and `examples/observability.yaml` is an example.

The only required field is `keysSecretRef`. A change of the spec changes objects in Datadog, and never an agent.

"""


HEADER = ("field", "type", "default", "bounds", "meaning", "change")
OF_KUBERNETES = frozenset(
    {"tolerations", "affinity", "topologySpreadConstraints", "env", "envFrom", "volumes"}
    | {"volumeMounts", "sidecars", "matchExpressions", "conditions"}
)
"""Fields whose inner fields are those of Kubernetes; the pages show them on request only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePage:
    """The page about one kind."""

    head: str
    spec: type[SpecModel]
    rules: str
    status: type[SpecModel]
    has_effects: bool = False
    """Whether the rows show the effect of a change on running agents."""

    def text(self) -> str:
        """Return the text of the page."""
        spec = structural(self.spec, include_free_form=True)
        status = structural(self.status, include_free_form=True)
        parts = [
            self.head,
            *_spec(spec, has_effects=self.has_effects),
            _rules(spec, self.rules),
            *_section("status", status, "", has_effects=False),
        ]
        return "\n".join(parts)


def _effects() -> str:
    table = _table(
        ("change", "effect on running agents"),
        [(f"`{effect}`", text) for effect, text in MEANINGS.items()],
    )
    return f"## Effects of a change\n\n{table}"


Row = tuple[str, ...]


def _spec(spec: Schema, *, has_effects: bool) -> Iterator[str]:
    """Yield a section for the fields without inner fields, and one for each group of fields."""
    groups = {name: node for name, node in spec["properties"].items() if "properties" in node}
    ungrouped = {name: node for name, node in spec["properties"].items() if name not in groups}
    rest = {**spec, "properties": ungrouped}
    yield from _section("spec", rest, "", has_effects=has_effects)
    for name, node in groups.items():
        yield from _section(f"spec.{name}", node, name, has_effects=has_effects)


def _section(title: str, node: Schema, path: str, *, has_effects: bool) -> Iterator[str]:
    """Yield a section, and a closed part of the page for each field whose inner fields are those of Kubernetes."""
    width = len(HEADER) if has_effects else len(HEADER) - 1
    rows = [row[:width] for row in _inner(path, node, "")]
    shown = _table(HEADER[:width], [row for row in rows if not _folded_field(row)])
    yield f"## {title}\n\n{node['description']}\n\n{shown}"
    inner = [row for row in rows if _folded_field(row)]
    for field, found in groupby(inner, key=_folded_field):
        table = _table(HEADER[:width], found)
        summary = f"Fields of <code>{field}</code>, as in Kubernetes"
        yield f'<details markdown="1">\n<summary>{summary}</summary>\n\n{table}\n</details>\n'


def _folded_field(row: Row) -> str:
    """Return the outermost field of Kubernetes that contains the field of a row; empty if there is none."""
    names = row[0].strip("`").replace("[]", "").split(".")
    for length in range(1, len(names)):
        if names[length - 1] in OF_KUBERNETES:
            return ".".join(names[:length])
    return ""


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
    if "default" not in node or "properties" in node:
        return "-"
    return f"`{json.dumps(node['default'])}`"


def _bounds(node: Schema) -> str:
    bounds = []
    if "enum" in node:
        bounds.append(", ".join(f"`{json.dumps(value).strip(chr(34))}`" for value in node["enum"]))
    for low, high, unit in (
        ("minimum", "maximum", ""),
        ("minLength", "maxLength", " characters"),
        ("minItems", "maxItems", " items"),
        ("minProperties", "maxProperties", " keys"),
    ):
        if high in node:
            bounds.append(f"{node.get(low, 0)} to {node[high]}{unit}")
    if "pattern" in node:
        bounds.append(f"`{node['pattern']}`")
    return "; ".join(bounds) or "-"


def _rules(spec: Schema, text: str) -> str:
    rows = [(f"`{path}`", item["message"]) for path, item in _all_rules("spec", spec)]
    return f"{text}\n{_table(('at', 'rule'), rows)}"


def _all_rules(path: str, node: Schema) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for item in node.get("x-kubernetes-validations", ()):
        yield path, item
    for name, child in node.get("properties", {}).items():
        yield from _all_rules(f"{path}.{name}", child)
    if isinstance(node.get("items"), Mapping):
        yield from _all_rules(f"{path}[]", node["items"])


def _table(header: Row, rows: Iterable[Row]) -> str:
    lines = [header, ("---",) * len(header), *rows]
    cells = ([cell.replace("|", "\\|") for cell in line] for line in lines)
    return "".join(f"| {' | '.join(line)} |\n" for line in cells)


PAGES = {
    "purplefleaagent": ReferencePage(
        head=f"{HEAD}\n{_effects()}\n{PRECEDENCE}",
        spec=AgentSpec,
        rules=RULES,
        status=AgentStatus,
        has_effects=True,
    ),
    "purplefleahalt": ReferencePage(
        head=HALT_HEAD, spec=HaltSpec, rules=KIND_RULES, status=HaltStatus
    ),
    "purplefleaobservability": ReferencePage(
        head=OBSERVABILITY_HEAD,
        spec=ObservabilitySpec,
        rules=KIND_RULES,
        status=ObservabilityStatus,
    ),
}
"""The pages by the name of their files."""


def main(files: list[str]) -> None:
    """Write each of `files`: the page of the kind that is the name of the file."""
    for file in files:
        Path(file).write_text(PAGES[Path(file).stem].text(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
