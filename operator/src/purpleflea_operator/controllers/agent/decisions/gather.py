"""The observed state of one agent, read from the cache. Pure: no request, no decision, no change of anything.

`gather` builds the ObservedState once per pass. The actions of the pass add to it with `with_outcome`.
"""

import functools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson
from pydantic import ValidationError

from purpleflea_contract import kubernetes
from purpleflea_contract.control import Mode
from purpleflea_operator.api import spec_limits
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.unknown_fields import newer_fields
from purpleflea_operator.api.validation_errors import first_error
from purpleflea_operator.controllers.agent.decisions import connection_choice, plan
from purpleflea_operator.controllers.agent.decisions.effective_mode import with_mode
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    ObservedState,
    pod,
    stateful_set_of,
)
from purpleflea_operator.controllers.agent.decisions.remembered import (
    NOTHING,
    Remembered,
    expansion_error,
)
from purpleflea_operator.controllers.agent.decisions.storage import claim, with_live_journals
from purpleflea_operator.controllers.agent.decisions.switching import switches
from purpleflea_operator.controllers.halt.decisions.halt import NO_HALTS, HaltView
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION, Connection
from purpleflea_operator.datadog.detection.coverage import Coverage, NodeView, coverage
from purpleflea_operator.datadog.detection.placement import placement
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.kept_metadata import agent_labels, has_too_many
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.manifests.metadata import Agent, constant_labels
from purpleflea_operator.manifests.refusals import first_refusal
from purpleflea_operator.parsing import Manifest, mapping, text, timestamp

_WATCHED_LABELS = (
    kubernetes.LABEL_INSTANCE,
    kubernetes.LABEL_COMPONENT,
    kubernetes.LABEL_MANAGED_BY,
)
PARSED_LIMIT = 1024
"""Agents whose parsed spec of 7 kB is kept, because most passes read the same spec again. It does not grow with the
cluster."""
LARGEST_KEPT = 32 * 1024
"""Longest spec in bytes whose parsed form is kept."""

_TOO_MANY_LABELS = (
    f"metadata.labels: an agent may have at most {kubernetes.MAX_AGENT_LABELS} labels, and this one has more, so each "
    "PurpleFleaHalt that selects agents of its namespace by labels applies to it; remove labels"
)


class AgentReports(Protocol):
    """What the agents report about themselves, by UID of their pods."""

    def findings(self, uids: Iterable[str]) -> Mapping[str, str]:
        """Return the results of the telemetry probe."""

    def not_ready(self, uids: Iterable[str]) -> Mapping[str, str]:
        """Return the reasons of pods that are not ready, without pods that were not asked."""

    def mismatches(self, uids: Iterable[str]) -> Mapping[str, Sequence[str]]:
        """Return the markets with a mismatch of the position, without pods that were not asked."""


class _NoReports:
    """No agent reports anything."""

    def findings(self, _uids: Iterable[str]) -> Mapping[str, str]:
        return {}

    def not_ready(self, _uids: Iterable[str]) -> Mapping[str, str]:
        return {}

    def mismatches(self, _uids: Iterable[str]) -> Mapping[str, Sequence[str]]:
        return {}


NO_REPORTS = _NoReports()


@dataclass(frozen=True, slots=True, kw_only=True)
class Surroundings:
    """Read-only views of everything besides the agent's own objects."""

    nodes: NodeView
    reports: AgentReports = NO_REPORTS
    conflicting_agent: str = ""
    """Agent, as namespace/name, that already has the same identities in Datadog."""
    conflict_is_ending: bool = False
    """True if only pods of that agent are left."""
    conflict_ends_in_s: float | None = None
    """Seconds until the conflict is evaluated again without an event; None if only an event ends it."""
    conflict_error: str = ""
    """Why the pods of that agent could not be read; empty if they could."""
    never_started: bool = False
    """True if no container of the agent has ever run."""
    cluster: str = ""
    """Name of this cluster; empty if it has none."""
    sees_all_namespaces: bool = True
    unwatched: str = ""
    """Why the objects of the namespace are outdated; empty if they are not."""
    halts: HaltView = NO_HALTS


