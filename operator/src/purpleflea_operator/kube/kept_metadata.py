"""The part of the metadata that is kept of the resources of users. Pure.

Users may write 1.4 MB into labels, finalizers, owner references and managed fields of one object, and the schema of a
CRD cannot bound them.
"""

from collections.abc import Mapping
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_operator.parsing import Manifest, mapping

_UNUSED = ("annotations", "labels", "managedFields", "ownerReferences")
_ANNOTATIONS = (kubernetes.ANNOTATION_REASON, kubernetes.ANNOTATION_UPGRADE)
"""The annotations of an agent that the operator reads."""
_EXCESS: Mapping[str, str] = {kubernetes.LABEL_TOO_MANY: "true"}


def agent_labels(metadata: Manifest) -> Mapping[str, str]:
    """Return the labels of an agent resource; only the label `LABEL_TOO_MANY` if it has too many."""
    labels: Mapping[str, str] = mapping(metadata.get("labels"))
    return _EXCESS if len(labels) > kubernetes.MAX_AGENT_LABELS else labels


def has_too_many(labels: Mapping[str, str]) -> bool:
    """Return whether an agent has so many labels that they are not kept."""
    return kubernetes.LABEL_TOO_MANY in labels


def agent_annotations(metadata: Manifest) -> dict[str, Any]:
    """Return the annotations of an agent resource that the operator reads."""
    annotations = mapping(metadata.get("annotations"))
    return {key: annotations[key] for key in _ANNOTATIONS if key in annotations}


def reduced(metadata: Manifest) -> Manifest:
    """Return the metadata of a halt or an observability resource without the fields that no decision reads later."""
    return {key: value for key, value in metadata.items() if key not in _UNUSED}
