"""Asks the agents whether they act on the trading mode: only those that have to say so, only until they have.

It asks beside the passes: an agent that does not answer holds up no order, its own agent resource's or another's. The
answers are kept in memory: after a restart those agents are asked once more, which is a read and no write. Which agents
have to answer, and what follows from it, is decided in modes.
"""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from purpleflea_contract.control import Acknowledgement, Mode
from purpleflea_operator import timings
from purpleflea_operator.agent_client.protocol import AgentClient, AgentUnreachableError
from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState, Pod
from purpleflea_operator.kube.object_cache import NamespacedName

logger = logging.getLogger(__name__)

AT_ONCE = 16
"""Questions to the pods of one agent resource at a time, of the 64 to all: many silent ones leave room for others."""
STALE_AFTER_ATTEMPTS = 4
"""Questions, so 3.5 s after the nudge: whoever still speaks of another mode then has a file from before it."""


@dataclass(slots=True, kw_only=True)
class _Memory:
    mode: Mode | None
    began: datetime
    words: dict[str, Acknowledgement] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    next_at: dict[str, datetime] = field(default_factory=dict)
    asking: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    turns: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(AT_ONCE))


class ModeAcknowledgements:
    """What the agents have said, per agent resource; `concern` is told of which somebody said something."""

    def __init__(
        self,
        agents: AgentClient,
        concern: Callable[[NamespacedName], None],
        *,
        now: Callable[[], datetime],
    ) -> None:
        self._agents = agents
        self._concern = concern
        self._now = now
        self._known: dict[NamespacedName, _Memory] = {}

    def forget(self, key: NamespacedName) -> None:
        """Forget what was heard of an agent resource, and what it was asked."""
        memory = self._known.pop(key, None)
        if memory is not None:
            _cancel(memory)

    def close(self) -> None:
        """Ask nobody any more."""
        for key in list(self._known):
            self.forget(key)

    def remembered(self, world: ObservedState, key: NamespacedName) -> ObservedState:
        """The world with what was heard before. A word about another mode than the one wanted now is void."""
        mode, pods = trading_mode.desired_mode(world), {pod.uid for pod in world.pods}
        memory = self._known.get(key)
        if memory is None or memory.mode is not mode:
            self.forget(key)
            memory = self._known[key] = _Memory(mode=mode, began=self._now())
        for kept in (memory.words, memory.tries, memory.next_at):
            for uid in kept.keys() - pods:
                del kept[uid]
        deaf = {
            uid: memory.tries[uid]
            for uid, word in memory.words.items()
            if word.mode is not mode and memory.tries[uid] >= STALE_AFTER_ATTEMPTS
        }
        trading = replace(
            world.trading,
            acknowledgements=dict(memory.words),
            stale_pods=deaf,
            delivered_at=memory.began,
        )
        return replace(world, trading=trading)

    def ask(self, world: ObservedState, key: NamespacedName) -> None:
        """Ask the agents whose turn it is; `concern` follows when one has answered, or has not."""
        memory, now = self._known[key], self._now()
        for pod in _askable(world, memory):
            if memory.next_at.get(pod.uid, now) <= now:
                task = asyncio.create_task(self._ask(memory, key, pod), name=f"ask {pod.name}")
                memory.asking[pod.uid] = task
                task.add_done_callback(_tell_of_a_fault)

    def again_after_s(self, world: ObservedState, key: NamespacedName) -> float | None:
        """When to look again: an agent sends no event when it acknowledges."""
        memory, now = self._known[key], self._now()
        moments = [memory.next_at.get(pod.uid, now) for pod in _askable(world, memory)]
        deadline = trading_mode.stop_deadline(world)
        if deadline is not None and deadline > now and trading_mode.unacknowledged(world):
            moments.append(deadline)
        return max(0.0, (min(moments) - now).total_seconds()) if moments else None

    async def _ask(self, memory: _Memory, key: NamespacedName, pod: Pod) -> None:
        try:
            async with memory.turns:
                memory.words[pod.uid] = await self._agents.control(pod.address)
        except AgentUnreachableError:
            memory.words.pop(pod.uid, None)
        finally:
            memory.asking.pop(pod.uid, None)
        tries = memory.tries[pod.uid] = memory.tries.get(pod.uid, 0) + 1
        pause_s = min(
            timings.ACKNOWLEDGEMENT_FIRST_PAUSE_S * 2.0 ** min(tries - 1, 10),
            timings.ACKNOWLEDGEMENT_LONGEST_PAUSE_S,
        )
        memory.next_at[pod.uid] = self._now() + timedelta(seconds=pause_s)
        self._concern(key)


def _askable(world: ObservedState, memory: _Memory) -> list[Pod]:
    return [
        pod
        for pod in trading_mode.unacknowledged(world)
        if pod.address and not pod.deleting and pod.uid not in memory.asking
    ]


def _cancel(memory: _Memory) -> None:
    for task in list(memory.asking.values()):
        task.cancel()


def _tell_of_a_fault(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and task.exception() is not None:
        logger.error("asking failed", extra={"task": task.get_name()}, exc_info=task.exception())
