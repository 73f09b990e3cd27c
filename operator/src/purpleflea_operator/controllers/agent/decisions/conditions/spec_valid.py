"""SpecValid: the spec can be rendered, and all of it takes effect. Pure."""

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.decisions.conditions.formatting import join_limited
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.manifests.user_overrides import user_overrides


def spec_valid(observed: ObservedState) -> Finding:
    """Return SpecValid."""
    kind = ConditionType.SPEC_VALID
    if observed.agent is None:
        message = (
            f"{observed.invalid}; the last valid version keeps running. "
            "Fix the field and apply the manifest again"
        )
        return finding(kind, Reason.INVALID, message)
    unsupported = observed.agent.unsupported
    if unsupported:
        message = (
            f"this version of the operator ignores these fields of a newer CRD: {join_limited(unsupported)}. "
            "Upgrade the operator to the version of the CRD"
        )
        return finding(kind, Reason.FIELDS_UNSUPPORTED, message)
    ignored = user_overrides(observed.agent).ignored
    if ignored:
        message = (
            "the operator ignores these fields, because it sets them itself, or for the reason in parentheses: "
            f"{join_limited(ignored)}. "
            "Remove them, or use the separate field of the spec if there is one"
        )
        return finding(kind, Reason.OVERRIDE_IGNORED, message)
    return finding(kind, Reason.VALID, "the spec is valid")
