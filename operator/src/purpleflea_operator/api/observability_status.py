"""PurpleFleaObservability v1alpha1: the status, and the resource as a whole.

The status is also the operator's registry of managed objects: the id of an object is stored before the next object is
created.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.agent_status import Condition, ShortText
from purpleflea_operator.api.observability import ObservabilitySpec

MAX_ERROR_LENGTH = 512
MAX_CHANGE_LENGTH = 512
MAX_OBJECTS = 128
MAX_DEPLOYMENTS = 20


class ObservabilityCondition(StrEnum):
    """Types of conditions, in the sequence in which they are listed."""

    READY = "Ready"
    KEYS_VALID = "KeysValid"
    SYNCED = "Synced"
    DEGRADED = "Degraded"


class ObjectState(StrEnum):
    """State of a managed object."""

    CREATING = "Creating"
    """The operator is creating the object. If the request had no answer, the object may exist already."""
    IN_SYNC = "InSync"
    """The object matches the spec."""
    EDITED = "Edited"
    """The object was edited manually, and driftPolicy Keep leaves the edit."""
    WAITING = "Waiting"
    """The object cannot be created yet, because its metric has not reported or an object that it refers to is
    missing."""
    PLANNED = "Planned"
    """Mode Plan: the object would be changed as in `change`."""
    FAILED = "Failed"
    """The last request for the object failed; see lastError."""
    LEFT = "Left"
    """The object is no longer part of the spec, but it was adopted, so it is not deleted."""


class ObjectStatus(SpecModel):
    """One object in Datadog."""

    kind: ShortText
    """Kind of the object, such as monitor or dashboard."""
    key: ShortText
    """Name of the object in the catalog, such as drawdown."""
    id: ShortText | None = None
    """Id that Datadog assigned."""
    link: Annotated[str, Field(max_length=512)] | None = None
    """URL of the object's page in Datadog."""
    state: ShortText
    """Creating, InSync, Edited, Waiting, Planned, Failed or Left."""
    hash: ShortText | None = None
    """Hash of the last written content."""
    version: ShortText | None = None
    """Time of the last change as Datadog reports it, for kinds whose lists show no content."""
    adopted: bool | None = None
    """True if the object existed before it was managed. Such an object is never deleted."""
    unlisted: bool | None = None
    """True if lists do not show the object, because its tags were removed or it may not be read. The operator reads
    one of these objects by its id in each pass, in rotation."""
    since: ShortText | None = None
    """If the object is being created: end of the last attempt. The operator does not try again within 10 s."""
    change: Annotated[str, Field(max_length=MAX_CHANGE_LENGTH)] | None = None
    """Difference from the spec: the change that mode Plan would make, the fields that were edited manually, or settings
    of the log index that users added and that are kept."""
    last_error: Annotated[str, Field(max_length=MAX_ERROR_LENGTH)] | None = None
    """Error of the last request for the object, or the reason why it waits."""


class DeploymentStatus(SpecModel):
    """One version that all agents of the service run, and its mark in Datadog."""

    version: ShortText
    """Unified service tag version."""
    id: ShortText
    """Id of the DORA deployment. If it is sent again, Datadog creates no second deployment."""
    started_at: ShortText
    """Time at which the first pod of this version was created."""
    finished_at: ShortText
    """Time at which the last pod of this version became ready."""
    state: ShortText
    """Pending, Marked, or Gone if no agent has the version in its spec any more."""
    last_error: Annotated[str, Field(max_length=MAX_ERROR_LENGTH)] | None = None
    """Reason why Datadog refused the mark."""


class ObservabilityStatus(SpecModel):
    """State of the managed objects and of the deployment marks, as the operator last observed it."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """metadata.generation that this status was computed from."""
    wanted: Annotated[int, Field(ge=0)] = 0
    """Number of objects that the spec requires."""
    in_sync: Annotated[int, Field(ge=0)] = 0
    """Number of objects that match the spec."""
    conditions: Annotated[
        tuple[Condition, ...],
        Field(
            max_length=16,
            json_schema_extra={
                "x-kubernetes-list-type": "map",
                "x-kubernetes-list-map-keys": ["type"],
            },
        ),
    ] = ()
    """Aspects of the state, one per type: Ready, KeysValid, Synced, Degraded."""
    objects: Annotated[tuple[ObjectStatus, ...], Field(max_length=MAX_OBJECTS)] = ()
    """Managed objects in Datadog, at most 128."""
    deployments: Annotated[tuple[DeploymentStatus, ...], Field(max_length=MAX_DEPLOYMENTS)] = ()
    """Versions that are rolled out, and former versions, at most 20."""
    silenced_until: ShortText | None = None
    """Time until which downtimes may mute the heartbeat monitor for agents that the operator stopped, removed or
    replaced. Absent if there are none."""
    downtime_error: Annotated[str, Field(max_length=MAX_ERROR_LENGTH)] | None = None
    """Reason why Datadog refused a downtime, so that agents that are stopped on purpose alert."""
    removal_started_at: ShortText | None = None
    """Time of the first attempt to remove all objects from Datadog. The operator gives up ten minutes later."""


class PurpleFleaObservability(SpecModel):
    """Monitors, SLO, dashboard and log pipeline of a fleet, kept in sync with one Datadog organization."""

    spec: ObservabilitySpec
    """Desired objects in Datadog."""
    status: ObservabilityStatus | None = None
    """Observed state. Only the operator writes it."""
