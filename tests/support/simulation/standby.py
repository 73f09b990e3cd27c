"""Takeovers by a warm standby: how long until a halt is served, what a standby writes, and an expired halt."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

from support.apiserver.faults import Fault
from support.apiserver.requests import Where
from support.builders import a_datadog_daemon_set, a_halt, an_agent
from support.simulation import clock as clocks
from support.simulation.operations import KIND, NAME, NS
from support.simulation.world import World, a_world

T = TypeVar("T")


@dataclass
class Served:
    """A halt after the end of the leader: seconds until its ConfigMap was written, and the writes until then."""

    halt_s: float
    acquired_s: float
    writes: list[str]


def simulated(play: Callable[[World], Coroutine[Any, Any, T]], replicas: int = 2) -> T:
    """Run a scenario with this number of replicas of the operator and one agent."""
    clock = clocks.Clock()

    async def run() -> T:
        async with a_world(clock, 1) as world:
            world.server.put(a_datadog_daemon_set(host_ports=True))
            world.server.put(an_agent(replicas=2))
            world.deploy(replicas)
            await asyncio.sleep(60)
            return await play(world)

    return clocks.run(clock, lambda: run())


def mode_of(world: World, name: str = NAME) -> str:
    found = world.server.get("ConfigMap", NS, name)
    return str(found["data"]["control.json"]) if found else ""


def halt_after_takeover(*, is_killed: bool, slow_lists: bool = False) -> Served:
    """End the leader, and halt an agent at the same time. `slow_lists` lets lists of pods and StatefulSets hang."""

    async def play(world: World) -> Served:
        leader = world.leader
        assert leader is not None
        if slow_lists:
            for resource in ("pods", "statefulsets", "nodes"):
                where: Where = {"verb": "list", "resource": resource}
                world.server.plan(Fault(effect="hang", where=where, times=None))
        world.server.clear()
        began = world.now_s
        if is_killed:
            leader.kill()
        else:
            _tasks.append(asyncio.create_task(leader.terminate()))
        await asyncio.sleep(0.01)
        world.server.patch(KIND, NS, NAME, {"spec": {"trading": {"mode": "Halted"}}})
        acquired_s = await world.wait_for(
            lambda: world.leader not in (None, leader), 60, "another leader"
        )
        await world.wait_for(lambda: "Halted" in mode_of(world), 60, "halted")
        writes = [
            f"{item.verb} {item.full_resource}"
            for item in world.server.writes()
            if item.resource != "leases"
        ]
        return Served(world.now_s - began, acquired_s, writes)

    return simulated(play)


_tasks: list["asyncio.Task[None]"] = []


def writes_of_a_standby() -> list[str]:
    """Change everything, break its lists and watches in each way, and return the writes of the standby."""

    async def play(world: World) -> list[str]:
        leader = world.leader
        assert leader is not None
        (standby,) = [item for item in world.replicas if item is not leader]
        assert standby.operator is not None
        client, server = standby.operator.name, world.server
        server.clear()
        for status in (403, 404, 410, 429, 500, 503):
            world.handled = 0  # the limit is for one fault
            faults = [
                server.plan(
                    Fault(
                        effect="fail",
                        status=status,
                        where={"verb": verb, "client": client},
                        times=None,
                    )
                )
                for verb in ("list", "watch")
            ]
            server.drop_watches()
            server.put(a_halt(namespace=NS, selector={"names": [NAME]}))
            server.patch(KIND, NS, NAME, {"spec": {"replicas": status % 3 + 1}})
            await asyncio.sleep(30)
            for fault in faults:
                fault.cancel()
            server.delete("StatefulSet", NS, NAME)
            server.delete("PurpleFleaHalt", NS, "incident")
            # Longer than the interval of bookmarks, without which a watch counts as stalled.
            await asyncio.sleep(90)
        assert leader.starts == standby.starts == 1
        assert [item for item in server.requests() if item.client == client and not item.is_write]
        return [
            f"{item.verb} {item.full_resource} {item.name}"
            for item in server.writes()
            if item.client == client
        ]

    return simulated(play)


def modes_after_takeover_with_an_expired_halt() -> list[str]:
    """Let a halt expire, and end the leader. Return the modes that are written from the takeover on."""

    async def play(world: World) -> list[str]:
        leader, server = world.leader, world.server
        assert leader is not None
        expires = (world.clock.wall() + timedelta(seconds=40)).strftime("%Y-%m-%dT%H:%M:%SZ")
        server.put(a_halt(namespace=NS, selector={"names": [NAME]}, expiresAt=expires))
        await asyncio.sleep(20)
        assert "Halted" in mode_of(world)
        await asyncio.sleep(60)
        assert "Active" in mode_of(world)
        modes: list[str] = []
        server.subscribe(
            lambda kind, change: modes.append(mode_of(world)) if kind.kind == "ConfigMap" else None
        )
        leader.kill()
        await asyncio.sleep(60)
        assert world.leader not in (None, leader)
        return modes

    return simulated(play)
