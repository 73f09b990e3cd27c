"""Who an agent is: its names, labels and owner reference. Selectors never contain what can change."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from purpleflea_contract import kubernetes
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.parsing import MutableManifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A valid agent resource, as the renderer and the checks see it."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: AgentSpec
    partition: int = 0
    """Identities below this ordinal keep the revision that they have: where a rollout that fails is stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """What the operator's own settings say where a spec is silent."""

    image: str
    image_pull_policy: str = "IfNotPresent"


def image_of(agent: Agent, defaults: Defaults) -> str:
    """The image that the agent runs."""
    return agent.spec.image.reference if agent.spec.image else defaults.image


def version_of(agent: Agent, defaults: Defaults) -> str:
    """The unified service tag version: as written, else the image's tag, else the start of its digest."""
    if agent.spec.datadog.version:
        return agent.spec.datadog.version
    image, _, digest = image_of(agent, defaults).partition("@")
    tag = image.rpartition("/")[2].partition(":")[2]
    return (tag or digest.removeprefix("sha256:")[:12] or "unknown")[:63]


def selector(name: str) -> dict[str, str]:
    """Labels by which the pods of an agent are found; they never change."""
    return {kubernetes.LABEL_NAME: "purpleflea-agent", kubernetes.LABEL_INSTANCE: name}


def labels(agent: Agent) -> dict[str, str]:
    """Labels of every child."""
    return {
        **selector(agent.name),
        kubernetes.LABEL_COMPONENT: "trading-agent",
        kubernetes.LABEL_PART_OF: "purpleflea",
        kubernetes.LABEL_MANAGED_BY: kubernetes.MANAGED_BY,
        kubernetes.LABEL_STRATEGY: agent.spec.strategy,
    }


LABELS = frozenset(
    {
        kubernetes.LABEL_NAME,
        kubernetes.LABEL_INSTANCE,
        kubernetes.LABEL_COMPONENT,
        kubernetes.LABEL_PART_OF,
        kubernetes.LABEL_MANAGED_BY,
        kubernetes.LABEL_STRATEGY,
    }
)
"""The keys of the labels of every child."""


def unified_service_labels(agent: Agent, defaults: Defaults) -> dict[str, str]:
    """The three labels of Datadog's unified service tagging."""
    return {
        kubernetes.DD_LABEL_ENV: agent.spec.datadog.env,
        kubernetes.DD_LABEL_SERVICE: agent.spec.datadog.service,
        kubernetes.DD_LABEL_VERSION: version_of(agent, defaults),
    }


def manifest(
    agent: Agent, api_version: str, kind: str, *, more_labels: Mapping[str, str] | None = None
) -> MutableManifest:
    """The frame of a child: its name, labels and owner."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            "name": agent.name,
            "namespace": agent.namespace,
            "labels": {**labels(agent), **(more_labels or {})},
            "ownerReferences": [
                {
                    "apiVersion": kubernetes.API_VERSION,
                    "kind": "PurpleFleaAgent",
                    "name": agent.name,
                    "uid": agent.uid,
                    "controller": True,
                }
            ],
        },
    }


def hashed(item: MutableManifest) -> MutableManifest:
    """A child with the hash of what it should be."""
    text = orjson.dumps(item, option=orjson.OPT_SORT_KEYS)
    digest = hashlib.sha256(text).hexdigest()[:16]
    annotations = {
        **item["metadata"].get("annotations", {}),
        kubernetes.ANNOTATION_DESIRED_HASH: digest,
    }
    return {**item, "metadata": {**item["metadata"], "annotations": annotations}}