def gather(
    resource: dict[str, Any],
    cache: ObjectCache,
    surroundings: Surroundings,
    *,
    now: datetime,
    remembered: Remembered = NOTHING,
) -> ObservedState:
    """Return the observed state; children of a deleted agent of the same name are left out."""
    metadata, nodes = resource["metadata"], surroundings.nodes
    key = NamespacedName(metadata["namespace"], metadata["name"])
    agent, invalid = in_cluster(*parsed(resource), surroundings.cluster)
    children = owned_children(cache, key, metadata["uid"])
    manifests = agent_pods(cache, key)
    pods = tuple(pod(item) for item in manifests)
    uids = [item.uid for item in pods]
    if agent is not None:
        agent = with_live_journals(
            agent,
            stateful_set_of(children) or remembered.recreated,
            has_ephemeral_pods=any(item.has_ephemeral_journal for item in pods),
        )
    claims = tuple(claim(item) for item in cache.owned(resources.CLAIM, key))
    current = connection_choice.current_connection(agent, stateful_set_of(children), manifests)
    best = connection_choice.best_connection(agent, current, nodes)
    observed = ObservedState(
        agent=agent,
        generation=metadata["generation"],
        metadata=metadata,
        reported_generation=resource.get("status", {}).get("observedGeneration"),
        reported_progress=text(condition(resource, ConditionType.PROGRESSING).get("reason")),
        upgrade_request=_upgrade_request(metadata),
        recreated=remembered.recreated,
        invalid=invalid,
        stop_mode=stop_mode(resource) if agent is None else None,
        children=children,
        pods=pods,
        datadog=nodes.facts,
        connection=best,
        lost_nodes=_lost_nodes(manifests, nodes),
        coverage=_coverage(manifests, best, nodes),
        current_connection=current,
        current_coverage=_coverage(manifests, _kept(current, best), nodes),
        telemetry_delivery=surroundings.reports.findings(uids),
        telemetry_condition=condition(resource, ConditionType.TELEMETRY_READY),
        not_ready=surroundings.reports.not_ready(uids),
        mismatches=surroundings.reports.mismatches(uids),
        available_condition=condition(resource, ConditionType.WORKLOAD_AVAILABLE),
        positions_condition=condition(resource, ConditionType.POSITIONS_CONSISTENT),
        now=now,
        unavailable_since=_unavailable_since(resource),
        claims=claims,
        expansion_error=expansion_error(remembered.expansion, agent, claims),
        sees_all_namespaces=surroundings.sees_all_namespaces,
        unwatched=surroundings.unwatched,
        conflicting_agent=surroundings.conflicting_agent,
        conflict_is_ending=surroundings.conflict_is_ending,
        conflict_ends_in_s=surroundings.conflict_ends_in_s,
        conflict_error=surroundings.conflict_error,
        never_started=surroundings.never_started,
        recreated_at=remembered.recreated_at,
    )
    return with_mode(observed, resource, surroundings.halts, now=now, remembered=remembered)


def _kept(current: Connection | None, best: Connection) -> Connection:
    """Return the current connection if the pass can keep it instead of the best one; otherwise no connection."""
    if current is None or not switches(current, best):
        return NO_CONNECTION
    return current


def _lost_nodes(pods: Iterable[dict[str, Any]], nodes: NodeView) -> frozenset[str]:
    """Return the nodes of the pods that are not ready."""
    if not nodes.is_visible:
        return frozenset()
    found = (nodes.node(text(item.get("spec", {}).get("nodeName"))) for item in pods)
    return frozenset(item.name for item in found if item is not None and not item.is_ready)


def _coverage(pods: Iterable[dict[str, Any]], used: Connection, nodes: NodeView) -> Coverage:
    """Return the coverage of the nodes of pods, and of the nodes to which pending pods can be scheduled."""
    specs = [item.get("spec", {}) for item in pods]
    names = frozenset(spec["nodeName"] for spec in specs if "nodeName" in spec)
    pending = frozenset(placement(spec) for spec in specs if "nodeName" not in spec)
    if not pending:
        return coverage(names, nodes.facts, used, nodes)
    return nodes.coverage_of_pending(pending, names, used)


def owned_children(
    cache: ObjectCache,
    key: NamespacedName,
    uid: str,
    *,
    kinds: Iterable[ResourceKind] = resources.CHILDREN,
) -> dict[tuple[str, str], dict[str, Any]]:
    """Return the children of these kinds that the agent with this UID controls."""
    return {
        plan.child_id(item): item
        for kind in kinds
        for item in cache.owned(kind, key)
        if is_owned(item, uid)
    }


def agent_pods(cache: ObjectCache, key: NamespacedName) -> list[dict[str, Any]]:
    """Return the pods of the identities of an agent, without other pods that have its labels.

    A pod that was copied, or that another workload created, is not an identity. It acknowledges no mode, so it would
    delay the proof of a halt. While the StatefulSet is recreated, its pods have no owner.
    """
    return [item for item in cache.owned(resources.POD, key) if is_identity(item, key.name)]


def is_identity(manifest: Manifest, agent: str) -> bool:
    """Return whether a pod is controlled by the StatefulSet of the agent, or is an orphan with the name of a pod of it.

    The UID of the StatefulSet is not compared, because pods refer to the previous one while it is recreated. Only one
    StatefulSet can have the name.
    """
    references = manifest["metadata"].get("ownerReferences", [])
    controllers = [item for item in references if item.get("controller")]
    if controllers:
        return any(item["kind"] == "StatefulSet" and item["name"] == agent for item in controllers)
    head, _, number = str(manifest["metadata"]["name"]).rpartition("-")
    return head == agent and number.isascii() and number.isdecimal()


