"""All agents of a fleet restart because their settings changed, and a user halts one of them meanwhile."""

import asyncio
import json
from dataclasses import dataclass

from support.apiserver.faults import Fault
from support.apiserver.requests import Where
from support.builders import a_halt, an_agent
from support.simulation import clock as clocks
from support.simulation.hazard import OURS
from support.simulation.operations import KIND, NS
from support.simulation.world import World, a_world

APPLY_S = 0.2
"""Time of the API server for the apply of a StatefulSet, so that the passes are queued for seconds."""


@dataclass
class Storm:
    """The result: applies that arrived between a halt and its write, those before and after, and the seconds."""

    before: int
    between: int
    after: int
    halt_s: float


def halt_in_a_storm(agents: int, workers: int) -> Storm:
    """Change all agents, and create a PurpleFleaHalt for the last one when the first changes are applied."""
    clock = clocks.Clock()
    return clocks.run(clock, lambda: _play(clock, agents, workers))


async def _play(clock: clocks.Clock, agents: int, workers: int) -> Storm:
    async with a_world(clock, 1) as world:
        server = world.server
        names = [f"agent-{number:04}" for number in range(agents)]
        for name in names:
            server.put(an_agent(name, uid=f"uid-{name}"))
        world.settings["workers"] = workers
        world.deploy()
        await asyncio.sleep(120)
        server.clear()
        where: Where = {**OURS, "verb": "patch", "resource": "statefulsets"}
        server.plan(Fault(effect="delay", where=where, times=None, seconds=APPLY_S))
        for name in names:
            server.patch(KIND, NS, name, {"spec": {"trading": {"interval": "7s"}}})
        await world.wait_for(lambda: _applies(world), 60, "the storm has begun")
        before, began = _applies(world), world.now_s
        server.put(a_halt(namespace=NS, selector={"names": [names[-1]]}))
        while not _is_halted(world, names[-1]):
            assert world.now_s - began < 60
            await asyncio.sleep(0.001)
        found = Storm(before, _applies(world) - before, 0, world.now_s - began)
        await asyncio.sleep(60)
        found.after = _applies(world) - found.before - found.between
        return found


def _applies(world: World) -> int:
    return len(world.server.writes(resource="statefulsets", verb="patch"))


def _is_halted(world: World, name: str) -> bool:
    found = world.server.get("ConfigMap", NS, name)
    return found is not None and json.loads(found["data"]["control.json"])["mode"] == "Halted"
