"""Is somebody else in Datadog under the same identities? Pure; who holds an identity first is decided in identities."""

from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.controllers.agent.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState


def is_refused(world: ObservedState) -> bool:
    """Whether agents of this resource may not be started for the sake of another's."""
    return bool(
        world.conflicting_agent
        and world.agent is not None
        and world.agent.spec.datadog.duplicate_identity == "Refuse"
    )


def duplicate_identity(world: ObservedState) -> Finding:
    """Do the agents have their names, env and service in Datadog for themselves?"""
    kind = ConditionType.DUPLICATE_IDENTITY
    if not world.conflicting_agent and not world.sees_all_namespaces:
        text = (
            "only the agents of the watched namespaces are seen; none of them has these identities"
        )
        return finding(kind, "Unknown", "NotVisible", text)
    if not world.conflicting_agent or world.agent is None:
        return finding(kind, "False", "Unique", "no other agent has these identities")
    datadog = world.agent.spec.datadog
    shared = (
        f"{world.conflicting_agent} has the same name, env {datadog.env} and service {datadog.service} already: "
        "in Datadog both would be one"
    )
    if not is_refused(world):
        return finding(
            kind, "True", "Allowed", f"{shared}; spec.datadog.duplicateIdentity allows it"
        )
    remedy = (
        "change spec.datadog.env or spec.datadog.service, make the agent anew under another name, "
        "or set spec.datadog.duplicateIdentity to Allow"
    )
    if trading_mode.live_replicas(world):
        text = f"{shared}; what runs is left alone, nothing more is started: {remedy}"
        return finding(kind, "True", "AlreadyRunning", text)
    return finding(kind, "True", "NotStarted", f"{shared}; nothing is started: {remedy}")
