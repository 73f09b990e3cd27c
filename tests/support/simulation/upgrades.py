"""Upgrades of the operator while writes are rejected, agents fail, users change specs and the leader changes."""

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from support.apiserver.faults import Fault
from support.apiserver.kinds import Kind, Obj
from support.apiserver.requests import Where
from support.apiserver.statefulsets import is_ready
from support.apiserver.store import Change
from support.builders import a_datadog_daemon_set, an_agent
from support.simulation import clock as clocks
from support.simulation.hazard import OURS
from support.simulation.operations import KIND, NS
from support.simulation.world import World, a_world

NEW = "localhost/purpleflea-agent:next"
FLEET = tuple(f"agent-{number}" for number in range(6))
FIRST = FLEET[0]
REASONABLE_S = 300.0


@dataclass
class Upgrade:
    """The measurements of one scenario."""

    upgraded: set[str] = field(default_factory=set)
    """Agents whose pods have the new image at the end."""
    at_once: int = 0
    """Largest number of agents with an unready pod of the new image at one moment."""
    attempts: Counter[str] = field(default_factory=Counter)
    """Writes of the operator to StatefulSets."""
    statuses: Counter[str] = field(default_factory=Counter)
    """Writes of the operator to the status."""
    progress: list[str] = field(default_factory=list)
    """Reasons of Progressing of the first agent, in sequence."""
    settled_s: float = 0.0
    running: int = 0
    """Pods of the first agent with the new image."""
    unready: int = 0
    """Largest number of pods of the first agent that were not ready at one moment."""


Play = Callable[["Fleet", Upgrade], Coroutine[Any, Any, None]]


class Fleet:
    """Agents of one env that an operator with a new default image has to upgrade."""

    def __init__(self, world: World, found: Upgrade) -> None:
        self.world = world
        self.server = world.server
        self._found = found
        self._failing: set[str] = set()
        self._restarting: set[str] = set()
        world.server.subscribe(self._on_change)
        world.server.statefulsets.let_ready(self._is_ready)

    def fail(self, *names: str) -> None:
        """Let new pods of these agents never become ready."""
        self._failing = set(names)
        self.server.statefulsets.let_ready(self._is_ready)

    def patch(self, name: str, spec: dict[str, Any]) -> None:
        self.server.patch(KIND, NS, name, {"spec": spec}, manager="kubectl-edit")

    def upgraded(self) -> set[str]:
        """Return the agents with a pod of the new image."""
        return {_agent_of(pod) for pod in self.server.objects("Pod") if is_new(pod)}

    def running(self, name: str) -> int:
        """Return the number of pods of an agent with the new image."""
        return sum(is_new(pod) for pod in self.server.objects("Pod") if _agent_of(pod) == name)

    def ready(self, name: str) -> list[str]:
        """Return the pods of an agent that are ready with the new image."""
        pods = [pod for pod in self.server.objects("Pod") if _agent_of(pod) == name]
        return [pod["metadata"]["name"] for pod in pods if is_new(pod) and is_ready(pod)]

    async def upgrade(self, *, restart_percent: int = 5) -> None:
        """Replace the operator by one with another default image."""
        self.world.settings["agent_image"] = NEW
        self.world.settings["agent_restart_percent"] = restart_percent
        self.server.clear()
        await asyncio.gather(*(replica.terminate() for replica in self.world.replicas))

    async def replace_leader(self) -> None:
        """End the leader as with SIGKILL."""
        leader = self.world.leader
        assert leader is not None
        leader.kill()

    def _count_unready(self, change: Change) -> None:
        """Count the pods of the first agent that are missing or not ready after a change of its template."""
        owner = self.server.get("StatefulSet", NS, FIRST)
        if owner is None or NEW not in str(owner):
            return
        pods = {item["metadata"]["uid"]: item for item in self.server.objects("Pod")}
        pods[change.after["metadata"]["uid"]] = {} if change.deleted else change.after
        ready = [item for item in pods.values() if item and _agent_of(item) == FIRST]
        working = sum(
            is_ready(item) and "deletionTimestamp" not in item["metadata"] for item in ready
        )
        self._found.unready = max(self._found.unready, owner["spec"]["replicas"] - working)

    def _is_ready(self, pod: Obj) -> bool:
        return not (is_new(pod) and _agent_of(pod) in self._failing)

    def _on_change(self, kind: Kind, change: Change) -> None:
        if kind.kind == KIND and change.after["metadata"]["name"] == FIRST:
            reason = progress(change.after)
            if reason and self._found.progress[-1:] != [reason]:
                self._found.progress.append(reason)
        if kind.kind != "Pod":
            return
        name, pod = _agent_of(change.after), change.after
        if name == FIRST:
            self._count_unready(change)
        self._restarting.discard(name)
        if not change.deleted and is_new(pod) and not is_ready(pod):
            self._restarting.add(name)
        self._found.at_once = max(self._found.at_once, len(self._restarting))


