"""Cells of the matrix: one operation under one hazard, with the checks that hold for each of them."""

import asyncio
import json
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from support.apiserver.kinds import Kind, Obj
from support.apiserver.requests import Request
from support.apiserver.store import Change
from support.simulation import clock as clocks
from support.simulation.hazard import Hazard, nothing
from support.simulation.hazards import HAZARDS
from support.simulation.operations import (
    KIND,
    NAME,
    NS,
    OPERATIONS,
    Operation,
    halt_bystander,
    prepare,
)
from support.simulation.siblings import FOREIGN
from support.simulation.world import BYSTANDER, World, a_world

OPERATION_AT_S = 0.2
HALT_AT_S = 1.0
USUAL_S = 110.0
"""Time in which each operation ends without a fault. A rollout takes minReadySeconds, which are 75 s."""
QUIET_S = 60.0
"""Time in which an idle operator must not write."""
STEADY_S = 16.0
"""The end state is reached if it holds for this long without a write: counts in a status may be late by 15 s."""
KINDS = (
    "PurpleFleaAgent",
    "PurpleFleaHalt",
    "ConfigMap",
    "StatefulSet",
    "NetworkPolicy",
    "PodDisruptionBudget",
    "PersistentVolumeClaim",
    "Pod",
)
LIMITS = {"requests": 220, "unchanged": 8, "failed": 65}
"""Requests in addition to those without the fault: 13 watches and a few agents that retry with backoff."""
REQUESTS_OF_A_START = 45
CALM_LIMITS = {"requests": 150, "writes": 60, "unchanged": 8, "failed": 30, "events": 25}
"""Requests of a run without a fault."""
NUDGE = "purpleflea.com/mode"
RECORD = "purpleflea.com/halted"
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z|\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)?")
_VOLATILE = (
    "uid",
    "resourceVersion",
    "creationTimestamp",
    "managedFields",
    "generation",
    "observedGeneration",
    "lastTransitionTime",
    "startTime",
    "startedAt",
    "podIP",
)
State = dict[str, Any]


@dataclass
class Result:
    """Measurements of one cell. `problems` is empty if all checks pass."""

    hazard: str
    operation: str
    seed: int
    problems: list[str] = field(default_factory=list)
    settled_s: float = 0.0
    halt_s: float | None = None
    own_halt_s: float | None = None
    hits: int = 0
    """Effects of the hazard on anything but the bystander."""
    requests: int = 0
    writes: int = 0
    unchanged: int = 0
    failed: int = 0
    events: int = 0
    starts: int = 0
    virtual_s: float = 0.0
    real_s: float = 0.0
    pods: dict[str, int] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    state: State = field(default_factory=dict)


