"""StorageReady: the volumes of the trade journals are as the spec requires. Pure."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from purpleflea_operator import timings
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.pod import Storage
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions import storage as storage_decisions
from purpleflea_operator.controllers.agent.decisions.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.decisions.conditions.formatting import join_limited
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.controllers.agent.decisions.storage import VolumeClaim
from purpleflea_operator.manifests import volumes
from purpleflea_operator.manifests.metadata import Agent

RECREATE = (
    "or, for one agent at a time, delete its volume claim and its pod, "
    "so that the agent starts with an empty journal"
)


def storage_ready(observed: ObservedState) -> Finding:
    """Return StorageReady."""
    kind = ConditionType.STORAGE_READY
    if observed.agent is None:
        message = "the spec is invalid, so the volumes are those of its last valid version; see the condition SpecValid"
        return finding(kind, Reason.SPEC_INVALID, message)
    storage = observed.agent.storage
    if storage is None:
        return finding(kind, Reason.EPHEMERAL, _ephemeral(observed.agent))
    problem = _problem(observed, storage)
    if problem is not None:
        return finding(kind, *problem)
    if observed.agent.has_volumes:
        message = (
            "spec.storage.ephemeral has no effect, because the agents have volumes with their journals; set it to "
            "false, or delete the agent and create it again"
        )
        return finding(kind, Reason.VOLUMES_KEPT, message)
    return finding(kind, Reason.READY, f"each agent has a volume of {storage.size}")


def _ephemeral(agent: Agent) -> str:
    lost = "the journal of an agent is lost when its pod leaves the node"
    if agent.spec.storage is not None:
        return f"{lost}, because spec.storage.ephemeral is true"
    # The text of earlier versions, so that the first pass of this version writes no status.
    return f"{lost}, because spec.storage is not set; set spec.storage to keep the journal"


def _problem(observed: ObservedState, storage: Storage) -> tuple[Reason, str] | None:
    """Return the first difference between the claims and the spec, with a remedy."""
    wanted = storage.storage_class_name
    unprovided = [item for item in observed.claims if storage_decisions.lacks_class(item)]
    if unprovided:
        return Reason.NO_STORAGE_CLASS, (
            f"{_names(unprovided)} cannot be provisioned, because the cluster has no default storage class. Annotate a "
            "class of kubectl get storageclasses as the default: kubectl annotate storageclass NAME "
            "storageclass.kubernetes.io/is-default-class=true. Or delete the agent and its claims, and create it with "
            "spec.storage.storageClassName, or with spec.storage.ephemeral: true and without a journal that lasts"
        )
    unusable = _lost(observed) or _pending(observed)
    if unusable is not None:
        return unusable
    small = storage_decisions.claims_to_expand(observed.claims, storage.size)
    if observed.expansion_error and small:
        return Reason.EXPANSION_REFUSED, (
            f"{_names(small)} cannot be expanded to {storage.size}: {observed.expansion_error}; "
            f"set allowVolumeExpansion on the storage class, {RECREATE}"
        )
    large = storage_decisions.too_large(observed.claims, storage.size)
    if large:
        return Reason.CANNOT_SHRINK, (
            f"{_names(large)} are larger than {storage.size} and keep their size, because volumes cannot shrink; "
            f"set spec.storage.size to {large[0].requested}, {RECREATE}"
        )
    other_class = [item for item in observed.claims if wanted and item.storage_class != wanted]
    if other_class:
        return Reason.CLASS_DIFFERS, (
            f"{_names(other_class)} keep their storage class, because only new claims are created with {wanted}; "
            f"keep these volumes, {RECREATE}"
        )
    expanding = small or [item for item in observed.claims if storage_decisions.is_expanding(item)]
    if not expanding:
        return None
    return Reason.EXPANDING, f"{_names(expanding)} are being expanded to {storage.size}"


def _lost(observed: ObservedState) -> tuple[Reason, str] | None:
    lost = [item for item in observed.claims if storage_decisions.is_lost(item)]
    if not lost:
        return None
    return Reason.VOLUME_LOST, (
        f"the persistent volumes of {_names(lost)} were deleted, and the journals with them. Restore the volumes from "
        f"a backup, {RECREATE}; compare its positions and orders on the exchange"
    )


def _pending(observed: ObservedState) -> tuple[Reason, str] | None:
    """Return that claims of pods have no volume yet. Claims of identities that are gone may wait."""
    pods = {f"{volumes.STATE}-{pod.name}": pod for pod in observed.pods if not pod.deleting}
    pending = [
        item for item in observed.claims if item.name in pods and storage_decisions.is_pending(item)
    ]
    if not pending:
        return None
    classes = join_limited(sorted({item.storage_class for item in pending}))
    names = f"{_names(pending)} (storage class {classes})"
    now = observed.now
    if all(_pending_for(item, now) < timings.VOLUME_PENDING_AFTER for item in pending):
        return Reason.PROVISIONING, f"the volumes of {names} are being provisioned"
    first = min(pending, key=lambda item: item.name)
    cause = pods[first.name].message if not pods[first.name].scheduled else ""
    waits = " A claim can wait for its pod to be scheduled: see the condition WorkloadAvailable."
    return Reason.VOLUME_PENDING, (
        f"{names} have no volume, so their pods cannot start.{waits if cause else ''} To show the cause: "
        f"kubectl describe pvc {first.name}"
    )


def _pending_for(item: VolumeClaim, now: datetime | None) -> timedelta:
    return timedelta() if now is None or item.created is None else now - item.created


def next_check_s(observed: ObservedState) -> float | None:
    """Return the seconds until claims count as pending for long; None if no claim is being provisioned."""
    now, finding_ = observed.now, storage_ready(observed)
    if now is None or finding_.reason is not Reason.PROVISIONING:
        return None
    times = [item.created for item in observed.claims if item.created is not None]
    waits = [(at + timings.VOLUME_PENDING_AFTER - now).total_seconds() for at in times]
    return min((wait for wait in waits if wait > 0.0), default=None)


def _names(claims: Sequence[VolumeClaim]) -> str:
    return join_limited(sorted(item.name for item in claims))
