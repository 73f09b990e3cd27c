"""Operations of users on an agent, each with the state that it starts from."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from purpleflea_contract import kubernetes
from support.builders import a_datadog_daemon_set, a_halt, an_agent
from support.simulation.world import BYSTANDER, World

NS, NAME = "trading", "momentum"
KIND = "PurpleFleaAgent"
Act = Callable[[World], Coroutine[Any, Any, None]]


@dataclass(frozen=True, kw_only=True)
class Operation:
    """`setup` replaces fields of the agent; None means that it does not exist yet."""

    name: str
    act: Act
    setup: dict[str, Any] | None = field(default_factory=dict)
    is_halted: bool = False
    """True if a PurpleFleaHalt exists at the start."""
    concerns_all: bool = False
    """True if it concerns the bystander too."""
    halts: bool = False
    """True if it halts the agent."""


def prepare(world: World, operation: Operation) -> None:
    """Store the state before an operation: a node agent, the agent, and a bystander."""
    world.server.put(a_datadog_daemon_set(host_ports=True))
    world.server.put(an_agent(BYSTANDER, uid="uid-bystander"))
    if operation.setup is not None:
        world.server.put(an_agent(uid="uid-agent", **{"replicas": 2, **operation.setup}))
    if operation.is_halted:
        world.server.put(_a_halt_of_the_agent())
    if "storage" in (operation.setup or {}):
        put_claims(world)


def halt_bystander(world: World) -> None:
    """Halt the agent that the operation does not concern."""
    _patch(world, {"trading": {"mode": "Halted"}}, BYSTANDER)


def _patch(world: World, spec: dict[str, Any], name: str = NAME) -> None:
    world.server.patch(KIND, NS, name, {"spec": spec}, manager="kubectl-edit")


def _patching(name: str, change: dict[str, Any], setup: dict[str, Any] | None = None) -> Operation:
    async def act(world: World) -> None:
        _patch(world, change)

    halts = change.get("trading", {}).get("mode") in ("Halted", "Stopped")
    return Operation(name=name, act=act, setup=setup or {}, halts=halts)


async def _create(world: World) -> None:
    world.server.put(an_agent(uid="uid-agent", replicas=2))


async def _delete(world: World) -> None:
    world.server.delete(KIND, NS, NAME)


async def _recreate(world: World) -> None:
    world.server.delete(KIND, NS, NAME)
    await asyncio.sleep(0.3)
    world.server.put(an_agent(uid="uid-agent-2", replicas=2))


async def _move(world: World) -> None:
    """Delete the agent, and create it in another namespace with the same identity."""
    world.server.delete(KIND, NS, NAME)
    world.server.put(an_agent(uid="uid-agent-2", namespace="desk", replicas=2))


async def _move_node_agent(world: World) -> None:
    world.server.put(a_datadog_daemon_set(host_ports=True, dogstatsd_port=9125))


async def _upgrade(world: World) -> None:
    world.settings["agent_image"] = "localhost/purpleflea-agent:next"
    await asyncio.gather(*(replica.terminate() for replica in world.replicas))


def _a_halt_of_the_agent() -> dict[str, Any]:
    return a_halt(namespace=NS, selector={"names": [NAME]})


async def _create_halt(world: World) -> None:
    world.server.put(_a_halt_of_the_agent(), manager="kubectl-create")


async def _delete_halt(world: World) -> None:
    world.server.delete("PurpleFleaHalt", NS, "incident")


async def _replace_halt(world: World) -> None:
    """Halt by a stronger resource, and delete the weaker one."""
    stronger = a_halt("stronger", namespace=NS, selector={"names": [NAME]}, level="Stop")
    world.server.put(stronger, manager="kubectl-create")
    await asyncio.sleep(0.3)
    await _delete_halt(world)


def put_claims(world: World) -> None:
    """Store the claims of an agent with two identities."""
    for number in range(2):
        labels = {
            kubernetes.LABEL_INSTANCE: NAME,
            kubernetes.LABEL_MANAGED_BY: kubernetes.MANAGED_BY,
        }
        world.server.put(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolumeClaim",
                "metadata": {"name": f"state-{NAME}-{number}", "namespace": NS, "labels": labels},
                "spec": {
                    "resources": {"requests": {"storage": "1Gi"}},
                    "storageClassName": "fast",
                },
            }
        )


OPERATIONS = {
    item.name: item
    for item in (
        Operation(name="create", act=_create, setup=None),
        _patching("update", {"trading": {"interval": "7s"}}),
        _patching("scale-up", {"replicas": 4}),
        _patching("scale-down", {"replicas": 1}, {"replicas": 3}),
        _patching("halt", {"trading": {"mode": "Halted"}}),
        _patching("stop", {"trading": {"mode": "Stopped"}}),
        _patching("resume", {"trading": {"mode": "Active"}}, {"trading": {"mode": "Halted"}}),
        Operation(name="PurpleFleaHalt", act=_create_halt, halts=True),
        Operation(name="PurpleFleaHalt-end", act=_delete_halt, is_halted=True),
        Operation(name="PurpleFleaHalt-stop", act=_replace_halt, is_halted=True),
        _patching("storage", {"storage": {"size": "2Gi"}}, {"storage": {"size": "1Gi"}}),
        Operation(name="connection", act=_move_node_agent, concerns_all=True),
        Operation(name="delete", act=_delete),
        Operation(name="recreate", act=_recreate),
        Operation(name="move", act=_move),
        Operation(name="upgrade", act=_upgrade, concerns_all=True),
    )
}
