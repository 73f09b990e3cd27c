"""Takeovers by a standby whose caches are outdated, while the API server refuses, fails or delays its lists."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from support.apiserver.faults import Fault
from support.apiserver.requests import Where
from support.builders import a_halt, an_agent
from support.simulation.operations import KIND, NAME, NS
from support.simulation.standby import mode_of, simulated
from support.simulation.world import Replica, World

HALT = "PurpleFleaHalt"
AGENTS, HALTS = "purplefleaagents", "purplefleahalts"


@dataclass
class Outcome:
    """After the end of the leader: each mode and number of pods that was stored, and the names at the end."""

    modes: list[str]
    replicas: list[int]
    final_mode: str
    former_leads: bool
    """True if the former leader, which was started again, leads."""


@dataclass(frozen=True)
class Failing:
    """Requests of the standby that fail with this status, or are `late_s` late."""

    resource: str
    verbs: tuple[str, ...] = ("list",)
    status: int = 0
    late_s: float = 0.0
    times: int | None = None


def _plan(world: World, client: str, failing: Failing) -> None:
    for verb in failing.verbs:
        where: Where = {"verb": verb, "resource": failing.resource, "client": client}
        effect: dict[str, Any] = (
            {"effect": "fail", "status": failing.status}
            if failing.status
            else {"effect": "delay", "seconds": failing.late_s}
        )
        world.server.plan(Fault(where=where, times=failing.times, **effect))


def _replicas(world: World) -> int:
    found = world.server.get("StatefulSet", NS, NAME)
    return int(found["spec"]["replicas"]) if found else 0


def _mode(world: World) -> str:
    text = mode_of(world)
    control = json.loads(text) if text else {}
    return f"{control.get('mode')}{'-flatten' if control.get('flatten') else ''}"


def takeover_with_outdated_caches(
    before: Callable[[World], Any],
    change: Callable[[World], Any],
    stalled: str,
    *failing: Failing,
    after_s: float = 60.0,
) -> Outcome:
    """Perform `before`, stall the watches of a resource of the standby, perform `change`, and end the leader."""

    async def play(world: World) -> Outcome:
        leader, server = world.leader, world.server
        assert leader is not None
        standby = _standby(world, leader)
        before(world)
        await asyncio.sleep(30)
        server.stall_watches(stalled, client=standby, also_new=True)
        await asyncio.sleep(1)
        change(world)
        await asyncio.sleep(30)
        modes, replicas = list[str](), list[int]()

        def record(kind: Any, event: Any) -> None:
            if kind.kind in ("ConfigMap", "StatefulSet") and not event.deleted:
                modes.append(_mode(world))
                replicas.append(_replicas(world))

        modes.append(_mode(world))
        replicas.append(_replicas(world))
        server.subscribe(record)
        for item in failing:
            _plan(world, standby, item)
        leader.kill()
        await asyncio.sleep(after_s)
        return Outcome(modes, replicas, _mode(world), world.leader is leader)

    return simulated(play)


def _standby(world: World, leader: Replica) -> str:
    (standby,) = [item for item in world.replicas if item is not leader]
    assert standby.operator is not None
    return standby.operator.name


def nothing(world: World) -> None:
    """Change nothing."""


def stop_by_halt(world: World) -> None:
    """Stop and flatten the agent."""
    world.server.put(a_halt(namespace=NS, selector={"names": [NAME]}, level="Stop", flatten=True))


def end_halt(world: World) -> None:
    """Delete the halt."""
    world.server.delete(HALT, NS, "incident")


def set_spec(mode: str, replicas: int = 2) -> Callable[[World], Any]:
    """Return a change of the mode and of the number of replicas in the spec."""
    spec = {"trading": {"mode": mode}, "replicas": replicas}
    return lambda world: world.server.patch(KIND, NS, NAME, {"spec": spec})


def modes_after_failing_lists(*failing: Failing) -> tuple[str, str]:
    """End the leader of a halted agent. A minute later, end the halt and create an agent. Return both modes."""

    async def play(world: World) -> tuple[str, str]:
        leader, server = world.leader, world.server
        assert leader is not None
        standby = _standby(world, leader)
        server.put(a_halt(namespace=NS, selector={"names": [NAME]}))
        await asyncio.sleep(20)
        for item in failing:
            _plan(world, standby, item)
        leader.kill()
        await world.wait_for(lambda: world.leader not in (None, leader), 60, "another leader")
        await asyncio.sleep(60)
        end_halt(world)
        server.put(an_agent("fresh", uid="uid-fresh", replicas=1))
        await asyncio.sleep(60)
        fresh = server.get("ConfigMap", NS, "fresh")
        return _mode(world), json.loads(fresh["data"]["control.json"])["mode"] if fresh else ""

    return simulated(play)
