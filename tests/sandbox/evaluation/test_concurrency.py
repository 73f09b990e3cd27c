"""Values are computed in threads while the intake receives data."""

import asyncio

from purpleflea_sandbox.datadog.api.organisation import Monitor, Organisation
from purpleflea_sandbox.datadog.evaluation_bridge import EvaluationBridge
from purpleflea_sandbox.datadog.intake.receive import take_distributions, take_series
from purpleflea_sandbox.datadog.intake.store import Store
from support.fleet_data import FleetData

NOW = 1_800_000_000
QUERIES = (
    "max(last_5m):max:x{*} by {agent_id} > 15",
    "percentile(last_5m):p95:agent.order.latency_ms{*} by {agent_id} > 1000",
    "percentile(last_5m):p95:trace.agent.order.execute{*} > 1",
)


def organisation():
    created = Organisation(Store(), now=lambda: float(NOW))
    FleetData(created.data, NOW, [f"a-{number}" for number in range(30)]).fill(120)
    for number, query in enumerate(QUERIES):
        definition = {
            "name": query,
            "type": "query alert",
            "query": query,
            "options": {},
            "tags": [],
        }
        created.monitors[number] = Monitor(id=number, definition=definition, created=0, modified=0)
    return created


async def test_data_may_arrive_while_values_are_computed():
    """Add new series, full ring buffers and distributions during the evaluation."""
    org = organisation()
    monitor_runner = EvaluationBridge(org, {}).monitor_runner
    done = asyncio.Event()
    sent = 0

    async def send():
        nonlocal sent
        while not done.is_set():
            sent += 1
            tags = [f"agent_id:b-{sent % 300}"]
            point = {"timestamp": NOW - sent % 300, "value": 1}
            with org.data.lock:
                take_series(
                    org.data, {"series": [{"metric": "x", "points": [point], "tags": tags}]}
                )
                metric = {
                    "metric": "agent.order.latency_ms",
                    "points": [[NOW, [1.0]]],
                    "tags": tags,
                }
                take_distributions(org.data, {"series": [metric]})
            await asyncio.sleep(0)

    sender = asyncio.create_task(send())
    for _ in range(10):
        await monitor_runner.once()
    done.set()
    await sender
    assert sent > 10
    assert {state.refusal for state in monitor_runner.states.values()} == {""}
    await monitor_runner.once()
    assert len(monitor_runner.state("0").groups) == min(sent, 300)


async def test_states_are_written_to_the_organization():
    org = organisation()
    await EvaluationBridge(org, {}).monitor_runner.once()
    monitor = org.monitors[1]
    assert monitor.overall_state == "OK"
    assert monitor.groups["agent_id:a-7"]["status"] == "OK"
    assert len(monitor.groups) == 30


async def test_evaluation_runs_until_the_block_ends():
    bridge = EvaluationBridge(organisation(), {})
    evaluated = asyncio.Queue()
    bridge.monitor_runner.state_listeners.append(
        lambda monitor_id, state: evaluated.put_nowait(monitor_id)
    )
    async with bridge.running(0), asyncio.timeout(60):
        ids = [await evaluated.get() for _ in range(3 * len(QUERIES))]
    assert ids == [*map(str, range(len(QUERIES)))] * 3
    assert asyncio.all_tasks() == {asyncio.current_task()}
