"""Progressing: the rollout is proceeding, complete or stuck. Pure.

The condition follows the condition of this name of a Deployment. It is True during progress and after completion. It is
False with the reason of the first failing pod if the rollout is stuck: immediately if the problem needs a user, else
ten minutes after the last progress.
"""

from datetime import datetime
from typing import assert_never

from purpleflea_operator import timings
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.explanations.agent import TERMINAL
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.decisions.conditions.workload_available import (
    first_error,
    progress,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    ObservedState,
    UpgradeWait,
)
from purpleflea_operator.manifests import template_record


def progressing(observed: ObservedState) -> Finding:
    """Return Progressing."""
    kind = ConditionType.PROGRESSING
    if observed.failure:
        return finding(kind, observed.failure_reason, observed.failure)
    if observed.agent is None:
        message = "the spec is invalid, so nothing is rolled out; see the condition SpecValid"
        return finding(kind, Reason.SPEC_INVALID, message)
    if is_complete(observed):
        return _complete(observed)
    problem = first_error(observed)
    if problem is not None and problem[0] in TERMINAL:
        return finding(kind, problem[0], problem[1] + _consequence(observed))
    if is_overdue(observed):
        reason, text = problem or (Reason.DEADLINE_EXCEEDED, _first_unready(observed))
        return finding(kind, reason, f"no progress for 10 minutes: {text}{_consequence(observed)}")
    if is_upgrading(observed) and observed.is_applied:
        message = "agents are being replaced for the new version of the operator"
        return finding(kind, Reason.OPERATOR_UPGRADE, message)
    return finding(kind, Reason.ROLLING_OUT, "agents are being started or replaced")


def _complete(observed: ObservedState) -> Finding:
    kind = ConditionType.PROGRESSING
    match observed.upgrade:
        case UpgradeWait.NOTHING:
            return finding(kind, Reason.COMPLETE, "all agents run the current spec and are ready")
        case UpgradeWait.TURN:
            message = (
                "all agents are ready with the pods of an earlier version of the operator; they are replaced when "
                "their turn comes, because only a part of the agents of an env restarts at a time"
            )
        case UpgradeWait.REQUEST:
            name = "" if observed.agent is None else observed.agent.name
            message = (
                "all agents are ready with the pods of an earlier version of the operator; to replace them, run "
                f'kubectl annotate pfa {name} --overwrite purpleflea.com/upgrade="$(date +%s)"'
            )
        case _:
            assert_never(observed.upgrade)
    return finding(kind, Reason.OPERATOR_UPGRADE, message)


def is_upgrading(observed: ObservedState) -> bool:
    """Return whether the pods are replaced because of an upgrade of the operator."""
    stateful_set = observed.stateful_set
    return stateful_set is not None and template_record.is_operator_upgrade(stateful_set)


def _consequence(observed: ObservedState) -> str:
    if observed.agent is None or not is_upgrading(observed):
        return ""
    return (
        "; the upgrade of the other agents of env "
        f"{observed.agent.spec.datadog.env} is stopped until this agent is ready"
    )


def is_complete(observed: ObservedState) -> bool:
    """Return whether every identity runs the current spec and is ready."""
    stateful_set = observed.stateful_set
    if stateful_set is None or "deletionTimestamp" in stateful_set["metadata"]:
        return False
    return progress(observed)[1]


def deadline(observed: ObservedState) -> datetime | None:
    """Return when a rollout without further progress counts as stuck; None if it is complete or never started."""
    if observed.agent is None or is_complete(observed) or observed.unavailable_since is None:
        return None
    steps = [observed.unavailable_since]
    for pod in observed.pods:
        steps += [step for step in (pod.created, pod.ready_since) if step is not None]
    return max(steps) + timings.ROLLOUT_DEADLINE


def is_overdue(observed: ObservedState) -> bool:
    """Return whether the deadline of the rollout has passed."""
    limit = deadline(observed)
    return limit is not None and observed.now is not None and observed.now >= limit


def _first_unready(observed: ObservedState) -> str:
    unready = sorted(pod.name for pod in observed.pods if not pod.ready)
    if not unready:
        return "pods are missing; see kubectl get events"
    return f"{unready[0]} is not ready; see kubectl logs {unready[0]}"
