"""Everything known about one agent resource at one moment: values only, read from manifests."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from purpleflea_contract import kubernetes
from purpleflea_contract.control import Acknowledgement, Mode
from purpleflea_operator.controllers.agent.decisions.storage import VolumeClaim
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION, Connection
from purpleflea_operator.datadog.detection.coverage import ALL_COVERED, Coverage
from purpleflea_operator.datadog.detection.facts import NO_DATADOG, DatadogFacts
from purpleflea_operator.manifests import volumes
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.parsing import Manifest, moment, rows, table, text

ChildId = tuple[str, str]
"""Kind and name of a child."""

JOURNAL = volumes.STATE
"""Volume of the trade journal."""
CONTROL_ANNOTATION = "purpleflea.com/mode"
"""On a pod: the trading mode it was last nudged to, and where once was not enough the number of the try. Absent means
that it has read the file since its start."""

LONG_AGO = datetime.fromtimestamp(0, UTC)

SILENT = ("", "ContainerCreating", "PodInitializing")
"""What a container says that waits for others, or for what only the events tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pod:
    """One pod of an agent."""

    name: str
    uid: str
    created: datetime
    ready: bool
    revision: str
    deleting: bool
    told: str | None
    """The trading mode it was last nudged to, with a number where it had to be told again."""
    scheduled: bool
    started: bool
    """Whether the container runs, or has ended and is not yet waited for."""
    initializing: bool = False
    """Whether one of its init containers, or a sidecar, was started."""
    restarts: int = 0
    """How often the container was started again."""
    ended: str = ""
    """How its last run ended, such as OOMKilled (exit code 137); empty where none did."""
    ended_at: datetime | None = None
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
class TradingObservation:
    """What is known about the trading mode, beside what is wanted."""

    since: datetime | None = None
    """When the mode that is wanted was set."""
    changed_by: str = ""
    """The field manager that set it."""
    why: str = ""
    """What an annotation on the agent gives as reason."""
    delivered: datetime | None = None
    """Since when this process has passed the mode on; None where it has not."""
    words: Mapping[str, Acknowledgement] = field(default_factory=dict)
    """What each agent last said, by the uid of its pod."""
    deaf: Mapping[str, int] = field(default_factory=dict)
    """Pods, by uid, that still speak of another mode, and how often they were asked."""
    undone: Sequence[str] = ()
    """What agents that are gone by now left undone when they stopped."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservedState:
    """What is known. `agent` is None where the spec is invalid; `invalid` says why."""

    agent: Agent | None
    generation: int
    invalid: str = ""
    stop_order: Mode | None = None
    """Halted or Stopped where a spec that is invalid otherwise says so: an order to stop is never ignored."""
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
    pods_refused: str = ""
    """Why pods that are missing could not be made, in the API server's words; empty where none was refused."""
    now: datetime | None = None
    """The moment; None where no deadline counts."""
    unavailable_since: datetime | None = None
    """Since when, by the status, not all identities are there; None where they were."""
    claims: Sequence[VolumeClaim] = ()
    """Volume claims of the identities, also of those that are gone."""
    growth_refused: str = ""
    """Why the API server lets no claim grow; empty where none was refused."""
    trading: TradingObservation = field(default_factory=TradingObservation)
    sees_all: bool = True
    """Whether agents of all namespaces are seen."""
    rival: str = ""
    """The agent, as namespace/name, that has the same identities in Datadog already; empty where none has."""

    @property
    def stateful_set(self) -> Manifest | None:
        """The StatefulSet of the agent."""
        return next(
            (item for (kind, _), item in self.children.items() if kind == "StatefulSet"), None
        )


def pod(manifest: Manifest) -> Pod:
    """The pod that `manifest` describes."""
    metadata, status = manifest["metadata"], table(manifest.get("status"))
    conditions = {text(item.get("type")): item for item in rows(status.get("conditions"))}
    waiting, last = _waiting(status), _last_run(status)
    unscheduled = conditions.get("PodScheduled", {})
    scheduled = bool(manifest.get("spec", {}).get("nodeName"))
    return Pod(
        name=metadata["name"],
        uid=metadata["uid"],
        created=moment(metadata.get("creationTimestamp")) or LONG_AGO,
        ready=conditions.get("Ready", {}).get("status") == "True",
        revision=metadata.get("labels", {}).get("controller-revision-hash", ""),
        deleting="deletionTimestamp" in metadata,
        told=metadata.get("annotations", {}).get(CONTROL_ANNOTATION),
        scheduled=scheduled,
        started=_has_run(status.get("containerStatuses", ())),
        initializing=_has_run(status.get("initContainerStatuses", ())),
        restarts=max(
            (item.get("restartCount", 0) for item in status.get("containerStatuses", [])),
            default=0,
        ),
        ended=f"{last.get('reason', 'Error')} (exit code {last['exitCode']})" if last else "",
        ended_at=moment(last.get("finishedAt")),
        waiting=waiting.get("reason", ""),
        message=waiting.get("message", "") if scheduled else unscheduled.get("message", ""),
        node=manifest.get("spec", {}).get("nodeName", ""),
        environment=_environment(manifest),
        held=_is_held(status),
        address=status.get("podIP", ""),
        ready_since=moment(conditions.get("Ready", {}).get("lastTransitionTime")),
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


def _has_run(containers: Sequence[Manifest]) -> bool:
    return any(
        state in item.get("state", {}) for item in containers for state in ("running", "terminated")
    )


def _waiting(status: Manifest) -> Manifest:
    """What the first container waits for that waits for something itself.

    While a sidecar or the hold does not run, all that the agent's container says is that it waits for them.
    """
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    found = [item["state"]["waiting"] for item in containers if "waiting" in item.get("state", {})]
    telling = [item for item in found if item.get("reason") not in SILENT]
    return next(iter(telling or found), {})


def _last_run(status: Manifest) -> Manifest:
    """How the container that ended last did."""
    containers = [*status.get("initContainerStatuses", ()), *status.get("containerStatuses", ())]
    runs = [
        state["terminated"]
        for item in containers
        for state in (item.get("state", {}), item.get("lastState", {}))
        # An init container that is done has ended well.
        if state.get("terminated", {}).get("exitCode")
    ]
    return max(runs, key=lambda run: str(run.get("finishedAt")), default={})


def is_being_created(candidate: Pod) -> bool:
    """Whether the pod is on its node, and its container neither runs nor says why it does not."""
    has_begun = candidate.started or candidate.initializing or candidate.deleting
    return candidate.scheduled and candidate.waiting in SILENT and not has_begun


def pods_are_missing(world: ObservedState) -> bool:
    """Whether there are fewer pods than are wanted."""
    wanted = (world.stateful_set or {"spec": {"replicas": 0}})["spec"].get("replicas", 1)
    return bool(wanted > sum(not pod.deleting for pod in world.pods))


def stuck_pod(pods: Sequence[Pod], now: datetime, *, after_s: float) -> Pod | None:
    """The first pod that has been on its node for a while and whose container is still being created.

    A missing Secret or ConfigMap shows only in the events of such a pod, not in its status.
    """
    for candidate in sorted(pods, key=lambda item: item.name):
        young = (now - candidate.created).total_seconds() < after_s
        if is_being_created(candidate) and not young:
            return candidate
    return None
