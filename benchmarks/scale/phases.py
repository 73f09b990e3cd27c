"""The phases of a run: each is a change to the cluster, and the wait for its effect."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from benchmarks.scale import api, workloads
from benchmarks.scale.api import for_all
from benchmarks.scale.measuring import Recording, measured
from benchmarks.scale.results import Phase, Variant
from benchmarks.scale.subjects import Subject
from benchmarks.scale.workloads import path_of
from benchmarks.scale.world import Expectation
from purpleflea_contract.control import Mode

IDLE_S = 60.0
SETTLE_S = 5.0
"""Pause before a phase, in which the operator completes what the phase before caused."""
HALTS = 50
"""Agents that are halted one after another, so that a p99 has a meaning."""
STORM = 1000
STORM_PAUSE_S = 0.2
RESTART_S = 30.0
HALT_NAME = "benchmark"
Act = Callable[[Subject, Recording], Awaitable[None]]


async def create(subject: Subject, recording: Recording) -> None:
    """Create all objects with concurrent applies, and wait until each is ready."""
    make, is_ready = {
        "statefulsets": (workloads.stateful_set, workloads.is_stateful_set_ready),
        "agents": (workloads.agent, workloads.is_agent_ready),
    }[subject.kind]
    began: dict[str, float] = {}

    async def apply(name: str) -> None:
        began[name] = time.monotonic()
        await subject.api.apply(path_of(subject.kind, name), make(name))

    ready = subject.world.expect(subject.kind, subject.names, is_ready)
    await for_all(subject.names, apply)
    await subject.wait(ready)
    recording.seconds_by_latency["create to Ready"] = [
        ready.times[name] - began[name] for name in subject.names
    ]


async def idle(subject: Subject, _: Recording) -> None:
    """Do nothing."""
    for second in range(int(IDLE_S)):
        subject.progress(f"{second} s")
        await asyncio.sleep(1)


async def change_one(subject: Subject, recording: Recording) -> None:
    """Change the settings of some agents, one after another."""
    for name in _some(subject):
        began = time.monotonic()
        ready = subject.world.expect("agents", [name], _ready_with("BTC-USD", "SOL-USD"))
        await subject.api.patch(path_of("agents", name), _markets("BTC-USD", "SOL-USD"))
        await subject.wait(ready)
        recording.seconds_by_latency.setdefault("change to Ready", []).append(
            ready.times[name] - began
        )


async def change_all(subject: Subject, recording: Recording) -> None:
    """Change the settings of all agents at once."""
    began = time.monotonic()
    ready = await _change(subject, subject.agents, "BTC-USD", "ETH-USD")
    await subject.wait(ready)
    recording.seconds_by_latency["change to Ready"] = [
        moment - began for moment in ready.times.values()
    ]


async def halt_one(subject: Subject, recording: Recording) -> None:
    """Halt some agents of an idle cluster, one after another."""
    for name in _some(subject):
        await _halt(subject, recording, name)
    await _set_all(subject, Recording("resume"), Mode.ACTIVE, list(_some(subject)))


async def halt_in_storm(subject: Subject, recording: Recording) -> None:
    """Halt some agents at a constant rate while the operator rolls out new settings of up to 1,000 agents.

    A halt does not wait for the acknowledgement of the one before, which would delay it beyond the rollouts.
    """
    storm = min(STORM, subject.agents)
    victims = list(_some(subject))
    change = asyncio.create_task(_change(subject, storm, "BTC-USD", "DOGE-USD"))
    async with asyncio.TaskGroup() as group:
        for name in victims:
            await asyncio.sleep(STORM_PAUSE_S)
            group.create_task(_halt(subject, recording, name))
    await subject.wait(await change)
    await _set_all(subject, Recording("resume"), Mode.ACTIVE, victims)


async def halt_all(subject: Subject, recording: Recording) -> None:
    """Halt all agents with one patch of each spec, and resume them in the same way."""
    names = list(subject.names)
    await _set_all(subject, recording, Mode.HALTED, names)
    resumed = Recording("resume")
    await _set_all(subject, resumed, Mode.ACTIVE, names)
    recording.seconds_by_latency["resumed"] = resumed.seconds_by_latency["written"]


async def halt_all_by_resource(subject: Subject, recording: Recording) -> None:
    """Halt all agents with one PurpleFleaHalt, and resume them with its deletion."""
    names = list(subject.names)
    written, proven = _expect_mode(subject, names, Mode.HALTED)
    began = time.monotonic()
    await subject.api.send("POST", workloads.PATHS["halts"], workloads.halt(HALT_NAME))
    await subject.wait(written, *proven)
    _record(recording, began, written, proven)
    written, proven = _expect_mode(subject, names, Mode.ACTIVE)
    began = time.monotonic()
    await subject.api.send("DELETE", path_of("halts", HALT_NAME))
    await subject.wait(written, *proven)
    recording.seconds_by_latency["resumed"] = [moment - began for moment in written.times.values()]


async def restart(subject: Subject, _: Recording) -> None:
    """Stop the operator and start it again."""
    await asyncio.sleep(RESTART_S)


async def takeover(subject: Subject, recording: Recording) -> None:
    """Kill the leader, halt an agent at the same moment, and wait until the standby has written the mode."""
    standby = await subject.start_operator()
    leader = subject.leader
    await asyncio.sleep(SETTLE_S)
    name = subject.names[0]
    written, proven = _expect_mode(subject, [name], Mode.HALTED)
    began = time.monotonic()
    leader.kill()
    subject.operator = recording.started = standby
    await subject.api.patch(path_of("agents", name), _mode(Mode.HALTED))
    await subject.wait(written, *proven)
    _record(recording, began, written, proven)
    await _set_all(subject, Recording("resume"), Mode.ACTIVE, [name])


PHASES: Mapping[str, Act] = {
    "create": create,
    "idle": idle,
    "restart": restart,
    "change one": change_one,
    "change all": change_all,
    "halt one": halt_one,
    "halt one in a storm": halt_in_storm,
    "halt all": halt_all,
    "halt all by one resource": halt_all_by_resource,
    "restart after halts": restart,
    "takeover": takeover,
}
"""Every phase by name, in the sequence in which they run."""
BASELINE = ("create", "idle", "change all", "halt one", "halt all", "restart")
"""Phases of the baseline, which neither asks the agents nor has a control lane."""


def of(variant: Variant, chosen: Sequence[str]) -> list[str]:
    """Return the phases of a variant that were chosen, in their sequence."""
    names = {"raw": ("create",), "baseline": BASELINE, "ours": tuple(PHASES)}[variant]
    return [name for name in PHASES if name in names and name in chosen and _is_possible(name)]


def _is_possible(name: str) -> bool:
    return name != "halt all by one resource" or workloads.has_halts()


async def run_phase(subject: Subject, name: str) -> Phase:
    """Run a phase and return its results."""
    if PHASES[name] is restart:
        return await _restarted(subject, name)
    operator = None if name == "takeover" else subject.operator
    async with measured(subject.plane, operator, name) as recording:
        await PHASES[name](subject, recording)
    return recording.phase


async def _restarted(subject: Subject, name: str) -> Phase:
    """Measure a restart from the exec of the new process on."""
    await subject.stop()
    async with measured(subject.plane, None, name) as recording:
        began = time.monotonic()
        subject.operator = await subject.start_operator()
        recording.seconds_by_latency["start to ready"] = [time.monotonic() - began]
        recording.started = subject.operator
        await restart(subject, recording)
    return recording.phase


async def _halt(subject: Subject, recording: Recording, name: str) -> None:
    written, proven = _expect_mode(subject, [name], Mode.HALTED)
    sent = time.monotonic()
    await subject.api.patch(path_of("agents", name), _mode(Mode.HALTED))
    accepted = time.monotonic()
    await subject.wait(written, *proven)
    recording.seconds_by_latency.setdefault("accepted", []).append(accepted - sent)
    _record(recording, accepted, written, proven)


async def _set_all(subject: Subject, recording: Recording, mode: Mode, names: list[str]) -> None:
    written, proven = _expect_mode(subject, names, mode)
    began = time.monotonic()
    await for_all(names, lambda name: subject.api.patch(path_of("agents", name), _mode(mode)))
    await subject.wait(written, *proven)
    _record(recording, began, written, proven)


def _expect_mode(
    subject: Subject, names: list[str], mode: Mode
) -> tuple[Expectation, list[Expectation]]:
    """Return the expectations of the written mode, and of its proof if the variant asks the agents."""
    written = subject.world.expect("configmaps", names, workloads.has_mode(mode))
    if subject.variant == "baseline":
        return written, []
    return written, [subject.world.expect("agents", names, workloads.acknowledges(mode))]


def _record(
    recording: Recording, began: float, written: Expectation, proven: list[Expectation]
) -> None:
    latencies = recording.seconds_by_latency
    # The event of a write can arrive before the response to the request that caused it.
    latencies.setdefault("written", []).extend(
        max(0.0, moment - began) for moment in written.times.values()
    )
    for expectation in proven:
        latencies.setdefault("acknowledged", []).extend(
            max(0.0, moment - began) for moment in expectation.times.values()
        )


async def _change(subject: Subject, count: int, *markets: str) -> Expectation:
    names = subject.names[:count]
    ready = subject.world.expect("agents", names, _ready_with(*markets))
    change = _markets(*markets)
    await for_all(names, lambda name: subject.api.patch(path_of("agents", name), change))
    return ready


def _some(subject: Subject) -> list[str]:
    """Return agents spread over the whole set."""
    step = max(1, subject.agents // HALTS)
    return list(subject.names[::step][:HALTS])


def _ready_with(*markets: str) -> Callable[[dict[str, Any]], bool]:
    wanted = list(markets)
    return lambda manifest: (
        manifest["spec"]["markets"] == wanted and workloads.is_agent_ready(manifest)
    )


def _markets(*markets: str) -> api.Manifest:
    return {"spec": {"markets": list(markets)}}


def _mode(mode: Mode) -> api.Manifest:
    return {"spec": {"trading": {"mode": mode}}}
