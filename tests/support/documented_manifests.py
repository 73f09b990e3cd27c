"""Check manifests and parts of them against the CRDs, the API of Kubernetes, and the schema of the chart's values."""

import copy
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import jsonschema
import kubernetes_validate
import yaml
from pydantic import BaseModel, ValidationError

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.api.halt import HaltSpec
from purpleflea_operator.api.observability import ObservabilitySpec
from support.documentation import REPOSITORY
from support.rights import CHART

KUBERNETES = "1.37"
MODELS: dict[str, type[BaseModel]] = {
    "PurpleFleaAgent": AgentSpec,
    "PurpleFleaHalt": HaltSpec,
    "PurpleFleaObservability": ObservabilitySpec,
}
CRDS = {
    manifest["spec"]["names"]["kind"]: manifest
    for file in sorted((REPOSITORY / "crds").glob("*.yaml"))
    for manifest in [yaml.safe_load(file.read_text())]
}
API_VERSION = "purpleflea.com/v1alpha1"
OTHER_GROUPS = {
    *("datadoghq.com", "helm.toolkit.fluxcd.io", "source.toolkit.fluxcd.io", "argoproj.io"),
    *(
        "kustomize.config.k8s.io",
        "kustomize.toolkit.fluxcd.io",
        "external-secrets.io",
        "monitoring.coreos.com",
    ),
}
"""Groups of other projects, whose schemas are not installed; only the syntax of their manifests is checked."""
OBJECT_META = {"name", "namespace", "labels", "annotations", "generateName", "finalizers"}
VALUES = json.loads((CHART / "values.schema.json").read_text())
DEFAULTS = yaml.safe_load((CHART / "values.yaml").read_text())


def _strict(node: Any) -> Any:
    """Return a schema that refuses unknown fields, as strict validation of the API server does."""
    if isinstance(node, list):
        return [_strict(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    found = {key: _strict(value) for key, value in node.items()}
    is_closed = "properties" in node and isinstance(node["properties"], Mapping)
    if is_closed and not node.get("x-kubernetes-preserve-unknown-fields"):
        found.setdefault("additionalProperties", False)
    return found


def _without_required(node: Any) -> Any:
    if isinstance(node, list):
        return [_without_required(item) for item in node]
    if not isinstance(node, Mapping):
        return node
    return {
        key: _without_required(value)
        for key, value in node.items()
        if not (key in ("required", "minProperties") and not isinstance(value, Mapping))
    }


def _schema(kind: str) -> dict[str, Any]:
    found = copy.deepcopy(CRDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"])
    found["properties"]["metadata"] = {"type": "object"}
    strict: dict[str, Any] = _strict(found)
    strict["properties"]["metadata"] = {
        "type": "object",
        "properties": {key: {} for key in OBJECT_META},
        "additionalProperties": False,
    }
    return strict


SCHEMAS = {kind: jsonschema.Draft202012Validator(_schema(kind)) for kind in CRDS}
FRAGMENTS = {
    kind: jsonschema.Draft202012Validator(_without_required(_schema(kind))) for kind in CRDS
}


def manifest_problems(manifest: Any) -> list[str]:
    """Return the faults of one document of a YAML block: a manifest, or a fragment of one or of the chart's values."""
    if not isinstance(manifest, Mapping):
        return ["it is not a mapping"]
    if "kind" not in manifest:
        return _unnamed_problems(manifest)
    if manifest["kind"] in MODELS:
        return [
            *_head_problems(manifest),
            *_schema_problems(SCHEMAS[manifest["kind"]], manifest),
            *_model_problems(manifest),
        ]
    return list(_kubernetes_problems(manifest))


def _head_problems(manifest: Mapping[str, Any]) -> Iterator[str]:
    if manifest.get("apiVersion") != API_VERSION:
        yield f"apiVersion is not {API_VERSION}"
    name = str(manifest.get("metadata", {}).get("name", ""))
    if not re.fullmatch(r"[a-z0-9]([a-z0-9.-]*[a-z0-9])?", name):
        yield f"metadata.name {name!r} is not a name of Kubernetes"


def has_field(kind: str, path: str) -> bool:
    """Report whether one of our kinds has a field such as `status.trading.mode`; those of lists and maps count."""
    node: Any = CRDS[kind]["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    for name in path.split("."):
        if "properties" not in node:
            return True
        if name not in node["properties"]:
            return False
        node = node["properties"][name]
    return True


def _unnamed_problems(fragment: Mapping[str, Any]) -> list[str]:
    """Return no faults if the fragment fits one of our kinds or the values of the chart, else those of the nearest."""
    if fragment.keys() <= {"metadata", "spec"}:
        found = [fragment_problems(fragment, kind) for kind in MODELS]
        return min(found, key=len)
    return _schema_problems(jsonschema.Draft7Validator(VALUES), _merged(DEFAULTS, fragment))


def _merged(defaults: Any, values: Any) -> Any:
    """Merge values over the defaults of the chart as Helm does, because its schema is for the result."""
    if not (isinstance(defaults, Mapping) and isinstance(values, Mapping)):
        return values
    names = [*defaults, *(name for name in values if name not in defaults)]
    return {
        name: _merged(defaults.get(name), values[name]) if name in values else defaults[name]
        for name in names
    }


def fragment_problems(fragment: Any, kind: str) -> list[str]:
    """Return the faults of a part of a manifest of one of our kinds, such as a merge patch."""
    return _schema_problems(FRAGMENTS[kind], _without_removals(fragment))


def _without_removals(value: Any) -> Any:
    """A merge patch removes a field with null."""
    if isinstance(value, Mapping):
        return {key: _without_removals(inner) for key, inner in value.items() if inner is not None}
    return value


def _schema_problems(validator: Any, value: Any) -> list[str]:
    return [f"{error.json_path}: {error.message}" for error in validator.iter_errors(value)]


def _model_problems(manifest: Mapping[str, Any]) -> list[str]:
    try:
        MODELS[manifest["kind"]].model_validate(manifest.get("spec", {}), extra="forbid")
    except ValidationError as error:
        return [f"{item['loc']}: {item['msg']}" for item in error.errors()]
    return []


def _kubernetes_problems(manifest: Mapping[str, Any]) -> Iterator[str]:
    group = str(manifest.get("apiVersion", "")).rpartition("/")[0]
    if group in OTHER_GROUPS:
        return
    if "." in group and not group.endswith(".k8s.io"):
        yield f"the group {group} is not in OTHER_GROUPS"
        return
    try:
        kubernetes_validate.validate(dict(manifest), KUBERNETES, strict=True)
    except kubernetes_validate.ValidationError as error:
        yield f"{'.'.join(map(str, error.path))}: {error.message}"
    except (kubernetes_validate.SchemaNotFoundError, KeyError):
        yield f"unknown kind {manifest.get('apiVersion')} {manifest['kind']}"
