"""Is the spec one that can be rendered, and does all of it take effect? Pure."""

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.controllers.agent.conditions.finding import Finding, finding, some
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.manifests.user_overrides import user_overrides


def spec_valid(world: ObservedState) -> Finding:
    """Is the spec one that can be rendered, and is nothing of it ignored?"""
    kind = ConditionType.SPEC_VALID
    if world.agent is None:
        message = f"{world.invalid}; the last valid version keeps running. Correct the field and apply again"
        return finding(kind, "False", "Invalid", message)
    ignored = user_overrides(world.agent).ignored
    if ignored:
        return finding(kind, "True", "OverrideIgnored", _ignored(ignored))
    return finding(kind, "True", "Valid", "the spec is valid")


def _ignored(fields: tuple[str, ...]) -> str:
    return (
        f"ignored, as the operator sets them itself: {some(fields)}. "
        "Remove them; what can be changed has a field of its own in the spec"
    )
