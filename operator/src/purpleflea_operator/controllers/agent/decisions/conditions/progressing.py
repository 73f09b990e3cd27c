"""Progressing: the rollout is proceeding, complete or stuck. Pure.

The condition follows the condition of this name of a Deployment. It is True during progress and after completion. It is
False with the reason of the first failing pod if the rollout is stuck: immediately if the problem needs a user, else
ten minutes after the last progress.
"""

from datetime import datetime

from purpleflea_operator import timings
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.explanations.agent import TERMINAL
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.decisions.conditions.workload_available import (
    first_error,
    progress,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState


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
    if is_complete(observed):
        return finding(kind, Reason.COMPLETE, "all agents run the current spec and are ready")
    problem = first_error(observed)
    if problem is not None and problem[0] in TERMINAL:
        return finding(kind, *problem)
    if is_overdue(observed):
        reason, text = problem or (Reason.DEADLINE_EXCEEDED, _first_unready(observed))
        return finding(kind, reason, f"no progress for 10 minutes: {text}")
    return finding(kind, Reason.ROLLING_OUT, "agents are being started or replaced")


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
