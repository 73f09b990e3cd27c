"""The observed state of one agent resource, and the outcome of the pass that acts on it.

The state holds values only, read from manifests and from the operator's memory. This module decides nothing, and a
state is never changed: `with_outcome` returns the state at the end of a pass.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import Enum, auto

from purpleflea_contract import control_file, kubernetes
from purpleflea_contract.control import Acknowledgement, Control, Mode
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions.storage import VolumeClaim
from purpleflea_operator.controllers.halt.decisions.halt import Halt
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION, Connection
from purpleflea_operator.datadog.detection.coverage import ALL_COVERED, Coverage
from purpleflea_operator.datadog.detection.facts import NO_DATADOG, DatadogFacts
from purpleflea_operator.manifests import volumes
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.parsing import Manifest, mapping, mappings, text, timestamp

ChildId = tuple[str, str]
"""Kind and name of a child."""
JOURNAL = volumes.STATE
"""Volume of the trade journal."""
CONTROL_ANNOTATION = control_file.ANNOTATION

LONG_AGO = datetime.fromtimestamp(0, UTC)
UNSPECIFIC_REASONS = ("", "ContainerCreating", "PodInitializing")
"""Reasons of a waiting container that do not explain why it waits. Only Events do."""


class UpgradeWait(Enum):
    """The event that a pending upgrade of an agent waits for."""

    NOTHING = auto()
    """No upgrade is pending."""
    TURN = auto()
    """A restart slot, because only a part of the agents restarts at a time."""
    REQUEST = auto()
    """A request of a user, because the upgrade policy is Manual."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPod:
    """One pod of an agent."""

    name: str
    uid: str
    created: datetime
    ready: bool
    revision: str
    template_hash: str
    """Hash of the template that the operator rendered; empty if an earlier version rendered it."""
    deleting: bool
    last_nudge: str | None
    """Value of the annotation with the trading mode; None if there is none."""
    scheduled: bool
    started: bool
    """True if the container runs, or has terminated and waits for its restart."""
    ended: bool = False  # The kubelet starts no container of the pod any more.
    initializing: bool = False
    """True if an init container or a sidecar has started."""
    restarts: int = 0
    """Number of restarts of the container."""
    last_exit: str = ""
    """Reason and exit code of the last failed run, such as "OOMKilled (exit code 137)"; empty if no run failed."""
    last_exit_at: datetime | None = None
    waiting: str = ""
    """Reason of the kubelet why the container waits."""
    message: str = ""
    """Explanation of the kubelet or of the scheduler."""
    node: str = ""
    """Node of the pod; empty if the pod is not scheduled."""
    environment: Sequence[Manifest] = ()
    """Environment variables of the agent's container in the live pod."""
    waiting_for_node_agent: bool = False
    """True if the init container still waits for the node agent."""
    address: str = ""
    """IP address of the pod; empty if it has none yet."""
    ready_since: datetime | None = None
    """Time of the last change of the pod's readiness."""
    has_ephemeral_journal: bool = False
    """True if the trade journal is on an emptyDir and is lost with the pod."""
    sidecar_ports: Sequence[tuple[str, int]] = ()
    """Protocol and port of each port of the other containers."""
    service_account: str = ""
    """Name of the ServiceAccount of the pod."""
    is_controlled: bool = True
    """True if the pod has a controller that recreates it, and is deleted with the agent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TradingObservation:
    """The observed state of the trading mode, besides the desired mode."""

    since: datetime | None = None
    """Time at which the desired mode was set."""
    changed_by: str = ""
    """Field manager that set the mode, or the PurpleFleaHalt."""
    reason: str = ""
    """Reason for the mode, from an annotation on the agent, or from the PurpleFleaHalt."""
    delivered_at: datetime | None = None
    """Time at which this process first sent the mode to the pods, by a monotonic clock; None if it has not."""
    acknowledgements: Mapping[str, Acknowledgement] = field(default_factory=dict)
    """Last response of each pod, by UID of the pod, as in the next two fields."""
    stale_pods: Mapping[str, int] = field(default_factory=dict)
    """Pods that still report another mode, with the number of requests sent to each."""
    outdated_pods: Collection[str] = ()
    """Pods that may have read another file since they were nudged, because the ConfigMap had another one."""
    unseen: Mapping[str, float] = field(default_factory=dict)
    """Names of pods that may run although they are not watched, and the monotonic time at which to search them."""
    confirmed: Collection[str] = ()
    """Names of pods that did not run when the API server was asked after the mode was written."""
    mounted: Mapping[str, str] = field(default_factory=dict)
    """By name: UID of the pod that may have mounted an earlier control file, or ""."""
    halts: Sequence[str] = ()
    """The PurpleFleaHalts, as namespace/name, that request the mode (at most 10)."""
    incomplete: Sequence[str] = ()
    """Work that pods had not completed when they stopped, if the pods are gone by now."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedState:
    """The observed state. `agent` is None if the spec is invalid; then `invalid` is the error."""

    agent: Agent | None
    generation: int
    reported_generation: int | None = None
    """observedGeneration of the status; None if there is no status yet."""
    reported_progress: str = ""
    """Reason of the condition Progressing in the status; empty if there is none."""
    upgrade_request: str = ""
    """Value of the annotation on the agent that requests an upgrade; empty if there is none."""
    upgrade: UpgradeWait = UpgradeWait.NOTHING
    """The wait of a pending upgrade, at the end of a pass."""
    recreated: Manifest | None = None
    """The StatefulSet that was deleted with its pods orphaned, and is to be created again."""
    invalid: str = ""
    stop_mode: Mode | None = None
    """Halted or Stopped if an otherwise invalid spec requests it, because a request to stop is never ignored."""
    halts: Sequence[Halt] = ()
    """The PurpleFleaHalts that select the agent, the strongest first."""
    held: Control | None = None
    """Control file of halts that selected the agent before, or may select it, if it applies; else None."""
    unread_halts: str = ""
    """Why halts that may select the agent cannot be read, and the remedy; empty if all are read."""
    is_unconfirmed: bool = False
    """True if the resource may be outdated. A stop cannot be undone, so the agent is only halted then."""
    metadata: Manifest = field(default_factory=dict)
    """The metadata of the agent resource."""
    children: Mapping[ChildId, Manifest] = field(default_factory=dict)
    pods: Sequence[AgentPod] = ()
    datadog: DatadogFacts = NO_DATADOG
    connection: Connection = NO_CONNECTION
    """The best connection that is available; at the end of a pass, the connection that the pass used."""
    lost_nodes: Collection[str] = ()
    """The nodes of pods that do not respond or are not ready; empty if the operator cannot see nodes."""
    coverage: Coverage = ALL_COVERED
    """The nodes on which a node agent receives telemetry over `connection`, and the nodes without one."""
    current_connection: Connection | None = None
    """The connection that was injected last; None if there is none."""
    current_coverage: Coverage = ALL_COVERED
    """Like `coverage`, over `current_connection`."""
    telemetry_delivery: Mapping[str, str] = field(default_factory=dict)
    """Results of the telemetry probe, by UID of the pod. Pods that deliver their telemetry are absent."""
    telemetry_condition: Manifest = field(default_factory=dict)
    available_condition: Manifest = field(default_factory=dict)
    positions_condition: Manifest = field(default_factory=dict)
    """The conditions with these names in the status, if any."""
    not_ready: Mapping[str, str] = field(default_factory=dict)
    """Reasons of started pods that are not ready, by UID of the pods that were asked; empty if one gives none."""
    mismatches: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Markets whose reported position differs from the fills of the agent, by UID of the pods that answered."""
    failure: str = ""
    """Why a child could not be written; empty if all were written."""
    failure_reason: Reason = Reason.APPLY_FAILED
    is_applied: bool = True
    """False if a write failed, so the children differ from the spec."""
    not_stored: str = ""
    """Why a child is not stored as the operator writes it; empty if all are."""
    recreation_delay: str = ""
    """Why the StatefulSet is recreated later; empty if it is not."""
    recreated_at: datetime | None = None
    """Time at which this process last deleted the StatefulSet to recreate it; None if it has not."""
    pod_events: Sequence[str] = ()
    """Messages of Warning Events about the first pod that does not start."""
    pod_creation_error: str = ""
    """Why missing pods could not be created, as reported by the API server; empty if no creation failed."""
    now: datetime | None = None
    """Time of the observation; None if no deadline applies."""
    unavailable_since: datetime | None = None
    """Time since which identities are missing according to the status; None if none is missing."""
    claims: Sequence[VolumeClaim] = ()
    """Volume claims of the identities, including claims of identities that are gone."""
    unwatched: str = ""
    """Why the objects of the namespace are outdated; empty if they are not."""
    expansion_error: str = ""
    """Why the API server rejected the expansion of a claim; empty if it rejected none."""
    trading: TradingObservation = field(default_factory=TradingObservation)
    sees_all_namespaces: bool = True
    """True if the operator watches the agents of all namespaces."""
    conflicting_agent: str = ""
    """Agent, as namespace/name, that already has the same identities in Datadog; empty if there is none."""
    conflict_is_ending: bool = False
    """True if only pods of that agent are left, which does not claim or hold the identities any more."""
    conflict_ends_in_s: float | None = None
    """Seconds until the conflict is evaluated again without an event; None if only an event ends it."""
    conflict_error: str = ""
    """Why the pods of that agent could not be read; empty if they could."""
    never_started: bool = False
    """True if no container of the agent has ever run, so it cannot hold positions."""

    @property
    def stateful_set(self) -> Manifest | None:
        """The StatefulSet of the agent."""
        return stateful_set_of(self.children)


@dataclass(slots=True, kw_only=True)
class PassOutcome:
    """Additions of the actions of one pass to the observed state."""

    connection: Connection
    """The connection that the pass used."""
    children: dict[ChildId, Manifest]
    """The children after the writes."""
    failure: str = ""
    failure_reason: Reason = Reason.APPLY_FAILED
    is_applied: bool = True
    not_stored: str = ""
    recreation_delay: str = ""
    expansion_error: str = ""
    claims: Sequence[VolumeClaim] | None = None
    """The claims after the writes; None if the pass wrote none."""
    upgrade: UpgradeWait = UpgradeWait.NOTHING
    pod_events: Sequence[str] = ()
    pod_creation_error: str = ""

    @property
    def stateful_set(self) -> Manifest | None:
        """The StatefulSet of the agent after the writes."""
        return stateful_set_of(self.children)


def with_outcome(observed: ObservedState, outcome: PassOutcome) -> ObservedState:
    """Return the state at the end of the pass, on which conditions and status are based."""
    is_best = outcome.connection is observed.connection
    return replace(
        observed,
        connection=outcome.connection,
        coverage=observed.coverage if is_best else observed.current_coverage,
        children=outcome.children,
        upgrade=outcome.upgrade,
        failure=outcome.failure,
        failure_reason=outcome.failure_reason,
        is_applied=outcome.is_applied,
        not_stored=outcome.not_stored,
        recreation_delay=outcome.recreation_delay,
        expansion_error=outcome.expansion_error or observed.expansion_error,
        claims=observed.claims if outcome.claims is None else outcome.claims,
        pod_events=outcome.pod_events,
        pod_creation_error=outcome.pod_creation_error,
    )


def stateful_set_of(children: Mapping[ChildId, Manifest]) -> Manifest | None:
    """Return the StatefulSet among the children."""
    return next((item for (kind, _), item in children.items() if kind == "StatefulSet"), None)


def pod(manifest: Manifest) -> AgentPod:
    """Return the pod that `manifest` describes."""
    metadata, status = manifest["metadata"], mapping(manifest.get("status"))
    conditions = {text(item.get("type")): item for item in mappings(status.get("conditions"))}
    waiting, last = _waiting(status), _last_run(status)
    unscheduled = conditions.get("PodScheduled", {})
    scheduled = bool(manifest.get("spec", {}).get("nodeName"))
    return AgentPod(
        name=metadata["name"],
        uid=metadata["uid"],
        created=timestamp(metadata.get("creationTimestamp")) or LONG_AGO,
        ready=conditions.get("Ready", {}).get("status") == "True",
        revision=metadata.get("labels", {}).get("controller-revision-hash", ""),
        template_hash=text(
            mapping(metadata.get("annotations")).get(kubernetes.ANNOTATION_TEMPLATE_HASH)
        ),
        deleting="deletionTimestamp" in metadata,
        last_nudge=metadata.get("annotations", {}).get(CONTROL_ANNOTATION),
        scheduled=scheduled,
        started=_has_run(status.get("containerStatuses", ())),
        ended=status.get("phase") in ("Succeeded", "Failed"),
        initializing=_has_run(status.get("initContainerStatuses", ())),
        restarts=max(
            (item.get("restartCount", 0) for item in status.get("containerStatuses", [])),
            default=0,
        ),
        last_exit=f"{last.get('reason', 'Error')} (exit code {last['exitCode']})" if last else "",
        last_exit_at=timestamp(last.get("finishedAt")),
        waiting=waiting.get("reason", ""),
        message=waiting.get("message", "") if scheduled else unscheduled.get("message", ""),
        node=manifest.get("spec", {}).get("nodeName", ""),
        environment=_environment(manifest),
        waiting_for_node_agent=_is_waiting_for_node_agent(status),
        address=status.get("podIP", ""),
        ready_since=timestamp(conditions.get("Ready", {}).get("lastTransitionTime")),
        has_ephemeral_journal=any(
            volume["name"] == JOURNAL and "emptyDir" in volume
            for volume in manifest.get("spec", {}).get("volumes", ())
        ),
        sidecar_ports=_sidecar_ports(mapping(manifest.get("spec"))),
        service_account=text(mapping(manifest.get("spec")).get("serviceAccountName")),
        is_controlled=any(item.get("controller") for item in metadata.get("ownerReferences", ())),
    )


def _sidecar_ports(spec: Manifest) -> Sequence[tuple[str, int]]:
    containers = (*mappings(spec.get("initContainers")), *mappings(spec.get("containers")))
    return tuple(
        (port.get("protocol", "TCP"), port["containerPort"])
        for container in containers
        if container.get("name") != kubernetes.CONTAINER
        for port in mappings(container.get("ports"))
    )


def _environment(manifest: Manifest) -> Sequence[Manifest]:
    containers = mappings(mapping(manifest.get("spec")).get("containers"))
    own = (item for item in containers if item["name"] == kubernetes.CONTAINER)
    return next((mappings(item.get("env")) for item in own), ())


def has_run(manifest: Manifest) -> bool:
    """Return whether the agent's container of a pod runs or has run, or another container beside it."""
    statuses = mapping(manifest.get("status")).get("containerStatuses", ())
    return _has_run(statuses) or any(
        item.get("restartCount", 0) or "terminated" in item.get("lastState", {})
        for item in statuses
    )


