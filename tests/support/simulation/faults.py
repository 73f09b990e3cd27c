"""Faults of watches, writes, clocks and leaders. Each plays in virtual time, and says how long its effects may last."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from purpleflea_operator import timings
from support.apiserver.faults import Effect, Fault
from support.apiserver.requests import Request, Where
from support.simulation.hazard import (
    CREATING,
    ENDED,
    NO_WRITES,
    OURS,
    RESTARTING,
    TEMPLATES,
    WATCH_S,
    WRITE_S,
    Hazard,
    Play,
    both,
)
from support.simulation.world import World

STALE_S = 150.0
"""Delay of each event of a stale watch. An operator receives a halt no earlier."""


def _watch_status(status: int, **fields: Any) -> Play:
    async def play(world: World) -> None:
        faults = [world.plan(item) for item in both(status=status, **fields)]
        world.server.drop_watches()
        await asyncio.sleep(WATCH_S)
        for fault in faults:
            fault.cancel()

    return play


async def _expired(world: World) -> None:
    """End the watches, and let them resume only when their version is too old."""
    faults = [world.server.plan(item) for item in both(status=503)]
    world.server.drop_watches(cut=True)
    await asyncio.sleep(WATCH_S)
    world.server.compact()
    for fault in faults:
        fault.cancel()


async def _delete_children(world: World) -> None:
    """Delete all children while the StatefulSet controller is down, so that lists of these kinds are empty."""
    await asyncio.sleep(2.0)
    server = world.server
    for kind in ("ConfigMap", "NetworkPolicy", "PodDisruptionBudget"):
        for item in server.objects(kind):
            server.delete(kind, item["metadata"]["namespace"], item["metadata"]["name"])


async def _silent(world: World) -> None:
    world.server.stall_watches()
    await asyncio.sleep(WATCH_S)


async def _silent_also_new(world: World) -> None:
    world.server.stall_watches(also_new=True)
    await asyncio.sleep(WATCH_S)
    world.server.stop_stalling_new_watches()


async def _ends_at_once(world: World) -> None:
    world.server.end_new_watches()
    world.server.drop_watches()
    await asyncio.sleep(WATCH_S)
    world.server.stop_ending_new_watches()


def _distorted(
    delays_s: Callable[[World], Callable[[], tuple[float, ...]]], lasts_s: float
) -> Play:
    async def play(world: World) -> None:
        world.server.distort_watches(delays_s(world))
        await asyncio.sleep(lasts_s)
        world.server.distort_watches(None)

    return play


def _shuffled(world: World) -> Callable[[], tuple[float, ...]]:
    return lambda: (world.random.uniform(0, 2), world.random.uniform(0, 4))


def _late(world: World) -> Callable[[], tuple[float, ...]]:
    return lambda: (STALE_S,)


def writes(
    effect: Effect = "fail", *, where: Where | None = None, lasts_s: float = WRITE_S, **fields: Any
) -> Play:
    async def play(world: World) -> None:
        chosen: Where = {**OURS, **(where or {})}
        fault = world.plan(Fault(effect=effect, where=chosen, **{"times": None, **fields}))
        await asyncio.sleep(lasts_s)
        fault.cancel()

    return play


KILLS = 6
"""Processes in sequence that are killed, the n-th of them at its n-th write."""


def _killing(effect: Effect, after_s: float = 0.0) -> Play:
    async def play(world: World) -> None:
        for number in range(KILLS):
            killed = asyncio.Event()

            def kill(request: Request, killed: asyncio.Event = killed) -> None:
                def end() -> None:
                    for replica in world.replicas:
                        if replica.operator and replica.operator.name == request.client:
                            replica.kill()
                    killed.set()

                asyncio.get_running_loop().call_later(after_s, end)

            fault = world.plan(Fault(effect=effect, where=OURS, times=1, skip=number, on_hit=kill))
            try:
                async with asyncio.timeout(60):
                    await killed.wait()
            except TimeoutError:
                # There is nothing left to write.
                return
            finally:
                fault.cancel()

    return play


def _step(hours: float) -> Play:
    async def play(world: World) -> None:
        await asyncio.sleep(0.5)
        world.clock.step += timedelta(hours=hours)
        world.hits += 1
        await asyncio.sleep(WRITE_S)

    return play


async def _lease_partition(world: World) -> None:
    """Reject the lease writes of the leader only."""
    leader = world.leader
    assert leader is not None
    assert leader.operator is not None
    fault = world.plan(
        Fault(
            effect="fail",
            status=503,
            where={"resource": "leases", "client": leader.operator.name},
            times=None,
        )
    )
    await asyncio.sleep(40.0)
    fault.cancel()


async def _partition(world: World) -> None:
    """Let all requests of the leader hang; they are processed when the partition ends, after another replica leads."""
    leader = world.leader
    assert leader is not None
    assert leader.operator is not None
    # Before the first write of the operation, which follows a few milliseconds after it.
    await asyncio.sleep(0.19)
    held = world.plan(
        Fault(effect="hold", where={**OURS, "client": leader.operator.name}, times=None)
    )
    lease = world.server.plan(
        Fault(
            effect="hang", where={"resource": "leases", "client": leader.operator.name}, times=None
        )
    )
    await asyncio.sleep(60.0)
    held.cancel()
    lease.cancel()


async def _leader_change(world: World) -> None:
    """End the leader with SIGTERM during the operation."""
    leader = world.leader
    assert leader is not None
    await asyncio.sleep(0.22)
    await leader.terminate()
    world.hits += 1
    await asyncio.sleep(5.0)


async def _leader_killed(world: World) -> None:
    leader = world.leader
    assert leader is not None
    await asyncio.sleep(0.22)
    leader.kill()
    world.hits += 1
    await asyncio.sleep(20.0)


DESIRED = ("purplefleaagents", "purplefleahalts")
LIVE = ("configmaps", "statefulsets", "networkpolicies", "pods")


def _standby_behind(resources: tuple[str, ...], *, is_killed: bool = True) -> Play:
    """Stall watches of the standby, and end the leader after it has processed the operation."""

    async def play(world: World) -> None:
        leader = world.leader
        assert leader is not None
        for replica in world.replicas:
            if replica is not leader and replica.operator is not None:
                for resource in resources:
                    client = replica.operator.name
                    world.server.stall_watches(resource, client=client, also_new=True)
        await asyncio.sleep(6.0)
        if is_killed:
            leader.kill()
        else:
            await leader.terminate()
        await asyncio.sleep(20.0)
        world.server.stop_stalling_new_watches()

    return play


BASIC = {
    item.name: item
    for item in (
        Hazard(name="watch-403", play=_watch_status(403), after_s=45, halt_s=WATCH_S + 45),
        Hazard(name="watch-404", play=_watch_status(404), after_s=45, halt_s=WATCH_S + 45),
        Hazard(
            name="watch-429",
            play=_watch_status(429, retry_after=5),
            after_s=45,
            halt_s=WATCH_S + 45,
        ),
        Hazard(name="watch-500", play=_watch_status(500), after_s=45, halt_s=WATCH_S + 45),
        Hazard(name="watch-503", play=_watch_status(503), after_s=45, halt_s=WATCH_S + 45),
        Hazard(
            name="watch-410-full",
            play=_expired,
            after_s=45,
            halt_s=WATCH_S + 45,
            without=RESTARTING,
        ),
        Hazard(
            name="watch-410-empty",
            play=_expired,
            after_s=60,
            halt_s=WATCH_S + 45,
            disturb=_delete_children,
            without=RESTARTING,
        ),
        Hazard(name="watch-silent", play=_silent, after_s=300, halt_s=260, without=RESTARTING),
        Hazard(name="watch-silent-also-new", play=_silent_also_new, after_s=300, halt_s=300),
        Hazard(
            name="watch-ends-at-once",
            play=_ends_at_once,
            after_s=45,
            # No watch delivers the halt during the fault. Then the rest of the longest backoff is over.
            halt_s=WATCH_S + timings.WATCH_BACKOFF_LIMIT_S + 1,
        ),
        Hazard(
            name="watch-reordered",
            play=_distorted(_shuffled, 60.0),
            after_s=30,
            halt_s=5,
            is_racy=True,
        ),
        Hazard(name="watch-stale", play=_distorted(_late, 200.0), after_s=180, halt_s=STALE_S + 1),
        Hazard(
            name="write-409",
            play=writes(status=409),
            after_s=60,
            halt_s=WRITE_S + 6,
            without=NO_WRITES,
        ),
        Hazard(
            name="write-429",
            play=writes(status=429),
            after_s=60,
            halt_s=WRITE_S + 6,
            without=NO_WRITES,
        ),
        Hazard(
            name="write-429-retry-after",
            play=writes(status=429, retry_after=2),
            after_s=60,
            halt_s=WRITE_S + 8,
            without=NO_WRITES,
        ),
        Hazard(
            name="write-429-long",
            play=writes(status=429, retry_after=3600, times=4),
            after_s=60,
            # The write of the halt may be one of the four that are rejected, each time.
            halt_s=4 * timings.CONTROL_BACKOFF_LIMIT_S + 1,
            without=NO_WRITES,
        ),
        Hazard(
            name="write-500",
            play=writes(status=500),
            after_s=60,
            halt_s=WRITE_S + 6,
            without=NO_WRITES,
        ),
        Hazard(
            name="write-503",
            play=writes(status=503),
            after_s=60,
            halt_s=WRITE_S + 6,
            without=NO_WRITES,
        ),
        Hazard(
            name="write-403-statefulsets",
            play=writes(status=403, where={"resource": "statefulsets"}, lasts_s=60),
            after_s=70,
            halt_s=1,
            only=(*CREATING, *TEMPLATES, "PurpleFleaHalt-stop"),
        ),
        Hazard(
            name="write-403-networkpolicies",
            play=writes(status=403, where={"resource": "networkpolicies"}, lasts_s=60),
            after_s=70,
            halt_s=1,
            only=(*CREATING, "connection"),
        ),
        Hazard(
            name="write-403-status",
            play=writes(status=403, where={"resource": "purplefleaagents/status"}, lasts_s=60),
            after_s=70,
            halt_s=1,
            without=NO_WRITES,
        ),
        Hazard(
            name="write-hangs",
            play=writes("hang"),
            after_s=90,
            halt_s=WRITE_S + 20,
            without=NO_WRITES,
        ),
        Hazard(
            name="write-reply-lost",
            play=writes("lose_reply", times=6),
            after_s=40,
            halt_s=8,
            without=NO_WRITES,
        ),
        Hazard(
            name="kill-before-send",
            play=_killing("cut"),
            after_s=60,
            halt_s=140,
            without=NO_WRITES,
            accepts=ENDED,
            is_racy=True,
        ),
        Hazard(
            name="kill-after-send",
            play=_killing("lose_reply"),
            after_s=60,
            halt_s=140,
            without=NO_WRITES,
            accepts=ENDED,
            is_racy=True,
        ),
        Hazard(
            name="kill-after-reply",
            play=_killing("pass", 0.006),
            after_s=60,
            halt_s=140,
            without=NO_WRITES,
            accepts=ENDED,
            is_racy=True,
        ),
        Hazard(name="clock-forward", play=_step(1), after_s=20, halt_s=1),
        Hazard(name="clock-back", play=_step(-1), after_s=20, halt_s=1),
        Hazard(name="lease-partition", play=_lease_partition, after_s=30, halt_s=30, replicas=2),
        Hazard(
            name="writes-held-past-takeover",
            play=_partition,
            after_s=40,
            halt_s=30,
            replicas=2,
            without=(*RESTARTING, *NO_WRITES),
            accepts=ENDED,
        ),
        Hazard(
            name="leader-change",
            play=_leader_change,
            after_s=30,
            halt_s=8,
            replicas=2,
            is_racy=True,
        ),
        Hazard(
            name="leader-killed",
            play=_leader_killed,
            after_s=30,
            halt_s=25,
            replicas=2,
            is_racy=True,
        ),
        Hazard(
            name="standby-behind-desired",
            play=_standby_behind(DESIRED),
            after_s=30,
            halt_s=1,
            replicas=2,
            without=RESTARTING,
        ),
        Hazard(
            name="standby-behind-live",
            play=_standby_behind(LIVE),
            after_s=30,
            halt_s=1,
            replicas=2,
            without=RESTARTING,
        ),
        Hazard(
            name="standby-behind",
            play=_standby_behind(("",), is_killed=False),
            after_s=30,
            halt_s=1,
            replicas=2,
            without=RESTARTING,
        ),
    )
}