def is_new(pod: Obj) -> bool:
    """Return whether a pod has the image of the upgrade, or another template than before it."""
    return bool(pod["spec"]["containers"][0]["image"] == NEW)


def progress(agent: Obj) -> str:
    """Return the reason of Progressing."""
    conditions = agent.get("status", {}).get("conditions", [])
    return next((str(item["reason"]) for item in conditions if item["type"] == "Progressing"), "")


def _agent_of(pod: Obj) -> str:
    return str(pod["metadata"]["name"].rpartition("-")[0])


def rejected(status: int) -> Play:
    """Return the play of an upgrade while the API server rejects the StatefulSet of the first agent."""

    async def play(fleet: Fleet, found: Upgrade) -> None:
        where: Where = {**OURS, "resource": "statefulsets", "name": FIRST}
        rejection = Fault(
            effect="fail", where=where, times=None, status=status, message="denied the request"
        )
        fleet.server.plan(rejection)
        await fleet.upgrade()
        found.settled_s = await fleet.world.wait_for(
            lambda: fleet.upgraded() == set(FLEET[1:]), REASONABLE_S, "the others are upgraded"
        )
        await asyncio.sleep(120)
        rejection.cancel()
        await fleet.world.wait_for(lambda: FIRST in fleet.upgraded(), 65, "upgraded when accepted")

    return play


async def _fail_first(fleet: Fleet, *, restart_percent: int = 5) -> str:
    """Upgrade, and let the pods of the first upgraded agent fail. Return the agent."""
    fleet.fail(*FLEET)
    await fleet.upgrade(restart_percent=restart_percent)
    await fleet.world.wait_for(fleet.upgraded, REASONABLE_S, "one agent is upgraded")
    (failing,) = fleet.upgraded()
    _crash(fleet, f"{failing}-0")
    await asyncio.sleep(60)
    fleet.fail(failing)
    await asyncio.sleep(60)
    return failing


def _crash(fleet: Fleet, name: str) -> None:
    state = {"waiting": {"reason": "CrashLoopBackOff", "message": "back-off"}}
    status = {"name": "agent", "ready": False, "restartCount": 3, "state": state}
    change = {"spec": {"nodeName": "node-0"}, "status": {"containerStatuses": [status]}}
    fleet.server.patch("Pod", NS, name, change)


async def fixed_by_a_user(fleet: Fleet, found: Upgrade) -> None:
    """A user changes the spec of the agent that fails, and its pods still fail."""
    failing = await _fail_first(fleet)
    assert fleet.upgraded() == {failing}
    fleet.patch(failing, {"trading": {"interval": "9s"}})
    found.settled_s = await fleet.world.wait_for(
        lambda: fleet.upgraded() == set(FLEET), REASONABLE_S, "the others are upgraded"
    )


async def unrelated_changes(fleet: Fleet, found: Upgrade) -> None:
    """Changes that do not replace the failing template: none of them lets another agent restart."""
    failing = await _fail_first(fleet)
    changes: list[dict[str, Any]] = [
        {"trading": {"mode": "Halted"}},
        {"trading": {"mode": "Active"}},
        {"replicas": 3},
        {"network": {"egressPorts": [443]}},
        {"markets": []},
    ]
    for spec in changes:
        fleet.patch(failing, spec)
        await asyncio.sleep(60)


