"""etcd is restored from a backup while the operator runs: versions go back, and later changes never happened."""

import asyncio
from dataclasses import dataclass

from support.builders import a_datadog_daemon_set, an_agent
from support.simulation import clock as clocks
from support.simulation.operations import KIND, NAME, NS
from support.simulation.world import World, a_world

CHANGES = 40
"""Changes after the backup, so that the versions are not reached again soon."""


@dataclass
class Restored:
    """Seconds from the restore to the halt that a user requests after it, and the state at the end."""

    halt_s: float
    replicas: int
    mode: str
    starts: int
    ends: list[str]


def halt_after_restore(*, has_lease_in_backup: bool, replicas: int = 1) -> Restored:
    """Restore a backup, with or without the Lease, and halt an agent five seconds later."""
    clock = clocks.Clock()
    return clocks.run(clock, lambda: _play(clock, has_lease_in_backup, replicas))


async def _play(clock: clocks.Clock, has_lease_in_backup: bool, replicas: int) -> Restored:
    async with a_world(clock, 1) as world:
        server = world.server
        server.put(a_datadog_daemon_set(host_ports=True))
        server.put(an_agent(replicas=2))
        if not has_lease_in_backup:
            backup = server.snapshot()
        world.deploy(replicas)
        await asyncio.sleep(60)
        if has_lease_in_backup:
            backup = server.snapshot()
        for number in range(CHANGES):
            server.patch(KIND, NS, NAME, {"spec": {"replicas": 2 + number % 2}})
            await asyncio.sleep(0.5)
        await asyncio.sleep(30)
        server.restore(backup)
        began = world.now_s
        await asyncio.sleep(5)
        server.patch(KIND, NS, NAME, {"spec": {"trading": {"mode": "Halted"}}})
        await world.wait_for(lambda: _is_halted(world), 300, "halted after the restore")
        halt_s = world.now_s - began
        await asyncio.sleep(60)
        starts = sum(replica.starts for replica in world.replicas)
        ends = [end for replica in world.replicas for end in replica.ends]
        found = server.get("StatefulSet", NS, NAME)
        assert found is not None
        agent = server.get(KIND, NS, NAME)
        assert agent is not None
        mode = agent["status"]["trading"]["mode"]
        return Restored(halt_s, found["spec"]["replicas"], mode, starts, ends)


def _is_halted(world: World) -> bool:
    found = world.server.get("ConfigMap", NS, NAME)
    return found is not None and "Halted" in found["data"]["control.json"]
