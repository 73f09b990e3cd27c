"""The failed writes of one pass: the writes that they prevent, and the message of the conditions. Pure.

A write that is rejected is reported at once. A transient error is reported when it persists, because a conflict or a
lost connection is normal. Until then the pass counts as unapplied, so no condition reports a rollout as complete.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from purpleflea_operator import timings
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions import plan
from purpleflea_operator.controllers.agent.decisions.control import same_mode
from purpleflea_operator.controllers.agent.decisions.observed_state import ChildId
from purpleflea_operator.parsing import Manifest

TEXT_LIMIT = 400
"""Characters of one error in a message."""
MAX_NAMED = 4
"""Failed writes in a message; the others are counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteFailure:
    """A write that failed."""

    target: str
    """Kind and name of the object."""
    text: str
    reason: Reason = Reason.APPLY_FAILED
    transient_passes: int = 0
    """Passes in a row in which this write failed with a transient error; 0 if the API server rejects the write."""

    @property
    def is_rejected(self) -> bool:
        """True if the API server rejects the write, or another object has the name."""
        return self.reason is not Reason.NOT_STORED and not self.transient_passes


def is_reported(failure: WriteFailure) -> bool:
    """Return whether a failure is reported already, because the write was rejected or keeps failing."""
    return not 0 < failure.transient_passes < timings.REPORT_AFTER_FAILURES


def reported(failures: Iterable[WriteFailure]) -> tuple[str, Reason]:
    """Return the message and the reason of the conditions; the message is empty if nothing is to be reported yet."""
    named = [
        item for item in failures if item.reason is not Reason.NOT_STORED and is_reported(item)
    ]
    taken = [item for item in named if item.reason is Reason.NAME_TAKEN]
    rejected = [item for item in named if item not in taken and not item.transient_passes]
    failing = [item for item in named if item.transient_passes]
    parts = [item.text[:TEXT_LIMIT] for item in taken[:MAX_NAMED]]
    if rejected:
        parts.append(
            f"the API server rejects {_listed(rejected)}; fix the cause, and the operator retries"
        )
    if failing:
        parts.append(
            f"writes to the API server keep failing: {_listed(failing)}; the operator retries"
        )
    return "; ".join(parts), Reason.NAME_TAKEN if taken else Reason.APPLY_FAILED


def not_stored(failures: Iterable[WriteFailure]) -> str:
    """Return the message about the children that are not stored as they are written; empty if all are."""
    texts = [item.text[: 2 * TEXT_LIMIT] for item in failures if item.reason is Reason.NOT_STORED]
    return "; ".join(texts[:MAX_NAMED])


def _listed(failures: Sequence[WriteFailure]) -> str:
    shown = "; ".join(f"{item.target}: {item.text[:TEXT_LIMIT]}" for item in failures[:MAX_NAMED])
    more = len(failures) - MAX_NAMED
    return f"{shown}; and {more} more" if more > 0 else shown


def depends_on(
    action: plan.Action, failed: Iterable[plan.Action], children: Mapping[ChildId, Manifest]
) -> bool:
    """Return whether an action must not be attempted, because actions before it failed.

    Pods mount the ConfigMap, and must not start with another mode than the desired one. A ServiceAccount is deleted
    only if no workload references it any more. All other writes are independent of each other.
    """
    match action:
        case plan.Create(manifest=manifest) | plan.Apply(manifest=manifest):
            is_workload = manifest["kind"] == "StatefulSet" and manifest["spec"]["replicas"] > 0
            return is_workload and any(_lacks_mode(item, children) for item in failed)
        case plan.RecreateOrphaning() | plan.DelayRecreation():
            # The pods keep running, but a pod that fails meanwhile would start with the wrong mode.
            return any(_lacks_mode(item, children) for item in failed)
        case plan.Delete(manifest={"kind": "ServiceAccount"}):
            return any(_is_workload(item) for item in failed)
        case _:
            return False


def _lacks_mode(action: plan.Action, children: Mapping[ChildId, Manifest]) -> bool:
    """Return whether the failed action leaves the ConfigMap missing, or with another mode."""
    match action:
        case plan.Create(manifest=wanted) | plan.Apply(manifest=wanted):
            live = children.get(plan.child_id(wanted))
            return wanted["kind"] == "ConfigMap" and (live is None or not same_mode(live, wanted))
        case _:
            return False


def _is_workload(action: plan.Action) -> bool:
    match action:
        case plan.Create(manifest=wanted) | plan.Apply(manifest=wanted):
            return bool(wanted["kind"] == "StatefulSet")
        case _:
            return isinstance(action, plan.RecreateOrphaning)
