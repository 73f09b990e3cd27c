"""Halts of pods that have mounted the control file, and that pull their image when the mode is written.

A simulated kubelet does not refresh a mounted file before the container runs, so such a pod starts with the former
mode. It trades until its kubelet receives the next annotation.
"""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from support.apiserver.kinds import Kind
from support.apiserver.store import Change
from support.builders import an_agent
from support.simulation import clock as clocks
from support.simulation.operations import KIND, NAME, NS
from support.simulation.unseen import HALTS, is_reported
from support.simulation.world import World, a_world

Act = Callable[[World], Coroutine[Any, Any, None]]
PULL_S = 60.0
NEVER_S = 1e6


@dataclass
class Report:
    """The result of one scenario."""

    untrue: list[str] = field(default_factory=list)
    """Moments at which the halt was reported as complete while a pod traded."""
    was_reported_early: bool = False
    """Whether the halt was reported as complete before PULL_S was over."""
    open: str = ""
    """The message of TradingActive before PULL_S was over."""
    is_proven: bool = False
    """Whether the halt is reported as complete in the end."""
    trading: int = 0
    """Pods that trade in the end."""
    writes_afterwards: int = 0
    """Writes in the last minute."""


async def _pull(world: World) -> None:
    world.server.put(an_agent(uid="uid-agent", replicas=2))
    await asyncio.sleep(5.0)


async def _pull_unseen(world: World) -> None:
    world.server.stall_watches("pods", also_new=True)
    await _pull(world)


async def _never_start(world: World) -> None:
    world.server.statefulsets.start_s = NEVER_S
    await _pull(world)


SCENARIOS: dict[str, Act] = {
    "pods pull their image": _pull,
    "pods pull their image, and their watch is silent": _pull_unseen,
    "the image cannot be pulled": _never_start,
}


def halted(scenario: str, halt: str) -> Report:
    """Halt an agent whose pods pull their image. Delete the pods if the image cannot be pulled."""
    clock = clocks.Clock()
    return clocks.run(clock, lambda: _run(clock, scenario, HALTS[halt]))


async def _run(clock: clocks.Clock, scenario: str, halt: Callable[[World], None]) -> Report:
    async with a_world(clock, 1) as world:
        world.server.statefulsets.mounts_first = True
        world.server.statefulsets.start_s = PULL_S
        world.server.statefulsets.termination_s = 3.0
        report = Report()
        world.server.subscribe(lambda kind, change: _on_change(world, report, kind, change))
        world.deploy()
        await asyncio.sleep(20)
        await SCENARIOS[scenario](world)
        halt(world)
        await asyncio.sleep(PULL_S - 8.0)
        report.was_reported_early = is_reported(world)
        agent = world.server.get(KIND, NS, NAME) or {}
        report.open = _message(agent.get("status", {}).get("conditions", []))
        world.server.stop_stalling_new_watches()
        if scenario == "the image cannot be pulled":
            for ordinal in (0, 1):
                world.server.delete("Pod", NS, f"{NAME}-{ordinal}")
        await asyncio.sleep(120)
        report.is_proven, report.trading = is_reported(world), len(trading_pods(world))
        report.writes_afterwards = await world.writes_of_a_minute()
        assert not world.errors
        return report


def _on_change(world: World, report: Report, kind: Kind, change: Change) -> None:
    if kind.kind == "Pod" and not change.deleted and change.after["spec"].get("nodeName"):
        world.agents.mount(change.after)
    if kind.kind in ("Pod", KIND, "PurpleFleaHalt") and is_reported(world):
        report.untrue += [f"{world.now_s:.1f} {name}" for name in trading_pods(world)]


def trading_pods(world: World) -> list[str]:
    pods = world.server.objects("Pod", NS)
    return [
        pod["metadata"]["name"]
        for pod in pods
        if pod["status"].get("podIP")
        and "deletionTimestamp" not in pod["metadata"]
        and world.agents.mode(pod) == "Active"
    ]


def _message(conditions: list[dict[str, str]]) -> str:
    return next((item["message"] for item in conditions if item["type"] == "TradingActive"), "")
