"""Is the workload on its way to what is wanted, there, or stuck? Pure.

As a Deployment's condition of this name: True while there is progress and when all is done, False with the first
failing pod's reason when it is stuck: at once where the kubelet has given up, else ten minutes after the last progress.
"""

from datetime import datetime

from purpleflea_operator import timings
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.controllers.agent.conditions.finding import Finding, finding
from purpleflea_operator.controllers.agent.conditions.workload_available import (
    TERMINAL,
    problem,
    progress,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState


def progressing(world: ObservedState) -> Finding:
    """Does the workload come closer to what is wanted?"""
    kind = ConditionType.PROGRESSING
    if world.failure:
        return finding(kind, "False", world.failure_reason, world.failure)
    if world.agent is None:
        return finding(
            kind, "False", "SpecInvalid", "nothing is rolled out until the spec is valid"
        )
    if is_complete(world):
        return finding(kind, "True", "Complete", "all agents run what is wanted")
    found = problem(world)
    if found is not None and found[0] in TERMINAL:
        return finding(kind, "False", *found)
    if is_overdue(world):
        reason, text = found or ("DeadlineExceeded", f"{_first_unready(world)}; see kubectl logs")
        return finding(kind, "False", reason, f"no progress for 10 minutes: {text}")
    return finding(kind, "True", "RollingOut", "agents are being started or replaced")


def is_complete(world: ObservedState) -> bool:
    """Whether every identity runs what is wanted and is ready."""
    stateful_set = world.stateful_set
    if stateful_set is None or "deletionTimestamp" in stateful_set["metadata"]:
        return False
    return progress(world)[1]


def deadline(world: ObservedState) -> datetime | None:
    """When a workload that makes no more progress counts as stuck; None where it is complete, or never began."""
    if world.agent is None or is_complete(world) or world.unavailable_since is None:
        return None
    marks = [world.unavailable_since]
    for pod in world.pods:
        marks += [mark for mark in (pod.created, pod.ready_since) if mark is not None]
    return max(marks) + timings.ROLLOUT_DEADLINE


def is_overdue(world: ObservedState) -> bool:
    """Whether the last progress is too long ago."""
    limit = deadline(world)
    return limit is not None and world.now is not None and world.now >= limit


def _first_unready(world: ObservedState) -> str:
    waiting = sorted(pod.name for pod in world.pods if not pod.ready)
    return f"{waiting[0]} is not ready" if waiting else "pods are missing"
