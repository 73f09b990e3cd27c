"""PurpleFleaObservability v1alpha1: the status, and the resource as a whole.

The status is also the operator's memory of what it made: an id is written down before the next object is made.
"""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from purpleflea_contract.settings import SpecModel
from purpleflea_operator.api.agent_status import Condition, ShortText
from purpleflea_operator.api.observability import ObservabilitySpec

ERROR_LENGTH = 512
CHANGE_LENGTH = 512
OBJECTS = 128
DEPLOYMENTS = 20


class ObservabilityCondition(StrEnum):
    """Types of conditions, in the order in which they are shown."""

    READY = "Ready"
    KEYS_VALID = "KeysValid"
    SYNCED = "Synced"
    DEGRADED = "Degraded"


class State(StrEnum):
    """How an object stands."""

    CREATING = "Creating"
    """It is being made; whether Datadog has it already is not known."""
    IN_SYNC = "InSync"
    """It is what the spec says."""
    EDITED = "Edited"
    """It was edited by hand, and driftPolicy Keep leaves it so."""
    WAITING = "Waiting"
    """It cannot be made yet: the metric has not reported, or an object it refers to is missing."""
    PLANNED = "Planned"
    """Mode Plan: it would be changed as `change` says."""
    FAILED = "Failed"
    """Datadog refused it; see lastError."""
    LEFT = "Left"
    """It is not wanted any more, but was there before: it stays."""


class ObjectStatus(SpecModel):
    """One object in Datadog."""

    kind: ShortText
    """Kind of the object, such as monitor or dashboard."""
    key: ShortText
    """Name of the object in the catalogue, such as drawdown."""
    id: ShortText | None = None
    """Id that Datadog gave it."""
    link: Annotated[str, Field(max_length=512)] | None = None
    """Where to see it."""
    state: ShortText
    """Creating, InSync, Edited, Waiting, Planned, Failed or Left."""
    hash: ShortText | None = None
    """Hash of what was last written."""
    version: ShortText | None = None
    """When Datadog last saw it changed, for kinds whose lists show no more."""
    adopted: bool | None = None
    """Whether it was there before: such an object is never deleted."""
    unlisted: bool | None = None
    """Whether it is known by its id only: its tags were taken away, or it may not be read. One of these is asked for
    at each look, in turn."""
    since: ShortText | None = None
    """Of an object that is being made: when the last attempt was surely over. It is not tried again within 10 s."""
    change: Annotated[str, Field(max_length=CHANGE_LENGTH)] | None = None
    """What differs: what mode Plan would do, or what was edited by hand."""
    last_error: Annotated[str, Field(max_length=ERROR_LENGTH)] | None = None
    """Why Datadog refused it."""


class DeploymentStatus(SpecModel):
    """One version that all agents of the service run, as marked in Datadog."""

    version: ShortText
    """Unified service tag version."""
    id: ShortText
    """Id of the DORA deployment; sending it again makes no second one."""
    started_at: ShortText
    """When the first pod of it was created."""
    finished_at: ShortText
    """When the last pod of it became ready."""
    state: ShortText
    """Pending, Marked, or Gone: no agent wants it any more."""
    last_error: Annotated[str, Field(max_length=ERROR_LENGTH)] | None = None
    """Why Datadog refused it."""


class ObservabilityStatus(SpecModel):
    """What the operator saw and did."""

    observed_generation: Annotated[int, Field(ge=0)] = 0
    """metadata.generation that this status was computed from."""
    wanted: Annotated[int, Field(ge=0)] = 0
    """Objects that there should be."""
    in_sync: Annotated[int, Field(ge=0)] = 0
    """Objects that are what the spec says."""
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
    objects: Annotated[tuple[ObjectStatus, ...], Field(max_length=OBJECTS)] = ()
    """The objects in Datadog."""
    deployments: Annotated[tuple[DeploymentStatus, ...], Field(max_length=DEPLOYMENTS)] = ()
    """The versions that are rolled out, and former ones (at most 20)."""
    removal_started_at: ShortText | None = None
    """When the operator first tried to remove everything from Datadog; it gives up ten minutes later."""


class PurpleFleaObservability(SpecModel):
    """Monitors, SLO, dashboard and log pipeline of a fleet, kept in sync with one Datadog organisation."""

    spec: ObservabilitySpec
    """What is wanted."""
    status: ObservabilityStatus | None = None
    """What is."""
