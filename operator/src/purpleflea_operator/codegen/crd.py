"""Generate the CustomResourceDefinitions (`make crds`)."""

import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel

from purpleflea_contract import kubernetes
from purpleflea_operator.api.agent_status import ConditionType, PurpleFleaAgent
from purpleflea_operator.api.halt import PurpleFleaHalt
from purpleflea_operator.api.observability_status import PurpleFleaObservability
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.codegen.structural_schema import structural

PLURAL = "purplefleaagents"
KIND = "PurpleFleaAgent"
FILE = f"{kubernetes.GROUP}_{PLURAL}.yaml"
OBSERVABILITY_PLURAL = "purplefleaobservabilities"
OBSERVABILITY_KIND = "PurpleFleaObservability"
OBSERVABILITY_FILE = f"{kubernetes.GROUP}_{OBSERVABILITY_PLURAL}.yaml"
HALT_PLURAL = "purplefleahalts"
HALT_KIND = "PurpleFleaHalt"
HALT_FILE = f"{kubernetes.GROUP}_{HALT_PLURAL}.yaml"

STORED_DEFAULTS = (("replicas",), ("trading",), ("trading", "mode"))
"""Fields of the spec whose defaults are in the CRD, for the scale subresource and for a column of `kubectl get`."""

INITIAL_CONDITION = {
    "type": str(ConditionType.READY),
    "status": "Unknown",
    "reason": str(Reason.WAITING_FOR_OPERATOR),
    "message": "waiting for the operator",
    "lastTransitionTime": "1970-01-01T00:00:00Z",
    "observedGeneration": 0,
}
"""Condition of an agent without a status. Tools such as Helm and Flux take an object without conditions for ready, and
the operator delays the first status of an agent that starts, so that a fast start costs one write."""


def _column(name: str, json_path: str, *, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": json_path, **more}


def _condition(condition: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{condition}")].{field}'


COLUMNS = (
    _column("Strategy", ".spec.strategy"),
    _column("Replicas", ".spec.replicas", kind="integer"),
    _column("Ready", ".status.readyReplicas", kind="integer"),
    _column("Mode", ".status.trading.mode"),
    _column("Telemetry", _condition("TelemetryReady", "reason")),
    _column("Status", _condition("Ready", "reason"), priority=1),
    _column("Connection", ".status.datadog.connection", priority=1),
    _column("Age", ".metadata.creationTimestamp", kind="date"),
)
OBSERVABILITY_COLUMNS = (
    _column("Mode", ".spec.mode"),
    _column("Ready", _condition("Ready", "status")),
    _column("Status", _condition("Ready", "reason")),
    _column("Wanted", ".status.wanted", kind="integer"),
    _column("In sync", ".status.inSync", kind="integer"),
    _column("Site", ".spec.site", priority=1),
    _column("Message", _condition("Ready", "message"), priority=1),
    _column("Age", ".metadata.creationTimestamp", kind="date"),
)
HALT_COLUMNS = (
    _column("Level", ".spec.level"),
    _column("Status", _condition("Halted", "reason")),
    _column("Matched", ".status.matched", kind="integer"),
    _column("Running", ".status.running", kind="integer"),
    _column("Acknowledged", ".status.acknowledged", kind="integer"),
    _column("Draining", _condition("Draining", "status")),
    _column("Reason", ".spec.reason"),
    _column("Expires", ".spec.expiresAt", priority=1),
    _column("By", ".status.requestedBy", priority=1),
    _column("Age", ".metadata.creationTimestamp", kind="date"),
)


def agent_crd() -> dict[str, Any]:
    """Return the CRD of PurpleFleaAgent."""
    names = _names(KIND, PLURAL, short="pfa")
    scale = {
        "specReplicasPath": ".spec.replicas",
        "statusReplicasPath": ".status.replicas",
        "labelSelectorPath": ".status.selector",
    }
    subresources = {"status": {}, "scale": scale}
    crd = _crd(PurpleFleaAgent, names, subresources, COLUMNS)
    (version,) = crd["spec"]["versions"]
    fields = version["schema"]["openAPIV3Schema"]["properties"]
    fields["spec"] = _without_common_defaults(fields["spec"])
    fields["status"]["default"] = {"conditions": [INITIAL_CONDITION]}
    return crd


def observability_crd() -> dict[str, Any]:
    """Return the CRD of PurpleFleaObservability."""
    names = _names(OBSERVABILITY_KIND, OBSERVABILITY_PLURAL, short="pfo")
    return _crd(PurpleFleaObservability, names, {"status": {}}, OBSERVABILITY_COLUMNS)


def halt_crd() -> dict[str, Any]:
    """Return the CRD of PurpleFleaHalt."""
    return _crd(
        PurpleFleaHalt, _names(HALT_KIND, HALT_PLURAL, short="pfh"), {"status": {}}, HALT_COLUMNS
    )


def _names(kind: str, plural: str, *, short: str) -> dict[str, Any]:
    return {
        "kind": kind,
        "listKind": f"{kind}List",
        "plural": plural,
        "singular": kind.lower(),
        "shortNames": [short],
        "categories": ["purpleflea"],
    }


def _crd(
    model: type[BaseModel],
    names: dict[str, Any],
    subresources: dict[str, Any],
    columns: tuple[dict[str, Any], ...],
) -> dict[str, Any]:
    schema = structural(model)
    schema["properties"]["status"] = _without_defaults(schema["properties"]["status"])
    schema["properties"] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
        **schema["properties"],
    }
    version = {
        "name": kubernetes.VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": schema},
        "subresources": subresources,
        "additionalPrinterColumns": list(columns),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{names['plural']}.{kubernetes.GROUP}"},
        "spec": {
            "group": kubernetes.GROUP,
            "scope": "Namespaced",
            "names": names,
            "versions": [version],
        },
    }


def _without_defaults(schema: Any) -> Any:
    """Return the schema of a status without defaults. The operator writes the status, and the API server must not add
    values that the operator did not write."""
    if isinstance(schema, dict):
        return {key: _without_defaults(item) for key, item in schema.items() if key != "default"}
    return schema


def _without_common_defaults(schema: dict[str, Any], path: tuple[str, ...] = ()) -> dict[str, Any]:
    """Return the schema of the agent's spec without the defaults that the API server would add to every agent.

    The operator has the same defaults in its models. In the object they triple its size and the size of its
    managedFields, and the API server decodes and encodes both several times per write: a create took 4.6 ms of its CPU
    instead of 2.0, a write of the status 10 instead of 6. Items of lists keep their defaults, because these are
    stored only if a user adds an item, and the keys of a list need them.
    """
    kept = {
        key: value for key, value in schema.items() if key != "default" or path in STORED_DEFAULTS
    }
    if "properties" in schema:
        kept["properties"] = {
            name: _without_common_defaults(child, (*path, name))
            for name, child in schema["properties"].items()
        }
    return kept


def crd_text(crd: dict[str, Any] | None = None) -> str:
    """Return a CRD as the text of its file; by default the CRD of PurpleFleaAgent."""
    header = "# Generated from the pydantic models by `make crds`; do not edit.\n"
    return header + yaml.safe_dump(crd or agent_crd(), sort_keys=False, width=120)


def main(folders: list[str]) -> None:
    """Write the CRD files into each of `folders`."""
    for folder in folders:
        Path(folder, FILE).write_text(crd_text(), encoding="utf-8")
        text = crd_text(observability_crd())
        Path(folder, OBSERVABILITY_FILE).write_text(text, encoding="utf-8")
        Path(folder, HALT_FILE).write_text(crd_text(halt_crd()), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
