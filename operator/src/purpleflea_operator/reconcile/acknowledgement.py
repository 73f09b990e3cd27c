"""Asks the agents whether they act on the trading mode: only those that have to say so, only until they have.

The answers are kept in memory: after a restart those agents are asked once more, which is a read and no write. Which
agents have to answer, and what follows from it, is decided in modes.
"""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from purpleflea_contract.control import Acknowledgement, Mode
from purpleflea_operator.agents.port import Agents, SilentError
from purpleflea_operator.cluster.cache import Key
from purpleflea_operator.reconcile import modes
from purpleflea_operator.reconcile.world import Pod, World

FIRST_PAUSE_S = 0.5
"""The kubelet needs 0.5 to 0.9 s from the nudge to the mounted file."""
LONGEST_PAUSE_S = 15.0
AT_ONCE = 128
"""Questions in one pass, half of them at a time: silent agents must not hold up the next order."""


@dataclass(slots=True, kw_only=True)
class _Memory:
    mode: Mode
    words: dict[str, Acknowledgement] = field(default_factory=dict)
    tries: dict[str, int] = field(default_factory=dict)
    next_at: dict[str, datetime] = field(default_factory=dict)


class Acknowledgements:
    """What the agents have said, per agent resource."""

    def __init__(self, agents: Agents, *, now: Callable[[], datetime]) -> None:
        self._agents = agents
        self._now = now
        self._known: dict[Key, _Memory] = {}

    def forget(self, key: Key) -> None:
        """Forget what was heard of an agent resource."""
        self._known.pop(key, None)

    def remembered(self, world: World, key: Key) -> World:
        """The world with what was heard before. A word about another mode than the one wanted now is void."""
        mode, pods = modes.mode_of(world), {pod.uid for pod in world.pods}
        memory = self._known.get(key)
        if memory is None or memory.mode is not mode:
            memory = self._known[key] = _Memory(mode=mode)
        for kept in (memory.words, memory.tries, memory.next_at):
            for uid in kept.keys() - pods:
                del kept[uid]
        return _with(world, memory)

    async def heard(self, world: World, key: Key) -> World:
        """The world with what the agents say whose turn it is to be asked."""
        memory, now = self._known[key], self._now()
        due = [pod for pod in _askable(world) if memory.next_at.get(pod.uid, now) <= now]
        if not due:
            return world
        await asyncio.gather(*(self._ask(memory, pod) for pod in due[:AT_ONCE]))
        return _with(world, memory)

    def again_after_s(self, world: World, key: Key) -> float | None:
        """When to look again: an agent sends no event when it acknowledges."""
        memory, now = self._known[key], self._now()
        moments = [memory.next_at.get(pod.uid, now) for pod in _askable(world)]
        deadline = modes.stop_deadline(world)
        if deadline is not None and deadline > now and modes.missing(world):
            moments.append(deadline)
        return max(0.0, (min(moments) - now).total_seconds()) if moments else None

    async def _ask(self, memory: _Memory, pod: Pod) -> None:
        try:
            memory.words[pod.uid] = await self._agents.control(pod.address)
        except SilentError:
            memory.words.pop(pod.uid, None)
        tries = memory.tries[pod.uid] = memory.tries.get(pod.uid, 0) + 1
        pause_s = min(FIRST_PAUSE_S * 2.0 ** min(tries - 1, 10), LONGEST_PAUSE_S)
        memory.next_at[pod.uid] = self._now() + timedelta(seconds=pause_s)


def _askable(world: World) -> list[Pod]:
    return [pod for pod in modes.missing(world) if pod.address and not pod.deleting]


def _with(world: World, memory: _Memory) -> World:
    return replace(world, trading=replace(world.trading, words=dict(memory.words)))
