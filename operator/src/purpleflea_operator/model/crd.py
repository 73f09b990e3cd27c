"""The CustomResourceDefinition of PurpleFleaAgent, and the command that writes it (`make crds`)."""

import sys
from pathlib import Path
from typing import Any

import yaml

from purpleflea_contract import kubernetes
from purpleflea_operator.model.schema import structural
from purpleflea_operator.model.status import PurpleFleaAgent

PLURAL = "purplefleaagents"
KIND = "PurpleFleaAgent"
FILE = f"{kubernetes.GROUP}_{PLURAL}.yaml"


def _column(name: str, json_path: str, *, kind: str = "string", **more: Any) -> dict[str, Any]:
    return {"name": name, "type": kind, "jsonPath": json_path, **more}


def _condition(condition: str, field: str) -> str:
    return f'.status.conditions[?(@.type=="{condition}")].{field}'


COLUMNS = (
    _column("Strategy", ".spec.strategy"),
    _column("Replicas", ".spec.replicas", kind="integer"),
    _column("Ready", ".status.readyReplicas", kind="integer"),
    _column("Mode", ".spec.trading.mode"),
    _column("Telemetry", _condition("TelemetryReady", "reason")),
    _column("Status", _condition("Ready", "reason"), priority=1),
    _column("Connection", ".status.datadog.connection", priority=1),
    _column("Age", ".metadata.creationTimestamp", kind="date"),
)


def agent_crd() -> dict[str, Any]:
    """The manifest of the CRD."""
    schema = structural(PurpleFleaAgent)
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
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "additionalPrinterColumns": list(COLUMNS),
    }
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{PLURAL}.{kubernetes.GROUP}"},
        "spec": {
            "group": kubernetes.GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": KIND,
                "listKind": f"{KIND}List",
                "plural": PLURAL,
                "singular": "purplefleaagent",
                "shortNames": ["pfa"],
                "categories": ["purpleflea"],
            },
            "versions": [version],
        },
    }


def crd_text() -> str:
    """The CRD as the text of its file."""
    header = "# Generated from the pydantic models by `make crds`; do not edit.\n"
    return header + yaml.safe_dump(agent_crd(), sort_keys=False, width=120)


def main(folders: list[str]) -> None:
    """Write the CRD file into each of `folders`."""
    for folder in folders:
        Path(folder, FILE).write_text(crd_text(), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
