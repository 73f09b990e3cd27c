"""Agents are halted while the watch of their pods, or another one, is silent without an error.

A report that a halt is complete is compared with the agents at each moment. An agent reads its control file when its
pod starts, and again when the pod is annotated, so a pod that the operator does not see continues to trade.
"""

import asyncio
import json
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from support.apiserver.faults import Fault
from support.apiserver.kinds import Kind, Obj
from support.apiserver.requests import Where
from support.apiserver.store import Change
from support.builders import a_halt, an_agent
from support.paper_agents import NUDGE
from support.simulation import clock as clocks
from support.simulation.operations import KIND, NAME, NS
from support.simulation.world import World, a_world

Act = Callable[[World], Coroutine[Any, Any, None]]
SILENT_S = 40.0
"""Time from the halt until new watches work. A watch without an event for 70 s is opened again."""


@dataclass
class Report:
    """The result of one scenario."""

    untrue: list[str] = field(default_factory=list)
    """Moments at which the halt was reported as complete while a pod traded."""
    halted_s: float = 0.0
    """Seconds until no pod trades, at most SILENT_S."""
    reads: int = 0
    """Reads of single pods between the halt and its end."""
    is_proven: bool = False
    """Whether the halt is reported as complete in the end."""
    is_halted: bool = False
    """Whether all pods are halted in the end."""
    writes_afterwards: int = 0
    """Writes in the last minute."""


async def _create(world: World) -> None:
    world.server.put(an_agent(uid="uid-agent", replicas=2))
    await asyncio.sleep(5.0)


async def _silence(world: World, *resources: str) -> None:
    for resource in resources:
        world.server.stall_watches(resource, also_new=True)


async def _created_unseen(world: World) -> None:
    await _silence(world, "pods")
    await _create(world)


async def _created_unseen_with_its_stateful_set(world: World) -> None:
    await _silence(world, "pods", "statefulsets")
    await _create(world)


async def _created_unseen_with_all_kinds(world: World) -> None:
    await _create(world)
    await _silence(world, "")
    world.server.delete("Pod", NS, f"{NAME}-1")
    await asyncio.sleep(5.0)


async def _started_unseen(world: World) -> None:
    """The last event of each pod is its creation."""
    world.server.put(an_agent(uid="uid-agent", replicas=2))
    await world.wait_for(lambda: world.server.count("Pod") == 2, 10, "the pods are created")
    await asyncio.sleep(0.5)
    await _silence(world, "pods")
    await asyncio.sleep(5.0)


async def _replaced_unseen(world: World) -> None:
    await _create(world)
    await _silence(world, "pods")
    world.server.delete("Pod", NS, f"{NAME}-0")
    await asyncio.sleep(10.0)


async def _replaced_before_its_start_unseen(world: World) -> None:
    """The cache has a pod that did not start; another one has its name by now, and runs."""
    await _started_unseen(world)
    world.server.delete("Pod", NS, f"{NAME}-0")
    await asyncio.sleep(10.0)


async def _scaled_up_unseen(world: World) -> None:
    await _create(world)
    await _silence(world, "pods")
    world.server.patch(KIND, NS, NAME, {"spec": {"replicas": 4}}, manager="kubectl-edit")
    await asyncio.sleep(5.0)


async def _scaled_down_unseen(world: World) -> None:
    """A pod that the StatefulSet does not request any more still ends."""
    await _silence(world, "pods")
    await _create(world)
    world.server.statefulsets.termination_s = 30.0
    world.server.delete("Pod", NS, f"{NAME}-1")
    world.server.patch(KIND, NS, NAME, {"spec": {"replicas": 1}}, manager="kubectl-edit")
    await asyncio.sleep(2.0)


async def _without_labels_unseen(world: World) -> None:
    await _created_unseen(world)
    labels = dict.fromkeys(world.server.objects("Pod", NS)[0]["metadata"]["labels"])
    world.server.patch("Pod", NS, f"{NAME}-0", {"metadata": {"labels": labels}})
    await asyncio.sleep(1.0)


async def _before_another_leader(world: World) -> None:
    """The halt is the first request of a process whose watch is silent after its list."""
    await _create(world)
    leader = world.leader
    assert leader is not None
    await leader.terminate()
    await world.wait_for(lambda: world.leader is not None, 60, "a leader")
    await asyncio.sleep(20.0)
    await _replaced_unseen(world)


