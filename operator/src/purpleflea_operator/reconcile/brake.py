"""Where a rollout that fails is stopped: which identities keep the revision that they have. Pure.

A StatefulSet by itself waits for the first new pod that is not ready, but gives the new revision to every other pod
that is not ready for a moment, or has to be made again. Its partition keeps them from it. The brake is taken off when
the new pods above it are ready: after a spec that mends it, these are the first to try.
"""

from purpleflea_operator.reconcile.checks.progress import is_overdue
from purpleflea_operator.reconcile.checks.workload import TERMINAL, pod_problem
from purpleflea_operator.reconcile.modes import ordinal
from purpleflea_operator.reconcile.world import Pod, World


def partition(world: World) -> int:
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


def _fails(world: World, pod: Pod) -> bool:
    """Whether a pod will not become ready by itself."""
    if pod.ready or pod.deleting:
        return False
    found = pod_problem(pod, world.now)
    return is_overdue(world) or (found is not None and found[0] in TERMINAL)