class History:
    """Observes each change of the server."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.created: Counter[str] = Counter()
        self.problems: list[str] = []
        self.halted_at: dict[str, float] = {}
        self._alive: dict[tuple[str, ...], set[str]] = {}
        for pod in world.server.objects("Pod"):
            self._alive.setdefault(_identity(pod), set()).add(pod["metadata"]["uid"])
        world.server.subscribe(self._on_change)

    def _on_change(self, kind: Kind, change: Change) -> None:
        if kind.kind == "Pod":
            self._on_pod(change)
        elif kind.kind == "ConfigMap" and not change.deleted:
            self._on_control(change.after)

    def _on_pod(self, change: Change) -> None:
        metadata = change.after["metadata"]
        alive = self._alive.setdefault(_identity(change.after), set())
        if change.deleted:
            alive.discard(metadata["uid"])
            return
        if change.before is None:
            self.created[metadata["name"]] += 1
        alive.add(metadata["uid"])
        if len(alive) > 1:
            self.problems.append(f"two pods of {metadata['name']} at {self._world.now_s:.1f}")
            alive.clear()

    def _on_control(self, config_map: Obj) -> None:
        name = config_map["metadata"]["name"]
        agent = self._world.server.get(KIND, NS, name)
        control = json.loads(config_map.get("data", {}).get("control.json", "{}"))
        mode = control.get("mode")
        if mode != "Active":
            self.halted_at.setdefault(name, self._world.now_s)
        wanted = (agent or {}).get("spec", {}).get("trading", {}).get("mode", "Active")
        is_halted = name == NAME and self._world.server.objects("PurpleFleaHalt")
        if mode == "Active" and (wanted != "Active" or is_halted) and name in self.halted_at:
            self.problems.append(f"{name} resumed although it is {wanted}")


def _identity(pod: Obj) -> tuple[str, ...]:
    """Return what must be unique in the cluster, whatever the namespace."""
    metadata = pod["metadata"]
    annotations, labels = metadata.get("annotations", {}), metadata.get("labels", {})
    tags = (f"tags.datadoghq.com/{name}" for name in ("env", "service"))
    return (metadata["name"], *(labels.get(tag) or annotations.get(tag, "") for tag in tags))


def canonical(world: World) -> State:
    """Return all objects without values that differ between two runs."""
    return {
        kind: {
            f"{item['metadata']['namespace']}/{item['metadata']['name']}": _plain(item)
            for item in world.server.objects(kind)
        }
        for kind in KINDS
    }


def _is_stable(key: str) -> bool:
    return key not in _VOLATILE and not key.startswith(FOREIGN)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        plain = {k: _plain(v) for k, v in sorted(value.items()) if _is_stable(k)}
        if plain.get(RECORD) == "false":
            # A ConfigMap of an agent that was never halted has no record.
            del plain[RECORD]
        if NUDGE in plain:
            # The number after the mode counts attempts.
            plain[NUDGE] = plain[NUDGE].partition(".")[0]
        return plain
    if isinstance(value, list):
        return [_plain(item) for item in value]
    return _TIME.sub("<time>", value) if isinstance(value, str) else value


def differences(wanted: Any, found: Any, path: str = "") -> Iterator[str]:
    """Yield the paths that differ, with both values."""
    if isinstance(wanted, dict) and isinstance(found, dict):
        for key in sorted({*wanted, *found}):
            yield from differences(wanted.get(key), found.get(key), f"{path}.{key}")
    elif isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        for number, (left, right) in enumerate(zip(wanted, found, strict=True)):
            yield from differences(left, right, f"{path}[{number}]")
    elif wanted != found:
        yield f"{path}: {str(wanted)[:300]} != {str(found)[:300]}"


_expected: dict[tuple[str, str], Result] = {}


def expected(hazard: Hazard, operation: Operation, seed: int) -> Result:
    """Return the run without a fault, from the cache of this process."""
    key = (hazard.name if hazard.disturb or hazard.replicas > 1 else "", operation.name)
    if key not in _expected:
        calm = Hazard(
            name="none",
            play=nothing,
            after_s=0,
            halt_s=1,
            replicas=hazard.replicas,
            disturb=hazard.disturb,
        )
        _expected[key] = _simulate(calm, operation, seed, None)
    return _expected[key]


def run_cell(hazard: str, operation: str, seed: int = 1) -> Result:
    """Run one cell, and the run without a fault if this process has not run it yet."""
    wanted = expected(HAZARDS[hazard], OPERATIONS[operation], seed)
    if wanted.problems:
        return wanted
    return _simulate(HAZARDS[hazard], OPERATIONS[operation], seed, wanted)


def _simulate(hazard: Hazard, operation: Operation, seed: int, wanted: Result | None) -> Result:
    clock = clocks.Clock()
    began = clocks.real_monotonic()
    try:
        result = clocks.run(clock, lambda: _run(clock, hazard, operation, seed, wanted))
    except clocks.EndlessError as error:
        result = Result(hazard=hazard.name, operation=operation.name, seed=seed)
        result.problems.append(str(error))
    result.virtual_s = clock.now_s - clocks.FIRST_S
    result.real_s = clocks.real_monotonic() - began
    return result


async def _run(
    clock: clocks.Clock, hazard: Hazard, operation: Operation, seed: int, wanted: Result | None
) -> Result:
    result = Result(hazard=hazard.name, operation=operation.name, seed=seed)
    async with a_world(clock, seed) as world:
        prepare(world, operation)
        world.counts_bystander = operation.concerns_all
        world.deploy(hazard.replicas)
        await asyncio.sleep(60.0)
        history = History(world)
        world.server.clear()
        world.server.disturbed.clear()
        starts = sum(replica.starts for replica in world.replicas)
        await _play(world, hazard, operation)
        if wanted is None:
            await asyncio.sleep(USUAL_S)
        else:
            result.settled_s = await _settle(
                world, wanted, USUAL_S + hazard.after_s, hazard.accepts.get(operation.name, ())
            )
        _measure(result, world, history)
        result.starts = sum(replica.starts for replica in world.replicas) - starts
        world.server.clear()
        await asyncio.sleep(QUIET_S)
        result.state = canonical(world)
        _check(result, world, history, hazard, wanted)
    return result


async def _play(world: World, hazard: Hazard, operation: Operation) -> None:
    playing = [asyncio.create_task(hazard.play(world))]
    if hazard.disturb is not None:
        playing.append(asyncio.create_task(hazard.disturb(world)))
    await asyncio.sleep(OPERATION_AT_S)
    world.acted_at = world.now_s
    playing.append(asyncio.create_task(operation.act(world)))
    await asyncio.sleep(HALT_AT_S - OPERATION_AT_S)
    world.halt_asked_at = world.now_s
    halt_bystander(world)
    await asyncio.gather(*playing)


def unexpected(wanted: State, found: State, accepted: tuple[str, ...]) -> list[str]:
    """Return the differences, other than those of accepted fields."""
    if wanted == found:
        return []
    return [
        item
        for item in differences(wanted, found)
        if not item.partition(": ")[0].endswith(accepted)
    ]


async def _settle(world: World, wanted: Result, limit_s: float, accepted: tuple[str, ...]) -> float:
    """Wait until the end state is reached and no write follows. Return the seconds to the end state."""
    began, writes = world.now_s, -1
    while world.now_s - began < limit_s:
        await asyncio.sleep(1.0)
        found = len(_writes(world))
        if unexpected(wanted.state, canonical(world), accepted) or found != writes:
            writes, since = found, world.now_s
        elif world.now_s - since >= STEADY_S:
            return since - began
    return limit_s


def _writes(world: World) -> list[Request]:
    """Return the writes of the operator, other than those for the lease."""
    writes = world.server.writes(user_agent="purpleflea-operator")
    return [item for item in writes if item.resource != "leases"]


def _measure(result: Result, world: World, history: History) -> None:
    """Count the requests of the operator, other than those for the lease."""
    ours = [
        item
        for item in world.server.requests(user_agent="purpleflea-operator")
        if item.resource != "leases"
    ]
    result.requests = len(ours)
    writes = [item for item in ours if item.is_write and item.resource != "events"]
    result.events = sum(item.resource == "events" for item in ours if item.is_write)
    result.failed = sum(item.status >= 400 or not item.status for item in writes)
    done = [item for item in writes if 200 <= item.status < 300]
    result.writes = sum(item.changed for item in done)
    result.unchanged = len(done) - result.writes
    result.pods = dict(history.created)
    counts = Counter(f"{item.verb} {item.full_resource}" for item in ours)
    result.counts = dict(sorted(counts.items()))
    result.hits = world.all_hits()
    if BYSTANDER in history.halted_at:
        result.halt_s = round(history.halted_at[BYSTANDER] - world.halt_asked_at, 3)
    if NAME in history.halted_at:
        result.own_halt_s = round(history.halted_at[NAME] - world.acted_at, 3)


def _check(
    result: Result, world: World, history: History, hazard: Hazard, wanted: Result | None
) -> None:
    problems = result.problems
    problems += history.problems
    problems += world.errors[:3]
    late = _writes(world)
    if late:
        names = Counter(f"{item.verb} {item.full_resource} {item.name}" for item in late)
        problems.append(f"writes when idle: {dict(names)}")
    if result.halt_s is None:
        problems.append("the bystander was not halted")
    elif result.halt_s > hazard.halt_s:
        problems.append(f"halt after {result.halt_s:.1f} s, not within {hazard.halt_s:g} s")
    problems += _own_halt(result, hazard)
    if wanted is None:
        problems += _above(result, CALM_LIMITS)
        return
    if not result.hits:
        problems.append("the fault had no effect on the operation")
    problems += _excess(result, wanted, hazard)
    accepted = hazard.accepts.get(result.operation, ())
    problems += unexpected(wanted.state, result.state, accepted)[:12]
    if hazard.disturb is None and not hazard.restarts_pods:
        extra = {
            name: count for name, count in result.pods.items() if count > wanted.pods.get(name, 0)
        }
        if extra:
            problems.append(f"pods started more often: {extra}, not {wanted.pods}")


def _own_halt(result: Result, hazard: Hazard) -> Iterator[str]:
    """Yield a problem if the operation is a halt that was late. A user may halt before the fault ends only."""
    if not OPERATIONS[result.operation].halts:
        return
    if result.own_halt_s is None:
        yield "the agent was not halted"
    elif result.own_halt_s > hazard.halt_s + HALT_AT_S:
        yield f"halt of the agent after {result.own_halt_s:.1f} s, not within {hazard.halt_s:g} s"


def _excess(result: Result, wanted: Result, hazard: Hazard) -> Iterator[str]:
    """Yield the counts of requests that are too large."""
    limits = {name: getattr(wanted, name) + limit for name, limit in LIMITS.items()}
    limits["writes"] = wanted.writes + hazard.writes
    limits["events"] = wanted.events + hazard.events
    limits["requests"] += REQUESTS_OF_A_START * max(0, result.starts - wanted.starts)
    # Each replica watches.
    limits["requests"] += LIMITS["requests"] * (hazard.replicas - 1)
    yield from _above(result, limits)


def _above(result: Result, limits: dict[str, int]) -> Iterator[str]:
    for name, limit in limits.items():
        count = getattr(result, name)
        if count > limit:
            yield f"{count} {name}, the limit is {limit}: {result.counts}"


def as_dict(result: Result) -> dict[str, Any]:
    """Return the measurements for the report."""
    values = asdict(result)
    del values["state"]
    return values