async def _deleted_with_a_finalizer(world: World) -> None:
    """A finalizer of another controller keeps the agent and its pods."""
    await _created_unseen(world)
    world.server.patch(KIND, NS, NAME, {"metadata": {"finalizers": ["example.com/audit"]}})
    world.server.delete(KIND, NS, NAME)
    await asyncio.sleep(2.0)


async def _invalid(world: World) -> None:
    await _created_unseen(world)
    world.server.patch(KIND, NS, NAME, {"spec": {"strategy": "Not Valid"}}, manager="kubectl-edit")
    await asyncio.sleep(2.0)


async def _without_config_map(world: World) -> None:
    await _created_unseen(world)
    await _silence(world, "configmaps")
    world.server.delete("ConfigMap", NS, NAME)
    await asyncio.sleep(2.0)


async def _recreated_stateful_set(world: World) -> None:
    """A user deletes the StatefulSet and leaves its pods."""
    await _created_unseen(world)
    pods = world.server.objects("Pod", NS)
    for pod in pods:
        world.server.patch(
            "Pod", NS, pod["metadata"]["name"], {"metadata": {"ownerReferences": None}}
        )
    world.server.delete("StatefulSet", NS, NAME)
    await asyncio.sleep(5.0)


SCENARIOS: dict[str, Act] = {
    "pods are created": _created_unseen,
    "pods are created, and the StatefulSet is silent, too": _created_unseen_with_its_stateful_set,
    "a pod is replaced, and all kinds are silent": _created_unseen_with_all_kinds,
    "pods start": _started_unseen,
    "a pod is replaced": _replaced_unseen,
    "a pod that did not start is replaced": _replaced_before_its_start_unseen,
    "more pods are created": _scaled_up_unseen,
    "fewer pods are requested": _scaled_down_unseen,
    "a pod loses its labels": _without_labels_unseen,
    "pods are created, and the agent is being deleted": _deleted_with_a_finalizer,
    "pods are created, and the spec is invalid": _invalid,
    "pods are created, and the ConfigMap is deleted": _without_config_map,
    "pods are created, and the StatefulSet is deleted without them": _recreated_stateful_set,
    "a pod is replaced after a change of leader": _before_another_leader,
}


def _set_mode(mode: str) -> Callable[[World], None]:
    def act(world: World) -> None:
        spec = {"trading": {"mode": mode}}
        world.server.patch(KIND, NS, NAME, {"spec": spec}, manager="kubectl-edit")

    return act


def _create_halt(world: World) -> None:
    world.server.put(a_halt(namespace=NS, selector={}), manager="kubectl-create")


HALTS: dict[str, Callable[[World], None]] = {
    "Halted": _set_mode("Halted"),
    "Stopped": _set_mode("Stopped"),
    "PurpleFleaHalt": _create_halt,
}


def halted(scenario: str, halt: str) -> Report:
    """Halt an agent after a silent change of its pods, and compare the reports with its pods."""
    clock = clocks.Clock()
    return clocks.run(clock, lambda: _run(clock, SCENARIOS[scenario], HALTS[halt]))


async def _run(clock: clocks.Clock, change: Act, halt: Callable[[World], None]) -> Report:
    async with a_world(clock, 1) as world:
        world.server.statefulsets.termination_s = 3.0
        world.deploy()
        await asyncio.sleep(20)
        report = Report()
        traders = _Traders(world, report)
        await change(world)
        assert traders.trading()
        world.server.clear()
        halt(world)
        traders.ended_at = began = world.now_s
        await asyncio.sleep(SILENT_S)
        is_trading = bool(traders.trading())
        report.halted_s = SILENT_S if is_trading else traders.ended_at - began
        world.server.stop_stalling_new_watches()
        await asyncio.sleep(120)
        report.is_halted = not traders.trading()
        report.is_proven = traders.is_reported()
        reads = world.server.lists(resource="pods")
        report.reads = sum("fieldSelector" in item.query for item in reads)
        report.writes_afterwards = await world.writes_of_a_minute()
        assert not world.errors
        return report


