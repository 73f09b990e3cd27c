"""The extent of a rollout: the number of pods, and the pods that receive the new revision. Pure.

A StatefulSet waits for the first new pod that is not ready, but gives the new revision to every other pod that becomes
unready or is recreated meanwhile. If a rollout fails, its partition is set to the ordinal of the failing pod, so that
the pods below keep their revision. The partition is removed when the new pods above it are ready: after a corrected
spec, these pods try it first.

The number of pods is the one in the spec, reduced if identities must not start, or have drained after a stop.
"""

from dataclasses import replace

from purpleflea_operator.api.explanations.agent import TERMINAL
from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.conditions.duplicate_identity import is_refused
from purpleflea_operator.controllers.agent.decisions.conditions.progressing import is_overdue
from purpleflea_operator.controllers.agent.decisions.conditions.workload_available import (
    pod_problem,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import AgentPod, ObservedState
from purpleflea_operator.controllers.agent.decisions.trading_mode import ordinal
from purpleflea_operator.manifests.metadata import Agent


def paused_partition(observed: ObservedState) -> int:
    """Return the ordinal below which pods keep their revision; 0 if the rollout is not paused."""
    stateful_set = observed.stateful_set
    if stateful_set is None:
        return 0
    strategy = stateful_set["spec"].get("updateStrategy", {})
    current: int = strategy.get("rollingUpdate", {}).get("partition", 0)
    status = stateful_set.get("status", {})
    if status.get("observedGeneration", 0) < stateful_set["metadata"].get("generation", 0):
        return current
    revision = status.get("updateRevision")
    if revision == status.get("currentRevision"):
        return 0
    updated = [pod for pod in observed.pods if pod.revision == revision]
    if any(_fails(observed, pod) for pod in updated):
        return max(current, min(ordinal(pod) for pod in updated))
    above = [pod for pod in observed.pods if ordinal(pod) >= current]
    is_healthy = bool(above) and all(pod.ready and pod.revision == revision for pod in above)
    return 0 if is_healthy else current


def _fails(observed: ObservedState, pod: AgentPod) -> bool:
    """Return whether a pod will not become ready without a change."""
    if pod.ready or pod.deleting:
        return False
    problem = pod_problem(pod, observed.now)
    return is_overdue(observed) or (problem is not None and problem[0] in TERMINAL)


def effective_replicas(observed: ObservedState, agent: Agent) -> int:
    """Return the number of pods to request."""
    wanted = agent.spec.replicas
    if is_refused(observed):
        # Running pods stay, because they can hold positions. A change of either agent's env can cause the conflict.
        wanted = min(wanted, trading_mode.live_replicas(observed))
    return 0 if trading_mode.may_scale_to_zero(observed) else wanted


def effective_agent(observed: ObservedState, agent: Agent) -> Agent:
    """Return the agent with the replicas and the partition that apply now."""
    count = effective_replicas(observed, agent)
    effective = replace(
        trading_mode.controlled(observed, agent), partition=min(paused_partition(observed), count)
    )
    if count == agent.spec.replicas:
        return effective
    return replace(effective, spec=agent.spec.model_copy(update={"replicas": count}))
