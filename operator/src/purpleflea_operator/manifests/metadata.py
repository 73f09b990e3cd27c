"""Names, labels and owner references of the child objects of an agent.

Selectors contain only labels that never change, because the selector of a StatefulSet is immutable.
"""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from purpleflea_contract import kubernetes
from purpleflea_contract.control import Control
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.api.pod import Storage
from purpleflea_operator.datadog.detection.trust import DEFAULT_NAMESPACES
from purpleflea_operator.parsing import MutableManifest

DEFAULT_STORAGE = Storage()
"""Volumes of an agent whose spec has no storage."""
LABEL_LIMIT = 63
"""Longest value of a label."""
_NOT_IN_LABELS = re.compile("[^A-Za-z0-9._-]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Agent:
    """A valid PurpleFleaAgent, as input of the renderer and of the conditions."""

    namespace: str
    name: str
    uid: str
    generation: int
    spec: AgentSpec
    unsupported: tuple[str, ...] = ()
    """Fields of the spec that this version of the operator does not have, because the CRD is newer."""
    control: Control | None = None
    """The control file, if it is not only the mode of the spec."""
    is_halted: bool = False
    """True if a PurpleFleaHalt requests the mode."""
    has_ephemeral_pods: bool = False
    """True if the spec has no storage and the agent runs without volumes, as earlier versions created it."""
    has_volumes: bool = False
    """True if the spec requests an ephemeral journal and the agent runs with volumes."""

    @property
    def storage(self) -> Storage | None:
        """The volumes of the journals; None if the journals are in the pods.

        Volumes are the default, but a running agent keeps what it has: a new version of the operator must not recreate
        workloads, and journals must not be lost.
        """
        wanted = self.spec.storage
        if wanted is None:
            return None if self.has_ephemeral_pods else DEFAULT_STORAGE
        if wanted.ephemeral:
            return DEFAULT_STORAGE if self.has_volumes else None
        return wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Values from the operator's settings that apply if the spec does not set them."""

    image: str
    image_pull_policy: str = "IfNotPresent"
    image_pull_secrets: tuple[str, ...] = ()
    """Names of Secrets with registry credentials for the image, in the namespace of the agent."""
    fs_group: int | None = 10001
    """Group that owns the volumes. None if the cluster assigns it, as OpenShift does. The default is the group of the
    agent image."""
    dns_ports: tuple[int, ...] = (53, 1053, 5353)
    """Ports that DNS servers may listen on. A network plugin may compare the port of the DNS pod and not the port of
    its Service: 5353 on OpenShift, 1053 for a CoreDNS without privileges."""
    operator_namespace: str = ""
    """Namespace of the operator's pods. If it is empty, the operator runs outside the cluster."""
    datadog_namespaces: tuple[str, ...] = DEFAULT_NAMESPACES
    """Namespaces of the node agents that run checks; `*` is every namespace."""


def image_of(agent: Agent, defaults: Defaults) -> str:
    """Return the image of the agent container."""
    return agent.spec.image.reference if agent.spec.image else defaults.image


def version_of(agent: Agent, defaults: Defaults) -> str:
    """Return the unified service tag version: the field of the spec, the image's tag, or a part of its digest."""
    if agent.spec.datadog.version:
        return agent.spec.datadog.version
    image, _, digest = image_of(agent, defaults).partition("@")
    tag = image.rpartition("/")[2].partition(":")[2]
    return label_value(tag or digest.removeprefix("sha256:")[:12]) or "unknown"


def label_value(content: str) -> str:
    """Return a text as the value of a label: at most 63 characters, with a letter or digit at both ends.

    Two long texts with the same beginning get different values, because the rest is replaced by its hash.
    """
    clean = _NOT_IN_LABELS.sub("_", content)
    if len(clean) > LABEL_LIMIT:
        digest = hashlib.sha256(content.encode()).hexdigest()[:8]
        clean = f"{clean[: LABEL_LIMIT - 9].rstrip('-_.')}-{digest}"
    return clean.strip("-_.")


def selector(name: str) -> dict[str, str]:
    """Return the labels that select the pods of an agent."""
    return {kubernetes.LABEL_NAME: "purpleflea-agent", kubernetes.LABEL_INSTANCE: name}


def labels(agent: Agent) -> dict[str, str]:
    """Return the labels of every child."""
    return {**constant_labels(agent.name), kubernetes.LABEL_STRATEGY: agent.spec.strategy}


def constant_labels(name: str) -> dict[str, str]:
    """Return the labels of every child that do not depend on the spec of the agent."""
    return {
        **selector(name),
        kubernetes.LABEL_COMPONENT: "trading-agent",
        kubernetes.LABEL_PART_OF: "purpleflea",
        kubernetes.LABEL_MANAGED_BY: kubernetes.MANAGED_BY,
    }


def child_metadata(namespace: str, name: str, uid: str) -> MutableManifest:
    """Return the name, the labels that do not depend on the spec, and the owner reference of a child."""
    return {
        "name": name,
        "namespace": namespace,
        "labels": constant_labels(name),
        "ownerReferences": [
            {
                "apiVersion": kubernetes.API_VERSION,
                "kind": "PurpleFleaAgent",
                "name": name,
                "uid": uid,
                "controller": True,
            }
        ],
    }


CHILD_LABEL_KEYS = frozenset(
    {
        kubernetes.LABEL_NAME,
        kubernetes.LABEL_INSTANCE,
        kubernetes.LABEL_COMPONENT,
        kubernetes.LABEL_PART_OF,
        kubernetes.LABEL_MANAGED_BY,
        kubernetes.LABEL_STRATEGY,
    }
)
"""Keys of the labels that the operator sets on every child."""


def unified_service_labels(agent: Agent, defaults: Defaults) -> dict[str, str]:
    """Return the three labels of Datadog's unified service tagging."""
    return {
        kubernetes.DD_LABEL_ENV: agent.spec.datadog.env,
        kubernetes.DD_LABEL_SERVICE: agent.spec.datadog.service,
        kubernetes.DD_LABEL_VERSION: version_of(agent, defaults),
    }


def child_manifest(
    agent: Agent, api_version: str, kind: str, *, more_labels: Mapping[str, str] | None = None
) -> MutableManifest:
    """Return a child without content: only its name, labels and owner reference."""
    return {
        "apiVersion": api_version,
        "kind": kind,
        "metadata": {
            **child_metadata(agent.namespace, agent.name, agent.uid),
            "labels": {**labels(agent), **(more_labels or {})},
        },
    }


def content_hash(content: object) -> str:
    """Return a short hash of JSON-like content; the sequence of keys does not matter."""
    text = orjson.dumps(content, option=orjson.OPT_SORT_KEYS)
    return hashlib.sha256(text).hexdigest()[:16]


def with_desired_hash(item: MutableManifest) -> MutableManifest:
    """Return a child with the hash of its desired state as an annotation; an earlier hash is replaced."""
    key, metadata = kubernetes.ANNOTATION_DESIRED_HASH, item["metadata"]
    if key in metadata.get("annotations", {}):
        others = {name: text for name, text in metadata["annotations"].items() if name != key}
        item = {**item, "metadata": {**metadata, "annotations": others}}
    annotations = {**item["metadata"].get("annotations", {}), key: content_hash(item)}
    return {**item, "metadata": {**item["metadata"], "annotations": annotations}}