def is_watched(manifest: Manifest, agent: str) -> bool:
    """Return whether a child or pod of an agent has the labels by which the watches and the cache find it."""
    labels, expected = mapping(manifest["metadata"].get("labels")), constant_labels(agent)
    return all(labels.get(key) == expected[key] for key in _WATCHED_LABELS)


def has_workload_or_pods(cache: ObjectCache, key: NamespacedName) -> bool:
    """Return whether the cache has pods of an agent, or the StatefulSet that creates them."""
    return any(cache.owned(kind, key) for kind in (resources.POD, resources.STATEFUL_SET))


def condition(resource: Manifest, kind: ConditionType) -> dict[str, Any]:
    """Return a condition of the status; empty if the status has none of that type."""
    conditions = resource.get("status", {}).get("conditions", [])
    return next((item for item in conditions if item["type"] == kind), {})


def _upgrade_request(metadata: Manifest) -> str:
    return text(mapping(metadata.get("annotations")).get(kubernetes.ANNOTATION_UPGRADE))


def _unavailable_since(resource: dict[str, Any]) -> datetime | None:
    available = condition(resource, ConditionType.WORKLOAD_AVAILABLE)
    if not available or available["status"] == "True":
        return None
    return timestamp(available.get("lastTransitionTime"))


def parsed(resource: dict[str, Any]) -> tuple[Agent | None, str]:
    """Return the agent, or None and the error in its spec with the name of the field."""
    metadata, spec = resource["metadata"], resource.get("spec", {})
    identity = (metadata["namespace"], metadata["name"], metadata["uid"], metadata["generation"])
    excess = spec_limits.excess(spec)
    if excess:
        return None, f"spec: {excess}"
    if has_too_many(agent_labels(metadata)):
        return None, _TOO_MANY_LABELS
    try:
        content = orjson.dumps(spec)
    except TypeError:
        # A free-form field can hold an integer of more than 64 bits.
        return _validated(spec, *identity)
    if len(content) > LARGEST_KEPT:
        return _validated(spec, *identity)
    return _parsed(content, *identity)


def in_cluster(agent: Agent | None, invalid: str, cluster: str) -> tuple[Agent | None, str]:
    """Return a parsed agent if it may run in this cluster, else None and the error.

    An agent that is applied to two clusters would trade twice with one key. An operator that has no name refuses too,
    because it cannot be the named one for certain.
    """
    wanted = None if agent is None else agent.spec.datadog.cluster
    if wanted is None or wanted == cluster:
        return agent, invalid
    here = f"this cluster is {cluster}" if cluster else "the operator has no name of its cluster"
    return None, (
        f"spec.datadog.cluster: the agent may only run in cluster {wanted}, but {here}; delete the agent here, or "
        f"correct the field or the chart value datadog.cluster"
    )


@functools.lru_cache(maxsize=PARSED_LIMIT)
def _parsed(
    spec: bytes, namespace: str, name: str, uid: str, generation: int
) -> tuple[Agent | None, str]:
    return _validated(orjson.loads(spec), namespace, name, uid, generation)


def _validated(
    manifest: Manifest, namespace: str, name: str, uid: str, generation: int
) -> tuple[Agent | None, str]:
    unknown: tuple[str, ...] = ()
    try:
        # Strict, because a field that this version does not support can be a limit that a user relies on.
        spec = AgentSpec.model_validate(manifest, extra="forbid")
    except ValidationError as error:
        unknown = newer_fields(AgentSpec, error)
        if not unknown:
            return None, first_error(error)
        # The CRD is newer than this version of the operator. The condition SpecValid names the fields.
        spec = AgentSpec.model_validate(manifest)
    agent = Agent(
        namespace=namespace,
        name=name,
        uid=uid,
        generation=generation,
        spec=spec,
        unsupported=unknown,
    )
    refused = first_refusal(agent)
    return (None, refused) if refused else (agent, "")


def workloads(cache: ObjectCache, key: NamespacedName) -> list[dict[str, Any]]:
    """Return the StatefulSets of an agent, also that of a predecessor with its name."""
    return [item for item in cache.owned(resources.STATEFUL_SET, key) if is_of_agent(item)]


def stop_mode(resource: dict[str, Any]) -> Mode | None:
    """Return the mode if the spec, valid or not, requests Halted or Stopped; otherwise None."""
    mode = mapping(mapping(resource.get("spec")).get("trading")).get("mode")
    return Mode(mode) if mode in (Mode.HALTED, Mode.STOPPED) else None


def is_of_agent(manifest: Manifest) -> bool:
    """Return whether any agent controls `manifest`."""
    references = manifest["metadata"].get("ownerReferences", [])
    return any(item.get("controller") and item["kind"] == "PurpleFleaAgent" for item in references)


def is_owned(manifest: Manifest, uid: str) -> bool:
    """Return whether the agent with this UID controls `manifest`."""
    references = manifest["metadata"].get("ownerReferences", [])
    return any(item.get("uid") == uid and item.get("controller") for item in references)
