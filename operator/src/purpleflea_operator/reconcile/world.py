"""Everything known about one agent resource at one moment: values only, read from manifests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from purpleflea_contract import kubernetes
from purpleflea_contract.control import Acknowledgement
from purpleflea_operator.detect.connection import NO_CONNECTION, Connection
from purpleflea_operator.detect.coverage import ALL_COVERED, Coverage
from purpleflea_operator.detect.facts import NO_DATADOG, DatadogFacts
from purpleflea_operator.reconcile.claims import Claim
from purpleflea_operator.render import mounts
from purpleflea_operator.render.identity import Agent

Manifest = Mapping[str, Any]
ChildId = tuple[str, str]
"""Kind and name of a child."""

JOURNAL = mounts.STATE
"""Volume of the trade journal."""
CONTROL_ANNOTATION = "purpleflea.com/mode"
"""On a pod: the trading mode it was last nudged to. Absent means that it has read the file since its start."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod of an agent."""

    name: str
    uid: str
    created: datetime
    ready: bool
    revision: str
    deleting: bool
    mode: str | None
    scheduled: bool
    started: bool
    """Whether the container was ever started."""
    waiting: str = ""
    """Reason why the container waits, as the kubelet says it."""
    message: str = ""
    """The kubelet's, or the scheduler's, explanation."""
    node: str = ""
    """The node it runs on; empty where it is not scheduled."""
    environment: Sequence[Manifest] = ()
    """Variables of the agent's container, as the live pod has them."""
    held: bool = False
    """Whether it waits for the node agent of its node."""
    address: str = ""
    """IP address; empty while it has none."""
    ready_since: datetime | None = None
    """When its readiness last turned."""
    has_passing_journal: bool = False
    """Whether its journal goes with it: on no volume claim."""
    is_controlled: bool = True
    """Whether somebody makes it anew, and takes it away with the agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trading:
    """What is known about the trading mode, beside what is wanted."""

    since: datetime | None = None
    """When the mode that is wanted was set."""
    changed_by: str = ""
    """The field manager that set it."""
    why: str = ""
    """What an annotation on the agent gives as reason."""
    words: Mapping[str, Acknowledgement] = field(default_factory=dict)
    """What each agent last said, by the uid of its pod."""
    undone: Sequence[str] = ()
    """What agents that are gone by now left undone when they stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """What is known. `agent` is None where the spec is invalid; `invalid` says why."""

    agent: Agent | None
    generation: int
    invalid: str = ""
    children: Mapping[ChildId, Manifest] = field(default_factory=dict)
    pods: Sequence[Pod] = ()
    datadog: DatadogFacts = NO_DATADOG
    connection: Connection = NO_CONNECTION
    coverage: Coverage = ALL_COVERED
    """How far the nodes of the agents have a node agent that hears them."""
    hearing: Mapping[str, str] = field(default_factory=dict)
    """What speaks against pods (by UID) being heard, found by asking them; pods without a finding are absent."""
    telemetry: Manifest = field(default_factory=dict)
    """The condition TelemetryReady as the status has it; empty where it has none."""
    failure: str = ""
    """Why a child could not be written, for people; empty when all were."""
    failure_reason: str = "ApplyFailed"
    pod_events: Sequence[str] = ()
    """Messages of warning events about the first pod that does not start."""
    now: datetime | None = None
    """The moment; None where no deadline counts."""
    unavailable_since: datetime | None = None
    """Since when, by the status, not all identities are there; None where they were."""
    claims: Sequence[Claim] = ()
    """Volume claims of the identities, also of those that are gone."""
    growth_refused: str = ""
    """Why the API server lets no claim grow; empty where none was refused."""
    trading: Trading = field(default_factory=Trading)
    rival: str = ""
    """The older agent, as namespace/name, that has the same identities in Datadog; empty where none has."""

    @property
    def stateful_set(self) -> Manifest | None:
        """The StatefulSet of the agent."""
        return next(
            (item for (kind, _), item in self.children.items() if kind == "StatefulSet"), None
        )


def pod(manifest: Manifest) -> Pod:
    """The pod that `manifest` describes."""
    metadata, status = manifest["metadata"], manifest.get("status", {})
    conditions = {item["type"]: item for item in status.get("conditions", [])}
    waiting = _waiting(status)
    unscheduled = conditions.get("PodScheduled", {})
    scheduled = bool(manifest.get("spec", {}).get("nodeName"))
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        created=datetime.fromisoformat(metadata["creationTimestamp"]),
        ready=conditions.get("Ready", {}).get("status") == "True",
        revision=metadata.get("labels", {}).get("controller-revision-hash", ""),
        deleting="deletionTimestamp" in metadata,
        mode=metadata.get("annotations", {}).get(CONTROL_ANNOTATION),
        scheduled=scheduled,
        started=any(
            state in container.get("state", {})
            for container in status.get("containerStatuses", [])
            for state in ("running", "terminated")
        ),
        waiting=waiting.get("reason", ""),
        message=waiting.get("message", "") if scheduled else unscheduled.get("message", ""),
        node=manifest.get("spec", {}).get("nodeName", ""),
        environment=_environment(manifest),
        held=_is_held(status),
        address=status.get("podIP", ""),
        ready_since=_moment(conditions.get("Ready", {}).get("lastTransitionTime")),
        has_passing_journal=any(
            volume["name"] == JOURNAL and "emptyDir" in volume
            for volume in manifest.get("spec", {}).get("volumes", ())
        ),
        is_controlled=any(item.get("controller") for item in metadata.get("ownerReferences", ())),
    )


def _environment(manifest: Manifest) -> Sequence[Manifest]:
    for container in manifest.get("spec", {}).get("containers", []):
        if container["name"] == kubernetes.CONTAINER:
            found: Sequence[Manifest] = container.get("env", ())
            return found
    return ()


def _is_held(status: Manifest) -> bool:
    return any(
        item["name"] == kubernetes.HOLD_CONTAINER and "running" in item.get("state", {})
        for item in status.get("initContainerStatuses", [])
    )


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _waiting(status: Manifest) -> Manifest:
    for container in status.get("containerStatuses", []):
        if "waiting" in container.get("state", {}):
            waiting: Manifest = container["state"]["waiting"]
            return waiting
    return {}


def is_being_created(candidate: Pod) -> bool:
    """Whether the pod is on its node, and its container neither runs nor says why it does not."""
    silent = candidate.waiting in ("", "ContainerCreating")
    return candidate.scheduled and silent and not candidate.started and not candidate.deleting


def stuck_pod(pods: Sequence[Pod], now: datetime, *, after_s: float) -> Pod | None:
    """The first pod that has been on its node for a while and whose container is still being created.

    A missing Secret or ConfigMap shows only in the events of such a pod, not in its status.
    """
    for candidate in sorted(pods, key=lambda item: item.name):
        young = (now - candidate.created).total_seconds() < after_s
        if is_being_created(candidate) and not young:
            return candidate
    return None
