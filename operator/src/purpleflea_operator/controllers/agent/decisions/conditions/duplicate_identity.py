"""DuplicateIdentity: another agent has the same name, env and service in Datadog. Pure.

Which of two agents holds an identity is decided in `duplicate_identities`.
"""

from purpleflea_contract import kubernetes
from purpleflea_contract.tags import stored_value
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState


def is_refused(observed: ObservedState) -> bool:
    """Return whether no agent may be started, because another resource holds the identities."""
    return bool(
        observed.conflicting_agent
        and observed.agent is not None
        and observed.agent.spec.datadog.duplicate_identity == "Refuse"
    )


def duplicate_identity(observed: ObservedState) -> Finding:
    """Return DuplicateIdentity. True is the problem."""
    kind = ConditionType.DUPLICATE_IDENTITY
    if not observed.conflicting_agent and not observed.sees_all_namespaces:
        message = (
            "no other agent in the watched namespaces has these identities; "
            "the operator cannot see agents in other namespaces"
        )
        return finding(kind, Reason.NOT_VISIBLE, message)
    if not observed.conflicting_agent or observed.agent is None:
        return finding(kind, Reason.UNIQUE, "no other agent has these identities")
    datadog = observed.agent.spec.datadog
    env, service = stored_value("env", datadog.env), stored_value("service", datadog.service)
    cause = (
        f"{observed.conflicting_agent} has the same name, env {env} and service {service}, "
        "so Datadog cannot distinguish the agents"
    )
    if not is_refused(observed):
        message = f"{cause}; spec.datadog.duplicateIdentity allows it"
        return finding(kind, Reason.ALLOWED, message)
    is_running = trading_mode.live_replicas(observed) > 0 and not observed.never_started
    if observed.conflict_is_ending:
        reason = Reason.ALREADY_RUNNING if is_running else Reason.NOT_STARTED
        return finding(kind, reason, _waiting_for_pods(observed, is_running=is_running))
    remedy = (
        "change spec.datadog.env or spec.datadog.service, recreate the agent under another name, "
        "or set spec.datadog.duplicateIdentity to Allow"
    )
    if is_running:
        message = f"running agents are left unchanged, and no further agent is started, because {cause}; {remedy}"
        return finding(kind, Reason.ALREADY_RUNNING, message)
    return finding(kind, Reason.NOT_STARTED, f"no agent is started, because {cause}; {remedy}")


def _waiting_for_pods(observed: ObservedState, *, is_running: bool) -> str:
    namespace, _, name = observed.conflicting_agent.partition("/")
    action = (
        "running agents keep their env and service until" if is_running else "the agents start when"
    )
    waiting = (
        f"{action} the previous pods of {observed.conflicting_agent} are gone, which have the same name, "
        "env and service"
    )
    if observed.conflict_error:
        error = observed.conflict_error
        return f"{waiting}; these pods cannot be read: {error}; the operator retries"
    return (
        f"{waiting}; to see them, run "
        f"kubectl get pods --namespace {namespace} --selector {kubernetes.LABEL_INSTANCE}={name}"
    )
