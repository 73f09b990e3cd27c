"""Pods that may start with an earlier control file, because they mounted it before the mode was written. Pure."""

from purpleflea_contract.control import Mode
from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.observed_state import AgentPod, ObservedState


def may_have_mounted(pod: AgentPod) -> bool:
    """Return whether a kubelet may start the agent of a pod with volumes that it has already mounted.

    The kubelet mounts the control file before it pulls the image, and does not refresh it before the container runs.
    """
    return pod.scheduled and not pod.ended and not trading_mode.has_run(pod)


def starting_pods(observed: ObservedState) -> list[AgentPod]:
    """Return the pods that must not trade, and that may start with an earlier control file, sorted by name.

    A pod that was on its node when the mode was written is one of them until it runs, and must acknowledge then.
    """
    mode, mounted = trading_mode.desired_mode(observed), observed.trading.mounted
    if mode is None or mode is Mode.ACTIVE:
        return []
    pods = (pod for pod in observed.pods if mounted.get(pod.name) == pod.uid)
    return sorted(filter(may_have_mounted, pods), key=lambda pod: pod.name)


def why_starting(pod: AgentPod) -> str:
    """Return the state of a pod of `starting_pods`, with the remedy."""
    reason = f" ({pod.waiting[:63]})" if pod.waiting else ""
    return f"{pod.name}: has not started{reason}, and may start with an earlier control file; wait, or delete the pod"
