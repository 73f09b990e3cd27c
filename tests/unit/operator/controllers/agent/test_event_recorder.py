"""Events are created beside the passes, at a limited rate, and those about the trading mode first."""

import asyncio
from datetime import UTC, datetime

import pytest

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.event_recorder import (
    BURST,
    MAX_PENDING,
    EventRecorder,
)
from purpleflea_operator.kube import errors
from support.builders import an_agent

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Cluster:
    """A cluster that stores Events with the time of their creation."""

    def __init__(self, clock):
        self.clock, self.events, self.errors = clock, [], []

    async def create_event(self, manifest):
        if self.errors:
            raise self.errors.pop(0)
        self.events.append((self.clock.now, manifest))


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now

    async def sleep(self, seconds):
        self.now += seconds
        await asyncio.sleep(0)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def cluster(clock):
    return Cluster(clock)


@pytest.fixture
def recorder(cluster, clock):
    return EventRecorder(cluster, now=lambda: NOW, clock=clock, sleep=clock.sleep)


def record(recorder, number=0, *, kind="DatadogInstalled", reason="NotFound"):
    agent = an_agent(f"agent-{number}", uid=f"uid-{number}")
    agent["metadata"]["resourceVersion"] = "1"
    wanted = {"conditions": [{"type": kind, "status": "False", "reason": reason, "message": "x"}]}
    recorder.record(agent, {}, wanted, set())


async def sent():
    await asyncio.gather(*(task for task in asyncio.all_tasks() if task.get_name() == "events"))


async def test_a_shared_cause_that_changes_all_agents_causes_no_storm_of_events(
    recorder, cluster, clock
):
    for number in range(1000):
        record(recorder, number)
    assert cluster.events == []
    await sent()
    assert len(cluster.events) == 1000
    at_once = [moment for moment, _ in cluster.events if moment == 0.0]
    assert len(at_once) == BURST
    assert clock.now == pytest.approx((1000 - BURST) * timings.EVENT_INTERVAL_S)


async def test_events_about_the_trading_mode_precede_the_others(recorder, cluster):
    for number in range(3):
        record(recorder, number)
    record(recorder, 3, kind="TradingActive", reason="StoppedIncomplete")
    await sent()
    assert cluster.events[0][1]["reason"] == "TradingActiveStoppedIncomplete"


async def test_an_event_that_cannot_be_created_does_not_prevent_the_others(
    recorder, cluster, clock
):
    cluster.errors = [errors.Forbidden("no"), errors.Throttled("slow", 20.0)]
    for number in range(3):
        record(recorder, number)
    await sent()
    assert len(cluster.events) == 1


async def test_a_throttled_recorder_waits(recorder, cluster, clock):
    cluster.errors = [errors.Throttled("slow", 20.0)]
    for number in range(BURST + 1):
        record(recorder, number)
    await sent()
    assert clock.now >= 15.0


async def test_a_replica_that_may_not_write_drops_the_events(recorder, cluster):
    cluster.errors = [errors.Fenced("no")]
    for number in range(3):
        record(recorder, number)
    await sent()
    assert cluster.events == []


async def test_the_events_that_wait_are_bounded(recorder, cluster):
    for number in range(MAX_PENDING + 10):
        record(recorder, number)
    await sent()
    assert len(cluster.events) == MAX_PENDING


async def test_events_that_wait_are_dropped_at_the_end(recorder, cluster):
    recorder.close()
    record(recorder)
    recorder.close()
    await asyncio.wait([task for task in asyncio.all_tasks() if task.get_name() == "events"])
    assert cluster.events == []
