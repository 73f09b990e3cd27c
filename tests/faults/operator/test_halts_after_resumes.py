"""A halt that is created while its agents resume is not reported as acknowledged by the proof of an earlier halt."""

import asyncio

import pytest

from support.apiserver.faults import Fault
from support.builders import a_halt, an_agent
from support.simulation import clock as clocks
from support.simulation.mounts import trading_pods
from support.simulation.operations import KIND, NAME, NS
from support.simulation.unseen import is_reported
from support.simulation.world import World, a_world


def _halt(world: World, name: str) -> None:
    world.server.put(a_halt(name=name, namespace=NS, selector={}), manager="kubectl-create")


def _patch(world: World, spec: dict[str, object]) -> None:
    world.server.patch(KIND, NS, NAME, {"spec": spec}, manager="kubectl-edit")


async def _by_the_spec(world: World) -> None:
    _patch(world, {"trading": {"mode": "Halted"}})
    await asyncio.sleep(20)
    _slow_annotation(world)
    _patch(world, {"trading": {"mode": "Active"}})
    await asyncio.sleep(0.5)


async def _by_an_earlier_halt(world: World) -> None:
    _halt(world, "earlier")
    await asyncio.sleep(20)
    _slow_annotation(world)
    world.server.delete("PurpleFleaHalt", NS, "earlier")
    await asyncio.sleep(0.5)


async def _during_passes(world: World) -> None:
    """A pass that began during the earlier halt ends after the agents have resumed."""
    _halt(world, "earlier")
    await asyncio.sleep(20)
    where = {"verb": "patch", "resource": "statefulsets"}
    world.server.plan(Fault(effect="delay", seconds=5.0, where=where, times=None))
    _patch(world, {"image": {"repository": "registry.example/agent", "tag": "next"}})
    await asyncio.sleep(1.0)
    world.server.delete("PurpleFleaHalt", NS, "earlier")
    await asyncio.sleep(0.5)
    _patch(world, {"image": {"repository": "registry.example/agent", "tag": "other"}})
    await asyncio.sleep(6.0)


def _slow_annotation(world: World) -> None:
    where = {"verb": "patch", "resource": "pods", "name": f"{NAME}-0"}
    world.server.plan(Fault(effect="delay", seconds=2.0, where=where, times=None))


@pytest.mark.parametrize("resume", [_by_the_spec, _by_an_earlier_halt, _during_passes])
def test_a_halt_is_not_acknowledged_by_the_proof_of_an_earlier_one(resume):
    clock = clocks.Clock()

    async def run() -> tuple[list[str], bool, int]:
        async with a_world(clock, 1) as world:
            untrue: list[str] = []
            world.deploy()
            await asyncio.sleep(20)
            world.server.put(an_agent(uid="uid-agent", replicas=2))
            await asyncio.sleep(10)
            await resume(world)
            assert trading_pods(world)

            def on_change(kind, change):
                halt = world.server.get("PurpleFleaHalt", NS, "incident")
                if kind.kind in ("Pod", "PurpleFleaHalt") and halt and _is_halted(halt):
                    untrue.extend(f"{world.now_s:.3f} {name}" for name in trading_pods(world))

            world.server.subscribe(on_change)
            where = {"verb": "patch", "resource": "configmaps"}
            world.server.plan(Fault(effect="fail", status=500, where=where, times=4))
            _halt(world, "incident")
            await asyncio.sleep(120)
            assert not world.errors
            return untrue, is_reported(world), len(trading_pods(world))

    assert clocks.run(clock, run) == ([], True, 0)


def _is_halted(halt):
    conditions = halt.get("status", {}).get("conditions", [])
    return any(item["type"] == "Halted" and item["status"] == "True" for item in conditions)
