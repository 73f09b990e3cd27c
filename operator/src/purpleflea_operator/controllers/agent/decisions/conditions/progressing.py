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
from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.decisions.conditions.workload_available import (
    first_error,
    progress,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    AgentPod,
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
    if observed.not_stored:
        return finding(kind, Reason.NOT_STORED, observed.not_stored)
    if observed.recreation_delay:
        return finding(kind, Reason.RECREATION_DELAYED, observed.recreation_delay)
    limit = trading_mode.growth_limit(observed)
    if limit is not None and observed.agent.spec.replicas > limit:
        message = (
            f"spec.replicas is {observed.agent.spec.replicas}, and no more than {limit} agents are started, because "
            f"PurpleFleaHalts that may apply cannot be read: {observed.unread_halts}"
        )
        return finding(kind, Reason.HALTS_UNREAD, message)
    if is_complete(observed):
        return _complete(observed)
    problem = first_error(observed)
    if problem is not None and (problem[0] in TERMINAL or problem[0] is Reason.NODE_LOST):
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
    """Return when the next pod counts as stuck, or when one did; None if the rollout is complete or never started."""
    since, now = observed.unavailable_since, observed.now
    if observed.agent is None or is_complete(observed) or since is None:
        return None
    limits = [_limit(pod, since) for pod in observed.pods if not pod.ready and not pod.deleting]
    if not limits:
        limits = [max([since, *map(_last_step, observed.pods)]) + timings.ROLLOUT_DEADLINE]
    return min((limit for limit in limits if now is None or limit > now), default=min(limits))


def is_late(observed: ObservedState, pod: AgentPod) -> bool:
    """Return whether a pod has been unready for too long. Other pods that become ready do not extend its time."""
    since, now = observed.unavailable_since, observed.now
    is_waiting = not pod.ready and not pod.deleting
    return is_waiting and since is not None and now is not None and now >= _limit(pod, since)


def is_overdue(observed: ObservedState) -> bool:
    """Return whether a pod is late, or pods are missing for too long."""
    limit, now = deadline(observed), observed.now
    if limit is None or now is None:
        return False
    return now >= limit or any(is_late(observed, pod) for pod in observed.pods)


def _limit(pod: AgentPod, since: datetime) -> datetime:
    return max(since, _last_step(pod)) + timings.ROLLOUT_DEADLINE


def _last_step(pod: AgentPod) -> datetime:
    return pod.created if pod.ready_since is None else max(pod.created, pod.ready_since)


def _first_unready(observed: ObservedState) -> str:
    unready = sorted(pod.name for pod in observed.pods if not pod.ready)
    if not unready:
        return "pods are missing; see kubectl get events"
    return f"{unready[0]} is not ready; see kubectl logs {unready[0]}"
