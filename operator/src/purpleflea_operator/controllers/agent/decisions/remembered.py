"""The memory of the operator about one agent from earlier passes, as values for `gather`. Pure.

`agent_memory` holds the memory and changes it. This module only selects the parts that still apply.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from purpleflea_contract.control import Acknowledgement, Control
from purpleflea_operator.controllers.agent.decisions.storage import VolumeClaim, claims_to_expand
from purpleflea_operator.manifests.metadata import Agent
from purpleflea_operator.parsing import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpansionRejection:
    """A volume expansion that the API server rejected."""

    size: str
    text: str
    attempts: int
    due_s: float
    """Monotonic time at which it is tried again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Remembered:
    """A snapshot of the memory of one agent."""

    control: Control | None = None
    """The control file to which the acknowledgements refer."""
    outdated: Collection[str] = ()
    """Pods, by UID, that may have read another file since they were nudged."""
    delivered_at: datetime | None = None
    """Time at which `control` was first sent to the pods, counted back from the time of the snapshot on a monotonic
    clock; None if no pass has done so."""
    acknowledgements: Mapping[str, Acknowledgement] = field(default_factory=dict)
    """Last response of each pod, by UID of the pod."""
    attempts: Mapping[str, int] = field(default_factory=dict)
    """Requests that were sent to each pod, by UID of the pod."""
    expansion: ExpansionRejection | None = None
    """The last rejection, if it is too early for another attempt."""
    recreated_at: datetime | None = None
    """Time at which this process last deleted the StatefulSet to recreate it; None if it has not."""
    ended_for_s: float | None = None
    """Seconds since the last halt of the agent ended, if the agent has not drained since; None if it has."""
    may_resume: bool = False
    """Whether it was already decided that the agent may resume after its last halt."""
    unseen: Mapping[str, float] = field(default_factory=dict)
    """Names of pods that may run although they are not watched, and the monotonic time at which to search them."""
    confirmed: Collection[str] = ()
    """Names of pods that did not run when the API server was asked after `control` was written."""
    mounted: Mapping[str, str] = field(default_factory=dict)
    """By name: UID of the pod that may have mounted an earlier control file, or "" if none with this name can have."""
    recreated: Manifest | None = None
    """The StatefulSet that was deleted with its pods orphaned, and is to be created again."""


NOTHING = Remembered()


def applies(
    rejection: ExpansionRejection | None, agent: Agent | None, claims: Sequence[VolumeClaim]
) -> bool:
    """Return whether a rejection refers to the size that the spec requests now, and a claim is still smaller.

    A user can delete the claim that could not be expanded. Then nothing is left to try again.
    """
    storage = None if agent is None else agent.storage
    if rejection is None or storage is None or storage.size != rejection.size:
        return False
    return bool(claims_to_expand(claims, storage.size))


def expansion_error(
    rejection: ExpansionRejection | None, agent: Agent | None, claims: Sequence[VolumeClaim]
) -> str:
    """Return the text of a rejection that is too recent for another attempt; empty if there is none."""
    if rejection is None or not applies(rejection, agent, claims):
        return ""
    return rejection.text
