"""The record on a StatefulSet of the origin of its pod template: which fields of the spec, and which cause.

The hash of the spec contains only fields whose change restarts the agents, and no fields with their default value. So
another version of the operator computes the same hash, and a new field with a default does not change it.
"""

import functools

from pydantic import BaseModel

from purpleflea_contract import kubernetes
from purpleflea_operator.api import change_effects
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.manifests.metadata import Agent, content_hash
from purpleflea_operator.parsing import Manifest, mapping, text

OPERATOR_UPGRADE = str(Reason.OPERATOR_UPGRADE)
"""Value of the annotation for the cause."""
KEYS = (
    kubernetes.ANNOTATION_SPEC_HASH,
    kubernetes.ANNOTATION_ROLLOUT_CAUSE,
    kubernetes.ANNOTATION_UPGRADE,
    kubernetes.ANNOTATION_LAST_GOOD_TEMPLATE,
)
"""Annotations of the record. They change only together with the pod template."""

HASHES = 1024
"""Specs whose hash is kept. A pass needs it several times."""


def spec_hash(agent: Agent) -> str:
    """Return the hash of the fields that users set and whose change restarts the agents."""
    return _spec_hash(_ById(agent.spec))


class _ById:
    """A spec as the key of a cache. Specs are compared by identity, because a comparison of all fields is slow."""

    def __init__(self, spec: AgentSpec) -> None:
        self.spec = spec

    def __hash__(self) -> int:
        return id(self.spec)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _ById) and other.spec is self.spec


@functools.lru_cache(maxsize=HASHES)
def _spec_hash(key: _ById) -> str:
    spec: BaseModel = key.spec
    for path in change_effects.WITHOUT_RESTART:
        spec = _with_default(spec, path.split("."))
    fields = spec.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    # A change of the storage restarts no pod, but the first storage replaces a volume of the pods.
    storage = key.spec.storage
    return content_hash({**fields, "hasStorage": storage is not None and not storage.ephemeral})


def template_hash(stateful_set: Manifest) -> str:
    """Return the hash of the pod template; empty if an older version of the operator wrote the template."""
    template = mapping(mapping(stateful_set.get("spec")).get("template"))
    annotations = mapping(mapping(template.get("metadata")).get("annotations"))
    return text(annotations.get(kubernetes.ANNOTATION_TEMPLATE_HASH))


def recorded(stateful_set: Manifest) -> dict[str, str]:
    """Return the annotations of the record that a StatefulSet has."""
    annotations = mapping(stateful_set["metadata"].get("annotations"))
    return {key: text(annotations[key]) for key in KEYS if key in annotations}


def last_good(stateful_set: Manifest) -> str:
    """Return the hash of the last template before the current one with which all pods were ready; empty if unknown."""
    return recorded(stateful_set).get(kubernetes.ANNOTATION_LAST_GOOD_TEMPLATE, "")


def is_operator_upgrade(stateful_set: Manifest) -> bool:
    """Return whether the operator caused the last change of the pod template."""
    return recorded(stateful_set).get(kubernetes.ANNOTATION_ROLLOUT_CAUSE) == OPERATOR_UPGRADE


def _with_default(model: BaseModel, path: list[str]) -> BaseModel:
    """Return the model with the default value of the field at `path`, such as trading.mode; itself if it has that."""
    alias, *rest = path
    fields = type(model).model_fields
    name = next(key for key, field in fields.items() if field.alias == alias)
    value = getattr(model, name)
    wanted = fields[name].default
    if rest:
        wanted = _with_default(value, rest) if isinstance(value, BaseModel) else value
    # Most fields have their default, and a copy is slow.
    return model if wanted is value else model.model_copy(update={name: wanted})
