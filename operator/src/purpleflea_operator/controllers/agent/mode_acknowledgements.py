"""Requests to the agents whether they act on the trading mode: only to pods that must acknowledge it, until they have.

The requests run beside the passes, so that an agent that does not respond delays no trading mode, of its own resource
or of another. Responses are kept in memory. After a restart, the agents are asked once more, which is a read and not a
write. `decisions.trading_mode` decides which pods must respond and what follows from it.
"""

import asyncio
import logging
from collections.abc import Callable

from purpleflea_contract.control import Control
from purpleflea_operator import timings
from purpleflea_operator.agent_client.protocol import AgentClient, AgentUnreachableError
from purpleflea_operator.controllers.agent.agent_memory import AgentMemory, ModeRequests
from purpleflea_operator.controllers.agent.decisions import (
    effective_mode,
    observed_state,
    starting_pods,
    trading_mode,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    CONTROL_ANNOTATION,
    AgentPod,
    ObservedState,
)
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.parsing import Manifest, mapping

logger = logging.getLogger(__name__)


class ModeAcknowledgements:
    """Sends the requests; `on_change` is called with the agent resource after each of them.

    `clock` returns monotonic seconds. Passes and the control lane use the same requests.
    """

    def __init__(
        self,
        agents: AgentClient,
        on_change: Callable[[NamespacedName], None],
        *,
        clock: Callable[[], float],
    ) -> None:
        self._agents = agents
        self._on_change = on_change
        self._clock = clock

    def update(self, memory: AgentMemory, observed: ObservedState) -> ModeRequests:
        """Adapt the memory to the observed control file and pods, and return its requests.

        Responses and requests about another control file are dropped, as are those of pods that are gone.
        """
        control, requests = trading_mode.desired_control(observed), memory.mode_requests
        if requests is None or requests.control != control:
            requests = self._start(memory, control, self._clock())
        self._remember_end(memory, observed)
        self._remember_pods(memory, observed)
        uids = {pod.uid for pod in observed.pods}
        requests.outdated &= uids
        # A pod that ran can lose its labels, and is then searched again.
        requests.confirmed -= {pod.name for pod in trading_mode.pods_to_acknowledge(observed)}
        for by_uid in (requests.responses, requests.attempts, requests.next_s):
            for uid in by_uid.keys() - uids:
                del by_uid[uid]
        return requests

    def on_written(self, memory: AgentMemory, observed: ObservedState) -> None:
        """Request all acknowledgements again, because the ConfigMap had another control file until now.

        Pods can have read that file after they had acknowledged the desired one. The grace period does not start
        again.
        """
        requests = self.update(memory, observed)
        requests = self._start(memory, requests.control, requests.delivered_s)
        requests.outdated = {pod.uid for pod in observed.pods if not pod.deleting}

    def on_nudged(self, memory: AgentMemory, stored: Manifest) -> None:
        """Request the acknowledgement of a pod soon, however long it was not nudged; `stored` is the pod."""
        requests, uid = memory.mode_requests, stored["metadata"]["uid"]
        note = mapping(stored["metadata"].get("annotations")).get(CONTROL_ANNOTATION)
        control = None if requests is None else requests.control
        # The response can be that of a write for an earlier control file.
        if requests and control and trading_mode.is_nudged(note, control):
            remember_mount(requests, stored["metadata"]["name"], stored)
        if requests is not None and uid in requests.outdated:
            requests.outdated.discard(uid)
            requests.attempts.pop(uid, None)
            requests.next_s.pop(uid, None)

    def _start(
        self, memory: AgentMemory, control: Control | None, delivered_s: float
    ) -> ModeRequests:
        if memory.mode_requests is not None:
            memory.mode_requests.cancel()
        memory.mode_requests = ModeRequests(control=control, delivered_s=delivered_s)
        return memory.mode_requests

    def _remember_end(self, memory: AgentMemory, observed: ObservedState) -> None:
        """Remember since when a halt has ended, and whether the agent may resume, until its ConfigMap has the mode.

        The change of the mode drops the acknowledgements that allowed it. Without this memory, the lane could not
        repeat the decision of a pass.
        """
        if observed.held is not None:
            if not observed.unread_halts:
                memory.halt_ended_s = memory.halt_ended_s or self._clock()
        elif effective_mode.held_control(observed) is not None:
            memory.may_resume = True
        else:
            memory.halt_ended_s, memory.may_resume = None, False

    def _remember_pods(self, memory: AgentMemory, observed: ObservedState) -> None:
        """Remember which pods are watched, and which of them are not watched any more although they may run."""
        due_s = self._clock() + timings.UNSEEN_POD_DELAY_S
        unconfirmed = trading_mode.unconfirmed(observed)
        for name in (*trading_mode.lost_pods(memory.pods_seen, observed), *unconfirmed):
            memory.unseen.setdefault(name, due_s)
        memory.pods_seen = {pod.name: pod.deleting for pod in observed.pods}
        for name in memory.pods_seen.keys() - unconfirmed:
            memory.unseen.pop(name, None)
            memory.unrestored.pop(name, None)

    def ask(self, key: NamespacedName, observed: ObservedState, requests: ModeRequests) -> None:
        """Send the requests that are due."""
        now_s = self._clock()
        for pod in _askable(observed, requests):
            if requests.next_s.get(pod.uid, now_s) <= now_s:
                task = asyncio.create_task(self._ask(requests, key, pod), name=f"ask {pod.name}")
                requests.in_flight[pod.uid] = task
                task.add_done_callback(_log_exception)

    def requeue_after_s(self, observed: ObservedState, requests: ModeRequests) -> float | None:
        """Return the seconds until the next request or deadline, because an agent that acknowledges sends no event."""
        now_s, askable = self._clock(), _askable(observed, requests)
        waits = [requests.next_s.get(pod.uid, now_s) - now_s for pod in askable]
        stop_s = trading_mode.stop_wait_s(observed)
        if stop_s > 0 and trading_mode.unacknowledged(observed):
            waits.append(stop_s)
        if observed.held is not None:
            waits.append(timings.HALT_RESUME_LIMIT_S)
        return max(0.0, min(waits)) if waits else None

    async def _ask(self, requests: ModeRequests, key: NamespacedName, pod: AgentPod) -> None:
        try:
            async with requests.limit:
                requests.responses[pod.uid] = await self._agents.control(pod.address)
        except AgentUnreachableError:
            requests.responses.pop(pod.uid, None)
        finally:
            requests.in_flight.pop(pod.uid, None)
        attempts = requests.attempts[pod.uid] = requests.attempts.get(pod.uid, 0) + 1
        pause_s = min(
            timings.ACKNOWLEDGEMENT_FIRST_PAUSE_S * 2.0 ** min(attempts - 1, 10),
            timings.ACKNOWLEDGEMENT_LONGEST_PAUSE_S,
        )
        requests.next_s[pod.uid] = self._clock() + pause_s
        self._on_change(key)


def remember_mount(requests: ModeRequests, name: str, live: Manifest | None) -> None:
    """Remember whether a pod may have mounted an earlier control file; `live` is None if no pod has this name.

    The first response of the API server after the write decides. The clocks of the pod and of the ConfigMap do not.
    """
    found = None if live is None else observed_state.pod(dict(live))
    is_mounted = found is not None and starting_pods.may_have_mounted(found)
    requests.mounted.setdefault(name, found.uid if found is not None and is_mounted else "")


def _askable(observed: ObservedState, requests: ModeRequests) -> list[AgentPod]:
    return [
        pod
        for pod in trading_mode.unacknowledged(observed)
        if pod.address and not pod.deleting and pod.uid not in requests.in_flight
    ]


def _log_exception(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error(
            "request to an agent failed unexpectedly",
            extra={"task": task.get_name()},
            exc_info=task.exception(),
        )
