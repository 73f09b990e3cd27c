"""An identity moves to another namespace while pods of its previous agent still end."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

from purpleflea_operator import timings
from support.apiserver.faults import Fault
from support.apiserver.kinds import Kind
from support.apiserver.requests import Where
from support.apiserver.store import Change
from support.builders import a_datadog_daemon_set, an_agent
from support.simulation import clock as clocks
from support.simulation.operations import KIND, NAME, NS, put_claims
from support.simulation.world import World, a_world

OTHER = "other"
TERMINATION_S = 25.0


@dataclass
class Move:
    """The measurements of one scenario."""

    overlaps: list[str] = field(default_factory=list)
    """Moments at which two pods had one identity."""
    gap_s: float = 0.0
    """Seconds between the end of the last old pod and the first new one."""
    reasons: list[str] = field(default_factory=list)
    """Reasons of DuplicateIdentity of the new agent, in sequence."""


Act = Callable[[World], Coroutine[Any, Any, None]]


async def _delete(world: World) -> None:
    world.server.delete(KIND, NS, NAME)


async def _delete_before_creation(world: World) -> None:
    world.server.delete(KIND, OTHER, NAME)
    world.server.delete(KIND, NS, NAME)
    await asyncio.sleep(1.0)
    _create_other(world)


async def _rename_env(world: World) -> None:
    _patch(world, {"datadog": {"env": "moved"}})


async def _disable(world: World) -> None:
    _patch(world, {"datadog": {"connection": "Disabled"}})


async def _scale_to_zero(world: World) -> None:
    _patch(world, {"replicas": 0})


async def _recreate(world: World) -> None:
    world.server.delete(KIND, NS, NAME)
    await asyncio.sleep(5.0)
    world.server.put(an_agent(uid="uid-again", replicas=2, datadog={"env": "moved"}))


async def _delete_and_replace_leader(world: World) -> None:
    world.server.delete(KIND, NS, NAME)
    leader = world.leader
    assert leader is not None
    leader.kill()


async def _delete_with_orphans(world: World) -> None:
    """Delete the agent at the moment at which its StatefulSet is recreated around its pods."""
    loop, deleted = asyncio.get_running_loop(), asyncio.Event()

    def on_change(kind: Kind, change: Change) -> None:
        if kind.kind == "StatefulSet" and change.deleted and not deleted.is_set():
            deleted.set()
            loop.call_soon(world.server.delete, KIND, NS, NAME)

    world.server.subscribe(on_change)
    _patch(world, {"storage": {"size": "2Gi"}})
    await asyncio.wait_for(deleted.wait(), 10)


def _patch(world: World, spec: dict[str, Any]) -> None:
    world.server.patch(KIND, NS, NAME, {"spec": spec}, manager="kubectl-edit")


def _create_other(world: World) -> None:
    world.server.put(_other())


def _other(created: str = "2026-02-01T00:00:00Z", **spec: Any) -> dict[str, Any]:
    agent = an_agent(namespace=OTHER, uid="uid-other", replicas=2, **spec)
    agent["metadata"]["creationTimestamp"] = created
    return agent


MOVES: dict[str, Act] = {
    "delete": _delete,
    "delete, then create": _delete_before_creation,
    "another env": _rename_env,
    "Disabled": _disable,
    "scale to zero": _scale_to_zero,
    "delete and create again": _recreate,
    "delete and another leader": _delete_and_replace_leader,
    "delete while it is recreated": _delete_with_orphans,
}


def moved(name: str) -> Move:
    """Free an identity that an agent in another namespace waits for."""
    clock = clocks.Clock()
    is_stored = name == "delete while it is recreated"
    return clocks.run(clock, lambda: _run(clock, MOVES[name], is_stored=is_stored))


async def _run(clock: clocks.Clock, act: Act, *, is_stored: bool) -> Move:
    async with a_world(clock, 1) as world:
        world.server.statefulsets.termination_s = TERMINATION_S
        world.server.put(a_datadog_daemon_set(host_ports=True))
        storage: dict[str, Any] = {"storage": {"size": "1Gi"}} if is_stored else {}
        if is_stored:
            put_claims(world)
        world.server.put(an_agent(uid="uid-agent", replicas=2, **storage))
        world.deploy(2)
        await asyncio.sleep(60)
        _create_other(world)
        await asyncio.sleep(30)
        found = Move()
        history = _History(world, found)
        await act(world)
        await world.wait_for(lambda: len(history.alive(OTHER)) == 2, 300, "the other agent runs")
        await asyncio.sleep(60)
        assert not world.errors
        return found


async def _stop(world: World) -> None:
    _patch(world, {"trading": {"mode": "Stopped"}})


async def _make_invalid(world: World) -> None:
    _patch(world, {"replicas": -1})


async def _delete_while_reads_fail(world: World) -> None:
    for resource, status in (("pods", 503), ("statefulsets", 429), ("pods", 403)):
        where: Where = {"verb": "list", "resource": resource}
        world.server.plan(Fault(effect="fail", status=status, where=where, times=2))
    world.server.delete(KIND, NS, NAME)


async def _delete_while_statefulsets_are_silent(world: World) -> None:
    world.server.stall_watches("statefulsets", also_new=True)
    world.server.delete(KIND, NS, NAME)


async def _rename_service(world: World) -> None:
    _patch(world, {"datadog": {"service": "moved"}})


async def _move_twice(world: World) -> None:
    _patch(world, {"datadog": {"env": "moved"}})
    await asyncio.sleep(1.0)
    world.server.delete(KIND, NS, NAME)


UNSEEN_CHANGES: dict[str, Act] = {
    "Stopped": _stop,
    "invalid": _make_invalid,
    "scale to zero": _scale_to_zero,
    "delete": _delete,
    "delete, and the reads fail at first": _delete_while_reads_fail,
    "delete, and the StatefulSets are silent, too": _delete_while_statefulsets_are_silent,
    "delete and create again": _recreate,
    "another env": _rename_env,
    "another service": _rename_service,
    "another env, then delete": _move_twice,
    "Disabled": _disable,
}
KEEPS_IDENTITY = ("Stopped", "invalid")
"""Changes after which the agent still claims its identity."""


def moved_with_unseen_pods(name: str) -> Move:
    """Change an agent whose pods started while the watch of the pods is silent, and which another agent waits for."""
    clock = clocks.Clock()
    return clocks.run(clock, lambda: _run_with_unseen_pods(clock, name))


async def _run_with_unseen_pods(clock: clocks.Clock, name: str) -> Move:
    async with a_world(clock, 1) as world:
        world.server.statefulsets.termination_s = TERMINATION_S
        world.server.put(a_datadog_daemon_set(host_ports=True))
        world.deploy(1)
        await asyncio.sleep(60)
        world.server.stall_watches("pods", also_new=True)
        world.server.put(an_agent(uid="uid-agent", replicas=1))
        await asyncio.sleep(5)
        _create_other(world)
        await asyncio.sleep(5)
        found = Move()
        history = _History(world, found)
        assert len(history.alive(NS)) == 1
        await UNSEEN_CHANGES[name](world)
        await asyncio.sleep(60)
        world.server.stop_stalling_new_watches()
        if name not in KEEPS_IDENTITY:
            await world.wait_for(lambda: len(history.alive(OTHER)) == 2, 300, "the other agent")
        await asyncio.sleep(60)
        assert not world.errors
        return found


async def _take_env(world: World) -> None:
    world.server.patch(KIND, OTHER, NAME, {"spec": {"datadog": {"env": "production"}}})


async def _take_env_of_a_deleted_agent(world: World) -> None:
    world.server.delete(KIND, NS, NAME)
    await asyncio.sleep(1.0)
    await _take_env(world)


async def _take_env_and_restart(world: World) -> None:
    await _take_env(world)
    await asyncio.sleep(20.0)
    leader = world.leader
    assert leader is not None
    leader.kill()


async def _hide_pods_and_delete(world: World) -> None:
    """Remove the labels of a pod, so that no watch reports it, and no garbage collector deletes it."""
    labels = dict.fromkeys(_pod(world, NS)["metadata"]["labels"])
    changes = {"metadata": {"labels": labels, "ownerReferences": None}}
    world.server.patch("Pod", NS, f"{NAME}-0", changes)
    await asyncio.sleep(1.0)
    world.server.delete(KIND, NS, NAME)
    await asyncio.sleep(120.0)
    world.server.delete("Pod", NS, f"{NAME}-0")


TAKES: dict[str, tuple[Act, bool]] = {
    "of a running agent": (_take_env, False),
    "of a running agent, before another leader": (_take_env_and_restart, False),
    "of a deleted agent": (_take_env_of_a_deleted_agent, True),
}
"""By change: the act, and whether the agent gets the identity in the end."""


def taken_while_running(name: str) -> tuple[Move, str]:
    """Give a running agent the env of another one. Return its env in the end."""
    clock = clocks.Clock()
    return clocks.run(clock, lambda: _run_take(clock, *TAKES[name]))


async def _run_take(clock: clocks.Clock, act: Act, is_free: bool) -> tuple[Move, str]:
    async with a_world(clock, 1) as world:
        world.server.statefulsets.termination_s = TERMINATION_S
        world.server.put(a_datadog_daemon_set(host_ports=True))
        # The agent that takes the identity is the older one.
        world.server.put(_other(created="2025-01-01T00:00:00Z", datadog={"env": "staging"}))
        world.server.put(an_agent(uid="uid-agent", replicas=2))
        world.deploy(2)
        await asyncio.sleep(200)
        found = Move()
        history = _History(world, found)
        assert len(history.alive(NS)) == len(history.alive(OTHER)) == 2
        await act(world)
        await asyncio.sleep(400)
        assert not world.errors
        return found, _pod(world, OTHER)["metadata"]["labels"]["tags.datadoghq.com/env"]


async def _stop_operator(world: World) -> None:
    leader = world.leader
    assert leader is not None
    await leader.terminate(restart=False)


async def _start_operator(world: World) -> None:
    world.deploy(1)


async def _lose_watches(world: World) -> None:
    world.server.stall_watches("pods", also_new=True)
    world.server.stall_watches("statefulsets", also_new=True)


async def _list_again(world: World) -> None:
    world.server.stop_stalling_new_watches()
    world.server.compact()
    world.server.drop_watches()


GAPS: dict[str, tuple[Act, Act]] = {
    "no operator runs": (_stop_operator, _start_operator),
    "the watches are silent": (_lose_watches, _list_again),
}


def ran_unseen(name: str, *, runs: bool) -> bool:
    """Let an agent run, or only wait for its image, during a gap. Return whether another one gets its identity."""
    clock = clocks.Clock()
    return clocks.run(clock, lambda: _run_unseen(clock, *GAPS[name], runs=runs))


async def _run_unseen(clock: clocks.Clock, begin: Act, end: Act, *, runs: bool) -> bool:
    async with a_world(clock, 1) as world:
        server = world.server
        server.put(a_datadog_daemon_set(host_ports=True))
        world.deploy(1)
        await asyncio.sleep(60)
        server.statefulsets.start_s = 60.0 if runs else 1e6
        server.put(an_agent(uid="uid-agent", replicas=1))
        await asyncio.sleep(30)
        agent = server.get(KIND, NS, NAME)
        assert agent is not None
        assert agent["status"]["neverStarted"]
        await begin(world)
        await asyncio.sleep(50)
        server.statefulsets.start_s = 1e6
        if runs:
            assert _pod(world, NS)["status"]["containerStatuses"][0]["state"].get("running")
            server.delete("Pod", NS, f"{NAME}-0")
            await asyncio.sleep(5)
        await end(world)
        await asyncio.sleep(30)
        _create_other(world)
        await asyncio.sleep(timings.IDENTITY_HOLD_S + 300)
        assert not world.errors
        return server.get("Pod", OTHER, f"{NAME}-0") is not None


def moved_with_hidden_pods() -> Move:
    """Remove the labels of a pod, and delete its agent, which another agent waits for."""
    clock = clocks.Clock()
    return clocks.run(clock, lambda: _run(clock, _hide_pods_and_delete, is_stored=False))


def _pod(world: World, namespace: str) -> dict[str, Any]:
    pod = world.server.get("Pod", namespace, f"{NAME}-0")
    assert pod is not None
    return pod


class _History:
    """Observes the pods of one identity."""

    def __init__(self, world: World, found: Move) -> None:
        self._world, self._found = world, found
        self._pods: dict[str, tuple[str, str, str]] = {
            item["metadata"]["uid"]: _identity(item) for item in world.server.objects("Pod")
        }
        self._ended_at = 0.0
        world.server.subscribe(self._on_change)

    def alive(self, namespace: str) -> list[str]:
        return [uid for uid, (place, _, _) in self._pods.items() if place == namespace]

    def _on_change(self, kind: Kind, change: Change) -> None:
        metadata = change.after["metadata"]
        if kind.kind == KIND and metadata["namespace"] == OTHER:
            conditions = change.after.get("status", {}).get("conditions", [])
            reasons = [item["reason"] for item in conditions if item["type"] == "DuplicateIdentity"]
            if reasons and reasons != self._found.reasons[-1:]:
                self._found.reasons += reasons
        if kind.kind != "Pod":
            return
        if change.deleted:
            self._pods.pop(metadata["uid"], None)
            self._ended_at = self._world.now_s
            return
        if change.before is None and metadata["namespace"] == OTHER and not self.alive(OTHER):
            self._found.gap_s = self._world.now_s - self._ended_at
        # A process keeps its identity if the labels of its pod are removed.
        if metadata.get("labels"):
            self._pods[metadata["uid"]] = _identity(change.after)
        identities = [item[1:] for item in self._pods.values()]
        if len(set(identities)) < len(identities):
            self._found.overlaps.append(f"{self._world.now_s:.1f} {sorted(self._pods.values())}")


def _identity(pod: dict[str, Any]) -> tuple[str, str, str]:
    metadata = pod["metadata"]
    labels = metadata.get("labels", {})
    tags = [labels.get(f"tags.datadoghq.com/{name}", "") for name in ("env", "service")]
    variables = [item["name"] for item in pod["spec"]["containers"][0].get("env", [])]
    # A pod without a connection sends no telemetry, so it has no identity in Datadog.
    is_sending = any(name in variables for name in ("DD_AGENT_HOST", "DD_DOGSTATSD_URL"))
    return (
        metadata["namespace"],
        metadata["name"],
        "/".join(tags) if is_sending else metadata["uid"],
    )


HELD_WRITES: dict[str, tuple[dict[str, Any], Where, Act]] = {
    "a create, and the agent is deleted": ({}, {"verb": "create"}, _delete),
    "a create, and the agent gets another env": ({}, {"verb": "create"}, _rename_env),
    "a scale-up, and the agent gets another env": (
        {"replicas": 0},
        {"verb": "patch"},
        _rename_env,
    ),
}
"""Writes of a StatefulSet that a webhook holds: the agent before, the write, and the change meanwhile."""


def moved_with_held_write(name: str) -> Move:
    """Free an identity while the API server may still perform a write that creates pods with it."""
    clock = clocks.Clock()
    return clocks.run(clock, lambda: _run_with_held_write(clock, *HELD_WRITES[name]))


async def _run_with_held_write(
    clock: clocks.Clock, setup: dict[str, Any], where: Where, act: Act
) -> Move:
    async with a_world(clock, 1) as world:
        server = world.server
        server.put(a_datadog_daemon_set(host_ports=True))
        world.deploy(1)
        await asyncio.sleep(60)
        held = Fault(
            effect="hold", where={**where, "resource": "statefulsets", "namespace": NS}, times=1
        )
        if not setup:
            server.plan(held)
        server.put(an_agent(uid="uid-agent", **{"replicas": 2, **setup}))
        await asyncio.sleep(10)
        if setup:
            server.plan(held)
            _patch(world, {"replicas": 2})
            await asyncio.sleep(1)
        assert held.hits == 1
        _create_other(world)
        await asyncio.sleep(5)
        found = Move()
        history = _History(world, found)
        await act(world)
        await asyncio.sleep(10)
        held.cancel()
        await asyncio.sleep(5)
        is_left = server.get("StatefulSet", NS, NAME) is not None
        if is_left and server.get(KIND, NS, NAME) is None:
            # The garbage collector deletes a child whose owner does not exist.
            server.delete("StatefulSet", NS, NAME)
        await world.wait_for(lambda: len(history.alive(OTHER)) == 2, 300, "the other agent runs")
        await asyncio.sleep(60)
        assert not world.errors
        return found
