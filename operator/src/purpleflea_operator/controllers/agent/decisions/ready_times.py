"""The times since which pods are ready, on the monotonic clock of this process. Pure.

The kubelet writes the time of its node. The wall clocks of a node and of the operator can differ, and each can be set,
so a pod could seem to be ready for minReadySeconds in its first second. Therefore the time at which this process saw
the pod become ready counts. After a start, pods that are ready already keep the time of their node.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from purpleflea_operator.controllers.agent.decisions.observed_state import AgentPod, ObservedState


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadyTime:
    """The last change of a pod to ready."""

    reported: datetime | None
    """The time in the status of the pod."""
    seen_s: float | None
    """Monotonic time at which this process saw it; None if the pod was ready before."""


ReadyTimes = Mapping[str, ReadyTime]
"""The ready pods of the last pass, by UID."""


def seen(pods: Sequence[AgentPod], known: ReadyTimes | None, monotonic_s: float) -> ReadyTimes:
    """Return the ready pods of this pass. `known` has those of the pass before; it is None in the first pass."""
    times = {}
    for pod in pods:
        if not pod.ready:
            continue
        before = None if known is None else known.get(pod.uid)
        if before is None or before.reported != pod.ready_since:
            seen_s = None if known is None else monotonic_s
            before = ReadyTime(reported=pod.ready_since, seen_s=seen_s)
        times[pod.uid] = before
    return times


def corrected(
    observed: ObservedState, times: ReadyTimes, now: datetime, monotonic_s: float
) -> ObservedState:
    """Return the state with the times at which this process saw pods become ready, as times before `now`."""
    since = {
        uid: now - timedelta(seconds=monotonic_s - time.seen_s)
        for uid, time in times.items()
        if time.seen_s is not None
    }
    pods = [
        replace(pod, ready_since=since[pod.uid]) if pod.uid in since else pod
        for pod in observed.pods
    ]
    return replace(observed, pods=pods) if since else observed
