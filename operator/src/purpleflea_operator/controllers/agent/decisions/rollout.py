"""Where a rollout that fails is stopped: which identities keep the revision that they have. Pure.

A StatefulSet by itself waits for the first new pod that is not ready, but gives the new revision to every other pod
that is not ready for a moment, or has to be made again. Its partition keeps them from it. The brake is taken off when
the new pods above it are ready: after a spec that mends it, these are the first to try.

How many identities may run now, and which get a new revision: what the spec says, less what may not be started, what
has come to rest, and what a rollout that fails must not reach. Pure.
"""

from dataclasses import replace

from purpleflea_operator.api.explanations.agent import TERMINAL
from purpleflea_operator.controllers.agent.conditions.duplicate_identity import is_refused
from purpleflea_operator.controllers.agent.conditions.progressing import is_overdue
from purpleflea_operator.controllers.agent.conditions.workload_available import pod_problem
from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState, Pod
from purpleflea_operator.controllers.agent.decisions.trading_mode import ordinal
from purpleflea_operator.manifests.metadata import Agent


def partition(world: ObservedState) -> int:
    """The ordinal below which no pod gets the new revision; 0 where the rollout may go on."""
    stateful_set = world.stateful_set
    if stateful_set is None:
        return 0
    strategy = stateful_set["spec"].get("updateStrategy", {})
    now: int = strategy.get("rollingUpdate", {}).get("partition", 0)
    status = stateful_set.get("status", {})
    if status.get("observedGeneration", 0) < stateful_set["metadata"].get("generation", 0):
        return now
    new = status.get("updateRevision")
    if new == status.get("currentRevision"):
        return 0
    updated = [pod for pod in world.pods if pod.revision == new]
    if any(_fails(world, pod) for pod in updated):
        return max(now, min(ordinal(pod) for pod in updated))
    above = [pod for pod in world.pods if ordinal(pod) >= now]
    is_tried = bool(above) and all(pod.ready and pod.revision == new for pod in above)
    return 0 if is_tried else now


def _fails(world: ObservedState, pod: Pod) -> bool:
    """Whether a pod will not become ready by itself."""
    if pod.ready or pod.deleting:
        return False
    found = pod_problem(pod, world.now)
    return is_overdue(world) or (found is not None and found[0] in TERMINAL)


def replicas(world: ObservedState, agent: Agent) -> int:
    """The number of pods to ask for."""
    wanted = agent.spec.replicas
    if is_refused(world):
        # What runs is left alone: it may hold positions, and its rival may have come by a change of its env.
        wanted = min(wanted, trading_mode.live_replicas(world))
    return 0 if trading_mode.may_be_ended(world) else wanted


def effective_agent(world: ObservedState, agent: Agent) -> Agent:
    """The agent as it may run now."""
    count = replicas(world, agent)
    allowed = replace(agent, partition=min(partition(world), count))
    if count == agent.spec.replicas:
        return allowed
    return replace(allowed, spec=agent.spec.model_copy(update={"replicas": count}))
