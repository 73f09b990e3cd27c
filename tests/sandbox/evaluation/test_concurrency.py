"""Values are computed in threads while the intake goes on taking data."""

import asyncio

from purpleflea_sandbox.datadog.api.organisation import Monitor, Organisation
from purpleflea_sandbox.datadog.intake.receive import take_distributions, take_series
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.observing import Observing
from support.fleet_data import FleetData

NOW = 1_800_000_000
QUERIES = (
    "max(last_5m):max:x{*} by {agent_id} > 15",
    "percentile(last_5m):p95:agent.order.latency_ms{*} by {agent_id} > 1000",
    "percentile(last_5m):p95:trace.agent.order.execute{*} > 1",
)


def organisation():
    found = Organisation(Store(), now=lambda: float(NOW))
    FleetData(found.data, NOW, [f"a-{number}" for number in range(30)]).fill(120)
    for number, query in enumerate(QUERIES):
        definition = {
            "name": query,
            "type": "query alert",
            "query": query,
            "options": {},
            "tags": [],
        }
        found.monitors[number] = Monitor(id=number, definition=definition, created=0, modified=0)
    return found


async def test_what_arrives_while_values_are_computed_disturbs_neither():
    """New series, full rings, distributions: all that a reader could stumble over."""
    found = organisation()
    monitoring = Observing(found, {}).monitoring
    done = asyncio.Event()
    sent = 0

    async def send():
        nonlocal sent
        while not done.is_set():
            sent += 1
            tags = [f"agent_id:b-{sent % 300}"]
            point = {"timestamp": NOW - sent % 300, "value": 1}
            with found.data.lock:
                take_series(
                    found.data, {"series": [{"metric": "x", "points": [point], "tags": tags}]}
                )
                metric = {
                    "metric": "agent.order.latency_ms",
                    "points": [[NOW, [1.0]]],
                    "tags": tags,
                }
                take_distributions(found.data, {"series": [metric]})
            await asyncio.sleep(0)

    sender = asyncio.create_task(send())
    for _ in range(10):
        await monitoring.once()
    done.set()
    await sender
    assert sent > 10
    assert {state.refusal for state in monitoring.states.values()} == {""}
    await monitoring.once()
    assert len(monitoring.state("0").groups) == min(sent, 300)


async def test_the_states_are_written_into_the_organisation():
    found = organisation()
    await Observing(found, {}).monitoring.once()
    monitor = found.monitors[1]
    assert monitor.overall_state == "OK"
    assert monitor.groups["agent_id:a-7"]["status"] == "OK"
    assert len(monitor.groups) == 30


async def test_evaluation_runs_as_long_as_the_block_and_ends_with_it():
    observing = Observing(organisation(), {})
    told = asyncio.Queue()
    observing.monitoring.kept.append(lambda monitor_id, state: told.put_nowait(monitor_id))
    async with observing.running(0), asyncio.timeout(60):
        found = [await told.get() for _ in range(3 * len(QUERIES))]
    assert found == [*map(str, range(len(QUERIES)))] * 3
    assert asyncio.all_tasks() == {asyncio.current_task()}
