"""Progress of one agent under its halts, as the status of the halts reports it. Pure."""

from collections.abc import Container

from purpleflea_contract.control import Mode
from purpleflea_operator.controllers.agent.decisions import starting_pods, trading_mode
from purpleflea_operator.controllers.agent.decisions.effective_mode import live_config_map
from purpleflea_operator.controllers.agent.decisions.observed_state import AgentPod, ObservedState
from purpleflea_operator.controllers.halt.decisions.progress import AgentProgress
from purpleflea_operator.manifests import config_map

MAX_OPEN = 10


def agent_progress(observed: ObservedState, asked: Container[str]) -> AgentProgress:
    """Return the progress of an agent. `asked` has the UIDs of the pods that were requested to acknowledge."""
    mode, live = trading_mode.desired_mode(observed), live_config_map(observed)
    if mode is None or mode is Mode.ACTIVE:
        return AgentProgress(mode=mode)
    pods = trading_mode.pods_to_acknowledge(observed)
    responses = observed.trading.acknowledgements
    acknowledged = [pod for pod in pods if pod.uid in responses and responses[pod.uid].mode is mode]
    drained = [pod for pod in pods if trading_mode.has_acknowledged(observed, pod)]
    unseen = trading_mode.unaccounted(observed)
    starting = starting_pods.starting_pods(observed)
    texts = [text for pod in pods if (text := _open(observed, pod))]
    texts += [starting_pods.why_starting(pod)[:253] for pod in starting]
    texts += [
        f"{name}: is read from the API server, because it may run unobserved" for name in unseen
    ]
    control = None if live is None else config_map.control_of(live)
    return AgentProgress(
        mode=mode,
        is_written=live is None or (control is not None and control.mode is mode),
        is_complete=not unseen and all(pod.uid in asked or pod in drained for pod in pods),
        running=len(pods) + len(unseen) + len(starting),
        acknowledged=len(acknowledged),
        drained=len(drained),
        open=tuple([*texts, *_of_ended_pods(observed, [*pods, *starting])][:MAX_OPEN]),
    )


def _open(observed: ObservedState, pod: AgentPod) -> str:
    """Return the work of a pod that is open; empty if there is none."""
    mode = trading_mode.desired_mode(observed)
    response = observed.trading.acknowledgements.get(pod.uid)
    if response is None or response.mode is not mode:
        return f"{pod.name}: has not acknowledged {mode}"
    if response.left_undone:
        return f"{pod.name}: {response.left_undone}"[:253]
    return "" if trading_mode.has_acknowledged(observed, pod) else f"{pod.name}: is not drained"


def _of_ended_pods(observed: ObservedState, pods: list[AgentPod]) -> list[str]:
    """Return the work that pods left when they ended."""
    names = {pod.name for pod in pods}
    return [
        text for text in trading_mode.incomplete(observed) if text.partition(":")[0] not in names
    ]
