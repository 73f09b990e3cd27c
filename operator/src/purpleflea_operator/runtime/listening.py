"""Asks running agents whether they lose what they send: once after they turn ready, then every quarter of an hour.

It asks beside the workers, a few at a time: an agent that does not answer holds up nobody. Agents that answer and lose
nothing cost no pass, and no request to the API server ever. What speaks against an agent must be seen twice.
"""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from purpleflea_operator.agents.port import Agents, SilentError
from purpleflea_operator.cluster.cache import Key, owner_of
from purpleflea_operator.cluster.kinds import Manifest
from purpleflea_operator.reconcile.checks.reasons import TelemetryReason
from purpleflea_operator.reconcile.world import pod
from purpleflea_operator.runtime.queue import Queue

FIRST_AFTER_S = 30.0
AGAIN_AFTER_S = 900.0
SURE_AFTER_S = 60.0
"""When it is looked again while something is wrong."""
AT_ONCE = 8


@dataclass(slots=True, kw_only=True)
class _Memory:
    key: Key
    address: str
    lost: Mapping[str, int] = field(default_factory=dict)
    is_known: bool = False
    silent: int = 0
    finding: TelemetryReason | None = None


class Listening:
    """What agents answered; `concern` is told which agent resource a new finding is about."""

    def __init__(
        self, agents: Agents, concern: Callable[[Key], None], *, jitter: Callable[[], float]
    ) -> None:
        self._agents = agents
        self._concern = concern
        self._jitter = jitter
        self._known: dict[str, _Memory] = {}
        self._due: Queue[str] = Queue(jitter=jitter)

    def findings(self, uids: Iterable[str]) -> Mapping[str, str]:
        """What speaks against agents, by the uid of their pods."""
        known = {uid: self._known[uid].finding for uid in uids if uid in self._known}
        return {uid: finding for uid, finding in known.items() if finding is not None}

    def note(self, manifest: Manifest) -> None:
        """Take in a pod of an agent as it is now: who is not ready is not asked."""
        found, key = pod(dict(manifest)), owner_of(manifest)
        if key is None or not found.ready or found.deleting or not found.address:
            self.forget(found.uid)
        elif found.uid not in self._known:
            self._known[found.uid] = _Memory(key=key, address=found.address)
            self._due.add_after(found.uid, FIRST_AFTER_S)

    def forget(self, uid: str) -> None:
        """Take in that a pod is gone."""
        self._known.pop(uid, None)

    def sweep(self, alive: Iterable[str]) -> None:
        """Forget all pods but these."""
        for uid in self._known.keys() - set(alive):
            self.forget(uid)

    async def run(self) -> None:
        """Ask until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                for number in range(AT_ONCE):
                    group.create_task(self._ask_on(), name=f"listening-{number}")
        finally:
            self.close()

    def close(self) -> None:
        """Ask nobody any more."""
        self._due.close()

    async def _ask_on(self) -> None:
        while True:
            uid = await self._due.take()
            try:
                await self.ask(uid)
            finally:
                self._due.finish(uid)

    async def ask(self, uid: str) -> None:
        """Ask one agent, if it is still there."""
        known = self._known.get(uid)
        if known is None:
            return
        try:
            lost: Mapping[str, int] | None = await self._agents.losses(known.address)
        except SilentError:
            lost = None
        if self._known.get(uid) is not known:
            return
        before, known.finding = known.finding, _judged(known, lost)
        if known.finding is not before:
            self._concern(known.key)
        calm = known.finding is None and not known.silent and not any(known.lost.values())
        # Spread out: agents that were started together need not be asked together.
        pause_s = AGAIN_AFTER_S if calm or before is known.finding is not None else SURE_AFTER_S
        self._due.add_after(uid, pause_s * (0.75 + self._jitter() / 2))


def _judged(known: _Memory, lost: Mapping[str, int] | None) -> TelemetryReason | None:
    """What an answer, or none, comes to, with what is remembered."""
    if lost is None:
        known.silent += 1
        return TelemetryReason.AGENTS_SILENT if known.silent > 1 else known.finding
    grown = known.is_known and any(lost[name] > known.lost.get(name, 0) for name in lost)
    known.lost, known.is_known, known.silent = dict(lost), True, 0
    return TelemetryReason.TELEMETRY_LOST if grown else None
