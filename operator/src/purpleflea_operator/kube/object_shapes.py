"""The types of the fields that the operator reads. Pure: a value of another type is left out, and all others are kept.

Every watched object passes through here once, so the code behind it need not check types. The spec of an agent is not
changed, because its validation names the field in the condition SpecValid.
"""

import operator
from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import repeat
from typing import Any

from purpleflea_operator.kube import resources
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.parsing import Manifest, mapping

_LARGEST = 2**63


@dataclass(frozen=True, slots=True)
class _Fields:
    """A mapping. Fields that are not listed are kept unchanged."""

    fields: Mapping[str, "_Shape"] = field(default_factory=dict)
    required: tuple[str, ...] = ()
    """Fields without which an item of a list is left out."""


@dataclass(frozen=True, slots=True)
class _Values:
    """A mapping whose values have one shape."""

    shape: "_Shape"


@dataclass(frozen=True, slots=True)
class _Items:
    """A list; items of another shape are left out."""

    shape: "_Shape"


_Shape = type[str] | type[int] | type[bool] | _Fields | _Values | _Items

_TEXTS = _Values(str)
_OWNER = _Fields(
    {"kind": str, "name": str, "uid": str, "controller": bool}, ("kind", "name", "uid")
)
_METADATA = _Fields(
    {
        "labels": _TEXTS,
        "annotations": _TEXTS,
        "generation": int,
        "creationTimestamp": str,
        "ownerReferences": _Items(_OWNER),
        "managedFields": _Items(_Fields({"manager": str, "time": str})),
    }
)
_CONDITION = _Fields(
    {"type": str, "status": str, "reason": str, "message": str, "lastTransitionTime": str},
    ("type", "status"),
)
_COUNTS: dict[str, _Shape] = dict.fromkeys(
    ("replicas", "readyReplicas", "updatedReplicas", "observedGeneration"), int
)
_TERMINATED = _Fields({"exitCode": int, "reason": str, "finishedAt": str})
_STATE = _Fields(
    {
        "waiting": _Fields({"reason": str, "message": str}),
        "running": _Fields(),
        "terminated": _TERMINATED,
    }
)
_CONTAINER_STATUS = _Fields(
    {"name": str, "restartCount": int, "state": _STATE, "lastState": _STATE}, ("name",)
)
_NAMED = _Fields({"name": str}, ("name",))
_CONTAINER = _Fields({"name": str, "env": _Items(_NAMED)}, ("name",))
_POD = _Fields(
    {
        "metadata": _METADATA,
        "spec": _Fields(
            {
                "nodeName": str,
                "containers": _Items(_CONTAINER),
                "initContainers": _Items(_CONTAINER),
                "volumes": _Items(_NAMED),
                "nodeSelector": _TEXTS,
            }
        ),
        "status": _Fields(
            {
                "podIP": str,
                "conditions": _Items(_CONDITION),
                "containerStatuses": _Items(_CONTAINER_STATUS),
                "initContainerStatuses": _Items(_CONTAINER_STATUS),
            }
        ),
    }
)
_REQUESTS = _Fields({"requests": _TEXTS}, ("requests",))
_CLAIM_SPEC = _Fields({"accessModes": _Items(str), "resources": _REQUESTS, "storageClassName": str})
_STATEFUL_SET = _Fields(
    {
        "metadata": _METADATA,
        "spec": _Fields(
            {
                "replicas": int,
                "updateStrategy": _Fields({"rollingUpdate": _Fields({"partition": int})}),
                "volumeClaimTemplates": _Items(
                    _Fields({"metadata": _NAMED, "spec": _CLAIM_SPEC}, ("metadata", "spec"))
                ),
            }
        ),
        "status": _Fields({**_COUNTS, "updateRevision": str, "currentRevision": str}),
    }
)
_SHAPES: dict[ResourceKind, _Fields] = {
    resources.AGENT: _Fields(
        {
            "metadata": _METADATA,
            "status": _Fields(
                {
                    **_COUNTS,
                    "conditions": _Items(
                        _Fields(
                            _CONDITION.fields,
                            (*_CONDITION.required, "reason", "lastTransitionTime"),
                        )
                    ),
                    "trading": _Fields(
                        {"mode": str, "since": str, "changedBy": str, "reason": str}
                    ),
                    "datadog": _Fields(),
                }
            ),
        }
    ),
    resources.POD: _POD,
    resources.STATEFUL_SET: _STATEFUL_SET,
    resources.CLAIM: _Fields(
        {
            "metadata": _METADATA,
            "spec": _CLAIM_SPEC,
            "status": _Fields({"capacity": _TEXTS}),
        }
    ),
    resources.CONFIG_MAP: _Fields({"metadata": _METADATA, "data": _TEXTS}),
}
_CHILD = _Fields({"metadata": _METADATA, "spec": _Fields()})


def shaped(kind: ResourceKind, manifest: Manifest) -> Manifest:
    """Return an object without values of a wrong type; the object itself if there are none."""
    shape = _SHAPES.get(kind, _CHILD if kind in resources.CHILDREN else None)
    if shape is None:
        return manifest
    found: Manifest = _fitted(manifest, shape)
    metadata, spec = found["metadata"], kind in (resources.POD, resources.STATEFUL_SET)
    if "generation" not in metadata and kind is resources.AGENT:
        found = {**found, "metadata": {**metadata, "generation": 0}}
    return {**found, "spec": {}} if spec and "spec" not in found else found


def _fitted(value: Any, shape: _Fields | _Values | _Items) -> Any:
    """Return the part of a value that has the shape. A mapping or list of a wrong type becomes empty.

    Nearly every value has its shape, so nothing is built for such a value, and it is returned itself.
    """
    if isinstance(shape, _Items):
        items = value if isinstance(value, list) else []
        kept = [found for item in items if (found := _kept(item, shape.shape)) is not None]
        kept = [item for item in kept if _is_complete(item, shape.shape)]
        is_same = items is value and len(kept) == len(items)
        return value if is_same and all(map(operator.is_, kept, items)) else kept
    known = mapping(value)
    shapes = shape.fields.items() if isinstance(shape, _Fields) else zip(known, repeat(shape.shape))
    changes: dict[str, Any] = {}
    for key, inner in shapes:
        if key in known:
            item = known[key]
            found = _kept(item, inner)
            if found is None or found is not item:
                changes[key] = found
    if known is value and not changes:
        return value
    # None removes a key.
    merged = {**known, **changes}
    return {key: item for key, item in merged.items() if item is not None or key not in changes}


def _is_complete(item: Any, shape: _Shape) -> bool:
    return not isinstance(shape, _Fields) or all(key in item for key in shape.required)


def _kept(value: Any, shape: _Shape) -> Any:
    """Return the part of a value that has the shape, or None."""
    if value is None:
        return None
    if not isinstance(shape, type):
        return _fitted(value, shape)
    is_typed = isinstance(value, shape) and (shape is not int or not isinstance(value, bool))
    if shape is int and is_typed:
        return value if -_LARGEST <= value < _LARGEST else None
    return value if is_typed else None