async def scaled_around_a_leader_change(fleet: Fleet, found: Upgrade) -> None:
    """A failing agent is scaled while the leader ends, and its pods are evicted afterwards."""
    failing = await _fail_first(fleet)
    for replicas, delay_s in ((2, 0.0), (4, 0.5), (3, 8.0), (1, 14.0), (2, 16.0)):
        await fleet.replace_leader()
        await asyncio.sleep(delay_s)
        fleet.patch(failing, {"replicas": replicas})
        await asyncio.sleep(40)
        _crash(fleet, f"{failing}-0")
        await asyncio.sleep(30)
        fleet.server.delete("Pod", NS, f"{failing}-0")
        await asyncio.sleep(30)


async def invalid_while_waiting(fleet: Fleet, found: Upgrade) -> None:
    """Agents that wait become invalid, are stopped, renamed, or deleted, at the moment they are notified."""
    await fleet.upgrade()
    await fleet.world.wait_for(fleet.upgraded, REASONABLE_S, "one agent is upgraded")
    await asyncio.sleep(1.0)
    waiting = [name for name in FLEET if name not in fleet.upgraded()]
    fleet.patch(waiting[0], {"markets": []})
    fleet.patch(waiting[1], {"trading": {"mode": "Stopped"}})
    fleet.server.delete(KIND, NS, waiting[2])
    found.settled_s = await fleet.world.wait_for(
        lambda: set(waiting[3:]) <= fleet.upgraded(), 60, "the others are upgraded"
    )


def changed_while_young(*, is_good: bool) -> Play:
    """Return the play of a change of the image of an agent whose pods are younger than minReadySeconds."""

    async def play(fleet: Fleet, found: Upgrade) -> None:
        fleet.server.statefulsets.honors_min_ready = True
        if not is_good:
            fleet.fail(FIRST)
        for pod in fleet.server.objects("Pod"):
            fleet.server.delete("Pod", NS, pod["metadata"]["name"])
        await asyncio.sleep(20)
        fleet.server.clear()
        began = fleet.world.now_s
        fleet.patch(FIRST, {"image": {"repository": NEW.rpartition(":")[0], "tag": "next"}})
        if is_good:
            await fleet.world.wait_for(
                lambda: fleet.running(FIRST) == 3, 400, "all pods have the new image"
            )
            await asyncio.sleep(120)
        else:
            await asyncio.sleep(1000)
        found.settled_s = fleet.world.now_s - began
        found.running = fleet.running(FIRST)

    return play


def fails_after_ready(seconds: float, *, min_ready_s: int = 75, step: timedelta) -> Play:
    """Return the play of an image whose pods fail this long after they became ready, while the clock is set.

    The controller of the StatefulSet compares two wall clocks, so it counts the pods as available at once.
    """

    async def play(fleet: Fleet, found: Upgrade) -> None:
        fleet.world.clock.step = step
        image = {"repository": NEW.rpartition(":")[0], "tag": "next"}
        fleet.patch(FIRST, {"pod": {"minReadySeconds": min_ready_s}, "image": image})
        await fleet.world.wait_for(lambda: bool(fleet.ready(FIRST)), 60, "a new pod is ready")
        await asyncio.sleep(seconds)
        failing = fleet.ready(FIRST)
        fleet.fail(FIRST)
        for name in failing:
            _crash(fleet, name)
        await asyncio.sleep(300)
        found.running = fleet.running(FIRST)

    return play


def simulated(play: Play, *, replicas: int = 1, operators: int = 1) -> Upgrade:
    """Run a scenario in virtual time: agents with an old image are ready, and then `play` begins."""
    clock = clocks.Clock()
    return clocks.run(clock, lambda: _run(clock, play, replicas, operators))


async def _run(clock: clocks.Clock, play: Play, replicas: int, operators: int) -> Upgrade:
    found = Upgrade()
    async with a_world(clock, 1) as world:
        world.server.put(a_datadog_daemon_set(host_ports=True))
        for name in FLEET:
            world.server.put(an_agent(name, uid=f"uid-{name}", replicas=replicas))
        world.deploy(operators)
        await asyncio.sleep(60)
        fleet = Fleet(world, found)
        await play(fleet, found)
        found.upgraded = fleet.upgraded()
        for item in world.server.writes(user_agent="purpleflea-operator"):
            if item.resource == "statefulsets":
                found.attempts[item.name] += 1
            elif item.subresource == "status":
                found.statuses[item.name] += 1
        assert not world.errors
    return found