def _is_waiting_for_node_agent(status: Manifest) -> bool:
    return any(
        item["name"] == kubernetes.HOLD_CONTAINER and "running" in item.get("state", {})
        for item in status.get("initContainerStatuses", [])
    )


def _has_run(containers: Sequence[Manifest]) -> bool:
    return any(
        state in item.get("state", {}) for item in containers for state in ("running", "terminated")
    )


def _waiting(status: Manifest) -> Manifest:
    """Return the waiting state of the first container with a specific reason.

    While an init container or a sidecar does not run, the state of the agent's container has no specific reason.
    """
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    states = [item["state"]["waiting"] for item in containers if "waiting" in item.get("state", {})]
    specific = [item for item in states if item.get("reason") not in UNSPECIFIC_REASONS]
    return next(iter(specific or states), {})


def _last_run(status: Manifest) -> Manifest:
    """Return the terminated state of the container that failed last."""
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    runs = [
        state["terminated"]
        for item in containers
        for state in (item.get("state", {}), item.get("lastState", {}))
        # A completed init container has exit code 0.
        if state.get("terminated", {}).get("exitCode")
    ]
    return max(runs, key=lambda run: str(run.get("finishedAt")), default={})


def is_being_created(candidate: AgentPod) -> bool:
    """Return whether the pod is on its node and its container neither runs nor reports a specific reason."""
    has_begun = candidate.started or candidate.initializing or candidate.deleting
    return candidate.scheduled and candidate.waiting in UNSPECIFIC_REASONS and not has_begun


def pods_are_missing(stateful_set: Manifest | None, pods: Sequence[AgentPod]) -> bool:
    """Return whether there are fewer pods than the StatefulSet requests."""
    wanted = 0 if stateful_set is None else stateful_set["spec"].get("replicas", 1)
    return bool(wanted > sum(not pod.deleting for pod in pods))


def stuck_pod(pods: Sequence[AgentPod], now: datetime, *, after_s: float) -> AgentPod | None:
    """Return the first pod whose container has been in creation for at least `after_s`.

    A missing Secret or ConfigMap shows only in the Events of such a pod, not in its status.
    """
    created = filter(is_being_created, sorted(pods, key=lambda item: item.name))
    return next((item for item in created if (now - item.created).total_seconds() >= after_s), None)