class _Traders:
    """The mode on which each pod acts, and the reports of the operator about it."""

    def __init__(self, world: World, report: Report) -> None:
        self._world, self._report = world, report
        self.ended_at = 0.0
        """Time at which a pod last ceased to trade."""
        self._modes: dict[str, str] = {}
        """By UID of each pod that runs."""
        world.server.subscribe(self._on_change)

    def trading(self) -> list[str]:
        return [uid for uid, mode in self._modes.items() if mode == "Active"]

    def is_reported(self) -> bool:
        return is_reported(self._world)

    def _on_change(self, kind: Kind, change: Change) -> None:
        metadata = change.after["metadata"]
        if kind.kind == "Pod":
            self._on_pod(change)
        if kind.kind in ("Pod", KIND, "PurpleFleaHalt") and self.is_reported() and self.trading():
            self._report.untrue.append(f"{self._world.now_s:.1f} {kind.kind} {metadata['name']}")

    def _on_pod(self, change: Change) -> None:
        before = self.trading()
        self._follow(change)
        if len(self.trading()) < len(before):
            self.ended_at = self._world.now_s

    def _follow(self, change: Change) -> None:
        metadata = change.after["metadata"]
        if change.deleted:
            self._modes.pop(metadata["uid"], None)
            return
        if not change.after["status"].get("containerStatuses"):
            return
        if "deletionTimestamp" in metadata:
            # An agent that receives SIGTERM sends no order.
            self._modes[metadata["uid"]] = "Halted"
            return
        nudged = metadata.get("annotations", {}).get(NUDGE, "")
        mode = nudged.partition(".")[0].partition("-")[0]
        # The kubelet refreshes a mount without an annotation only after a minute.
        self._modes[metadata["uid"]] = mode or self._modes.get(metadata["uid"]) or self._mode()

    def _mode(self) -> str:
        found = self._world.server.get("ConfigMap", NS, NAME)
        return str(json.loads(found["data"]["control.json"])["mode"]) if found else "Active"


def is_reported(world: World) -> bool:
    """Return whether the operator reports the halt as complete."""
    agent = world.server.get(KIND, NS, NAME) or {}
    halt = world.server.get("PurpleFleaHalt", NS, "incident") or {}
    return _status(agent, "TradingActive") == "False" or _status(halt, "Halted") == "True"


def _status(obj: Obj, kind: str) -> str:
    conditions = obj.get("status", {}).get("conditions", [])
    return next((item["status"] for item in conditions if item["type"] == kind), "")


def stop_during_a_hanging_read() -> float:
    """Stop an agent while the read of its pods hangs. Return the seconds until the mode is written."""
    clock = clocks.Clock()

    async def run() -> float:
        async with a_world(clock, 1) as world:
            world.deploy()
            await asyncio.sleep(20)
            await _created_unseen(world)
            read: Where = {"verb": "list", "resource": "pods", "user_agent": "purpleflea-operator"}
            fault = world.server.plan(Fault(effect="hang", where=read, times=None))
            _set_mode("Halted")(world)
            await world.wait_for(lambda: fault.hits, 10, "the read hangs")
            _set_mode("Stopped")(world)
            return await world.wait_for(lambda: _is_written(world, "Stopped"), 30, "stopped")

    return clocks.run(clock, run)


def reads_of_missing_pods(*, status: int, seconds: float) -> int:
    """Halt an agent whose pods cannot be created. Return the reads of its pods, which fail with this status if any."""
    clock = clocks.Clock()

    async def run() -> int:
        async with a_world(clock, 1) as world:
            world.deploy()
            await asyncio.sleep(20)
            world.server.statefulsets.run_in(None)
            world.server.put(an_agent(uid="uid-agent", replicas=40))
            await asyncio.sleep(5)
            if status:
                where: Where = {"verb": "list", "resource": "pods", "namespace": NS}
                world.server.plan(Fault(effect="fail", status=status, where=where, times=None))
            world.server.clear()
            _create_halt(world)
            await asyncio.sleep(seconds)
            assert not world.errors
            return len(world.server.lists(resource="pods", namespace=NS))

    return clocks.run(clock, run)


def _is_written(world: World, mode: str) -> bool:
    found = world.server.get("ConfigMap", NS, NAME)
    return found is not None and json.loads(found["data"]["control.json"])["mode"] == mode
