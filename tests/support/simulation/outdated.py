"""Takeovers by a standby whose caches are outdated, while the API server refuses, fails or delays its lists."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from purpleflea_operator import timings
from support.apiserver.faults import Fault
from support.apiserver.requests import Where
from support.builders import a_halt, an_agent
from support.simulation.operations import KIND, NAME, NS, put_claims
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


@dataclass
class WithoutHalts:
    """Results of a replica that cannot read the halts, and of the time after it can again."""

    existing: tuple[str, int]
    """Mode and number of pods of an agent that traded, and whose spec was scaled up."""
    fresh: str
    """Mode of an agent that was created meanwhile."""
    scaled_down: int
    """Number of pods of another agent that was scaled down."""
    halt_s: float
    """Seconds until a halt in a spec was written."""
    late_halt_s: float
    """Seconds until a PurpleFleaHalt that was created meanwhile was written, after the halts can be read again."""
    later: tuple[str, int]
    """Mode of the new agent, and number of pods of the first one, in the end."""


@dataclass(frozen=True)
class Failing:
    """Requests of the standby that fail with this status, or are `late_s` late."""

    resource: str
    verbs: tuple[str, ...] = ("list",)
    status: int = 0
    late_s: float = 0.0
    times: int | None = None


def _plan(world: World, client: str, failing: Failing) -> list[Fault]:
    planned: list[Fault] = []
    for verb in failing.verbs:
        where: Where = {"verb": verb, "resource": failing.resource, "client": client}
        effect: dict[str, Any] = (
            {"effect": "fail", "status": failing.status}
            if failing.status
            else {"effect": "delay", "seconds": failing.late_s}
        )
        planned.append(world.server.plan(Fault(where=where, times=failing.times, **effect)))
    return planned


def _replicas(world: World, name: str = NAME) -> int:
    found = world.server.get("StatefulSet", NS, name)
    return int(found["spec"]["replicas"]) if found else 0


def _mode(world: World, name: str = NAME) -> str:
    text = mode_of(world, name)
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


def without_halts(failing: Failing, *, is_takeover: bool) -> WithoutHalts:
    """Let a replica lead that cannot read the halts, after a takeover or after a start, and change four agents."""

    async def play(world: World) -> WithoutHalts:
        leader, server = world.leader, world.server
        assert leader is not None
        for name, replicas in (("large", 3), ("halted", 1), ("selected", 1)):
            server.put(an_agent(name, uid=f"uid-{name}", replicas=replicas))
        await asyncio.sleep(30)
        clients = [_standby(world, leader)] if is_takeover else [f"operator-0-{leader.starts}"]
        faults = [fault for name in clients for fault in _plan(world, name, failing)]
        if is_takeover:
            leader.kill()
            await world.wait_for(lambda: world.leader not in (None, leader), 60, "another leader")
        else:
            await leader.terminate()
            await world.wait_for(lambda: leader.starts == 2, 60, "a second start")
        server.patch(KIND, NS, "halted", {"spec": {"trading": {"mode": "Halted"}}})
        halt_s = await world.wait_for(lambda: _mode(world, "halted") == "Halted", 60, "halted")
        await asyncio.sleep(30)
        server.patch(KIND, NS, NAME, {"spec": {"replicas": 4}})
        server.patch(KIND, NS, "large", {"spec": {"replicas": 1}})
        server.put(an_agent("fresh", uid="uid-fresh", replicas=1))
        server.put(a_halt(namespace=NS, selector={"names": ["selected"]}))
        await asyncio.sleep(30)
        existing = _mode(world), _replicas(world)
        fresh, scaled_down = _mode(world, "fresh"), _replicas(world, "large")
        for fault in faults:
            fault.cancel()
        late_halt_s = await world.wait_for(
            lambda: _mode(world, "selected") == "Halted", 60, "the halt"
        )
        await asyncio.sleep(60)
        later = _mode(world, "fresh"), _replicas(world)
        return WithoutHalts(existing, fresh, scaled_down, halt_s, late_halt_s, later)

    return simulated(play, replicas=2 if is_takeover else 1)


def replicas_after_recreation(failing: Failing) -> tuple[str, int]:
    """Restart an operator that cannot read the halts then, and change the replicas and the storage of an agent.

    A halt selects the agent meanwhile. Return its mode and the number of its pods a minute later.
    """

    async def play(world: World) -> tuple[str, int]:
        leader, server = world.leader, world.server
        assert leader is not None
        put_claims(world)
        server.put(an_agent("stored", uid="uid-stored", replicas=1, storage={"size": "1Gi"}))
        await asyncio.sleep(timings.RECREATION_INTERVAL.total_seconds() + 60)
        _plan(world, f"operator-0-{leader.starts}", failing)
        leader.kill()
        server.put(a_halt(namespace=NS, selector={"names": ["stored"]}))
        before = server.get("StatefulSet", NS, "stored")
        spec = {"replicas": 4, "storage": {"size": "2Gi"}}
        server.patch(KIND, NS, "stored", {"spec": spec}, manager="kubectl-edit")
        await asyncio.sleep(60)
        after = server.get("StatefulSet", NS, "stored")
        assert before is not None
        assert after is not None
        assert after["metadata"]["uid"] != before["metadata"]["uid"]
        return _mode(world, "stored"), _replicas(world, "stored")

    return simulated(play, replicas=1)


def progress_after_takeover() -> list[tuple[int, int, str]]:
    """Halt an agent, two of whose pods do not drain and are unknown to the standby, and end the leader at once.

    A write of the first pass of the new leader hangs. Return the pods that run, those that acknowledged, and Draining,
    of each status of the halt.
    """

    async def play(world: World) -> list[tuple[int, int, str]]:
        leader, server = world.leader, world.server
        assert leader is not None
        standby = _standby(world, leader)
        for resource in ("pods", "configmaps", "statefulsets"):
            server.stall_watches(resource, client=standby, also_new=True)
        set_spec("Active", 4)(world)
        world.agents.undrained = {f"{NAME}-2", f"{NAME}-3"}
        await asyncio.sleep(30)
        found: list[tuple[int, int, str]] = []

        def record(kind: Any, event: Any) -> None:
            status = event.after.get("status")
            if kind.kind == HALT and status and not event.deleted:
                conditions = {item["type"]: item["status"] for item in status["conditions"]}
                item = status["running"], status["acknowledged"], conditions["Draining"]
                found.append(item)

        server.put(a_halt(namespace=NS, selector={"names": [NAME]}))
        await asyncio.sleep(0.1)
        leader.kill()
        server.subscribe(record)
        server.patch(KIND, NS, NAME, {"spec": {"trading": {"interval": "7s"}}})
        where: Where = {"verb": "write", "resource": "statefulsets", "client": standby}
        server.plan(Fault(effect="hang", where=where, times=1))
        for resource in ("pods", "statefulsets"):
            _plan(world, standby, Failing(resource, late_s=3))
        await world.wait_for(lambda: world.leader not in (None, leader), 60, "another leader")
        await asyncio.sleep(60)
        return found

    return simulated(play)
