"""Does the trade journal outlive its pod, on volumes as the spec says? Pure."""

from collections.abc import Sequence

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.pod import Storage
from purpleflea_operator.controllers.agent.conditions.finding import Finding, finding, some
from purpleflea_operator.controllers.agent.decisions import storage as storage_decisions
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.controllers.agent.decisions.storage import VolumeClaim

ANEW = "or, one agent after the other, delete its claim and its pod: its journal begins anew"


def storage_ready(world: ObservedState) -> Finding:
    """Are the volumes of the journal what the spec says?"""
    kind = ConditionType.STORAGE_READY
    if world.agent is None:
        return finding(
            kind, "Unknown", "SpecInvalid", "the volumes are those of the last valid version"
        )
    storage = world.agent.spec.storage
    if storage is None:
        text = "the journal is lost when its pod leaves the node: set spec.storage to keep it"
        return finding(kind, "False", "Ephemeral", text)
    problem = _problem(world, storage)
    if problem is not None:
        return finding(kind, "False", *problem)
    return finding(kind, "True", "Ready", f"each agent has a volume of {storage.size}")


def _problem(world: ObservedState, storage: Storage) -> tuple[str, str] | None:
    """The first thing about the claims that is not as the spec says, and what to do."""
    wanted = storage.storage_class_name
    small = storage_decisions.claims_to_expand(world.claims, storage.size)
    if world.expansion_error and small:
        return "ExpansionRefused", (
            f"{_named(small)} cannot grow to {storage.size}: {world.expansion_error}; set allowVolumeExpansion on the "
            f"storage class, {ANEW}"
        )
    large = storage_decisions.too_large(world.claims, storage.size)
    if large:
        return "CannotShrink", (
            f"{_named(large)} are larger than {storage.size} and stay so: volumes do not shrink; "
            f"set spec.storage.size to {large[0].requested}, {ANEW}"
        )
    strange = [item for item in world.claims if wanted and item.storage_class != wanted]
    if strange:
        return "ClassDiffers", (
            f"{_named(strange)} stay on their storage class: only new claims are made on {wanted}; "
            f"leave them {ANEW}"
        )
    growing = small or [item for item in world.claims if storage_decisions.is_expanding(item)]
    return ("Expanding", f"{_named(growing)} are growing to {storage.size}") if growing else None


def _named(found: Sequence[VolumeClaim]) -> str:
    return some(sorted(item.name for item in found))
