"""Further hazards of the kinds of `faults`: webhooks, rights, quotas, other controllers, and an absent API server."""

import asyncio
from copy import deepcopy
from dataclasses import replace

from support.apiserver.faults import Fault
from support.apiserver.kinds import Obj
from support.simulation.faults import writes
from support.simulation.hazard import (
    CREATING,
    ENDED,
    HALTS,
    NO_WRITES,
    TEMPLATES,
    WATCH_S,
    WRITE_S,
    Hazard,
    Play,
    both,
    nothing,
)
from support.simulation.world import World

NS = "trading"
CHILDREN = ("ConfigMap", "StatefulSet", "NetworkPolicy", "PodDisruptionBudget")
FOREIGN = "example.com/"
"""Prefix of the labels and annotations of other software. They are not part of the end state."""
GRACE_PERIOD_S = 77
"""A value that a webhook sets and the operator does not."""


def _rejected_kind(resource: str, only: tuple[str, ...], halt_s: float = 1) -> Hazard:
    return Hazard(
        name=f"write-403-{resource.replace('/', '-')}",
        play=writes(status=403, where={"resource": resource}, lasts_s=60),
        after_s=70,
        halt_s=halt_s,
        only=only,
    )


async def _unreachable(world: World) -> None:
    """Cut every request and every stream, those for the lease included."""
    fault = world.plan(Fault(effect="cut", where={}, times=None))
    world.server.drop_watches(cut=True)
    await asyncio.sleep(40.0)
    fault.cancel()


async def _lists_throttled(world: World) -> None:
    """Let all watches expire, and reject the lists but not the watches, as one level of priority does."""
    faults = [world.plan(item) for item in both(status=429, retry_after=1) if _is_list(item)]
    world.server.compact()
    world.server.drop_watches(cut=True)
    await asyncio.sleep(WATCH_S)
    for fault in faults:
        fault.cancel()


def _is_list(fault: Fault) -> bool:
    return fault.where.get("verb") == "list"


async def _webhook(world: World) -> None:
    """Annotate each child at each write. The operator has to accept that."""

    def annotate(obj: Obj) -> Obj:
        world.hits += 1
        return _annotated(obj, f"{FOREIGN}webhook", f"{world.now_s:.3f}")

    for kind in CHILDREN:
        world.server.add_webhook(kind, annotate)
    await asyncio.sleep(WRITE_S)


async def _contesting_webhook(world: World) -> None:
    """Change a field that the operator writes. When the webhook is gone, the user does what the condition says."""

    def change(obj: Obj) -> Obj:
        world.hits += 1
        changed = deepcopy(obj)
        changed["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] = GRACE_PERIOD_S
        return changed

    world.server.add_webhook("StatefulSet", change)
    await asyncio.sleep(60.0)
    world.server.remove_webhooks()
    for item in world.server.objects("StatefulSet"):
        if item["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == GRACE_PERIOD_S:
            world.server.put(_annotated(item, f"{FOREIGN}retry", "1"), manager="kubectl-annotate")


def _annotated(obj: Obj, name: str, value: str) -> Obj:
    annotations = {**obj["metadata"].get("annotations", {}), name: value}
    return {**obj, "metadata": {**obj["metadata"], "annotations": annotations}}


async def _labels_removed(world: World) -> None:
    """Remove the labels of the children again and again, as another controller that owns them."""
    for _ in range(6):
        await asyncio.sleep(3.0)
        for kind in CHILDREN:
            for item in world.server.objects(kind, NS):
                world.hits += 1
                metadata = {**item["metadata"], "labels": {}}
                world.server.put({**item, "metadata": metadata}, manager="foreign")


async def _foreign_status(world: World) -> None:
    """Write the status as another field manager."""
    for _ in range(4):
        await asyncio.sleep(5.0)
        for item in world.server.objects("PurpleFleaAgent", NS):
            world.hits += 1
            status = {**item.get("status", {}), "observedGeneration": 99, "readyReplicas": 9}
            status["conditions"] = [
                {**condition, "status": "Unknown", "reason": "Foreign"}
                for condition in status.get("conditions", [])
            ]
            world.server.put({**item, "status": status}, manager="foreign")


async def _namespace_deleted(world: World) -> None:
    """Delete the namespace: creates are rejected, and its objects disappear in no useful sequence."""
    message = f"unable to create new content in namespace {NS} because it is being terminated"
    where = {"verb": "create", "namespace": NS}
    world.plan(Fault(effect="fail", status=403, message=message, where=where, times=None))  # type: ignore[arg-type]
    await asyncio.sleep(3.0)
    world.hits += 1
    kinds = (*CHILDREN, "PersistentVolumeClaim", "PurpleFleaHalt", "Pod", "PurpleFleaAgent")
    for kind in kinds:
        for item in world.server.objects(kind, NS):
            if world.server.get(kind, NS, item["metadata"]["name"]):
                world.server.delete(kind, NS, item["metadata"]["name"])
        await asyncio.sleep(0.5)


def _slow(seconds: float) -> Play:
    return writes("delay", seconds=seconds, lasts_s=60)


SIBLINGS = {
    item.name: item
    for item in (
        Hazard(name="watch-429-lists", play=_lists_throttled, after_s=45, halt_s=WATCH_S + 45),
        replace(_rejected_kind("configmaps", (*CREATING, *HALTS), halt_s=67), accepts=ENDED),
        replace(_rejected_kind("pods", HALTS), accepts=ENDED),
        _rejected_kind("events", HALTS),
        _rejected_kind("poddisruptionbudgets", CREATING),
        _rejected_kind("purplefleahalts/status", ("PurpleFleaHalt", "PurpleFleaHalt-stop")),
        _rejected_kind("persistentvolumeclaims", ("storage",)),
        Hazard(
            name="write-504-after-commit",
            play=writes("fail_after", status=504),
            after_s=60,
            halt_s=2,
            without=NO_WRITES,
        ),
        Hazard(name="write-held-9-s", play=_slow(9.0), after_s=120, halt_s=12, without=NO_WRITES),
        Hazard(name="webhook-annotates", play=_webhook, after_s=20, halt_s=1, without=NO_WRITES),
        Hazard(
            name="webhook-changes-field",
            play=_contesting_webhook,
            after_s=90,
            halt_s=1,
            only=(*CREATING, *TEMPLATES),
            restarts_pods=True,
            writes=24,
        ),
        Hazard(name="labels-removed", play=_labels_removed, after_s=90, halt_s=1, writes=60),
        Hazard(name="status-of-another", play=_foreign_status, after_s=40, halt_s=1, events=60),
        Hazard(
            name="namespace-deleted",
            play=nothing,
            after_s=30,
            halt_s=1,
            disturb=_namespace_deleted,
        ),
        Hazard(name="server-down", play=_unreachable, after_s=60, halt_s=75, replicas=2),
    )
}
