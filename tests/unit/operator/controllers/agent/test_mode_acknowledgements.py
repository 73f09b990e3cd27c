"""Requests to agents for the trading mode: how often, how many, and what is remembered."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_contract.control import Acknowledgement, Mode
from purpleflea_operator.agent_client.protocol import AgentUnreachableError
from purpleflea_operator.controllers.agent.agent_memory import REQUESTS_PER_AGENT, AgentMemories
from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.observed_state import TradingObservation
from purpleflea_operator.controllers.agent.mode_acknowledgements import ModeAcknowledgements
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.controllers.halt.decisions.halt import halt
from purpleflea_operator.kube.object_cache import NamespacedName
from support.builders import a_halt, a_pod
from support.observed_states import observed_state

KEY = NamespacedName("trading", "momentum")
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Clock:
    """A monotonic clock, and a wall clock that can be set to another time."""

    def __init__(self):
        self.seconds = 1000.0
        self.step_s = 0.0

    def __call__(self):
        return self.seconds

    def now(self):
        return START + timedelta(seconds=self.seconds - 1000.0 + self.step_s)

    def pass_by(self, seconds):
        self.seconds += seconds


class Responses:
    """A client of agents with a response for each address."""

    def __init__(self):
        self.responses = {}
        self.asked = []
        self.blocked = None

    async def control(self, address):
        self.asked.append(address)
        if self.blocked:
            await self.blocked.wait()
        if address not in self.responses:
            raise AgentUnreachableError("no response")
        return self.responses[address]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def agents():
    return Responses()


@pytest.fixture
def changed():
    """The agent resources for which `on_change` was called."""
    return []


@pytest.fixture
async def memories():
    found = AgentMemories(lambda: 0.0, RestartBudget(lambda key: None, clock=lambda: 0.0))
    yield found
    found.close()


class Passes:
    """The steps of passes over one agent."""

    def __init__(self, agents, memories, on_change, clock):
        self.collector = ModeAcknowledgements(agents, on_change, clock=clock)
        self.memories = memories
        self.clock = clock

    def observe(self, observed):
        """Return the state with what is remembered, and the current requests."""
        memory, now = self.memories.of(KEY, "uid"), self.clock.now()
        control = trading_mode.desired_control(observed)
        trading = trading_mode.with_acknowledgements(
            observed.trading, control, observed.pods, memory.snapshot(now, self.clock()), now
        )
        observed = replace(observed, trading=trading, now=now)
        return observed, self.collector.update(memory, observed)

    def ask(self, observed):
        observed, requests = self.observe(observed)
        self.collector.ask(KEY, observed, requests)

    async def run(self, observed):
        """Return the state of the next pass, after all requests have ended."""
        self.ask(observed)
        for _ in range(50):
            await asyncio.sleep(0)
        return self.observe(observed)[0]

    def requeue_after_s(self, observed):
        observed, requests = self.observe(observed)
        return self.collector.requeue_after_s(observed, requests)


@pytest.fixture
def passes(agents, memories, changed, clock):
    return Passes(agents, memories, changed.append, clock)


def in_mode(mode="Halted", count=2, **changes):
    """An agent with so many pods, each with an address."""
    pods = []
    for number in range(count):
        item = a_pod(f"momentum-{number}", **changes)
        item["status"]["podIP"] = f"10.0.0.{number}"
        pods.append(item)
    return observed_state(
        spec={"trading": {"mode": mode}, "pod": {"terminationGracePeriodSeconds": 10}},
        pods=pods,
        now=START,
        trading=TradingObservation(since=START),
    )


def nudged(mode="Halted", **changes):
    return a_pod(annotations={"purpleflea.com/mode": mode}, **changes)


def drained(mode=Mode.HALTED):
    return Acknowledgement(mode=mode, at_rest=True)


async def test_each_agent_is_queried_until_it_acknowledges_and_not_again(passes, agents, clock):
    agents.responses["10.0.0.0"] = drained()
    observed = await passes.run(in_mode())
    assert sorted(agents.asked) == ["10.0.0.0", "10.0.0.1"]
    assert set(observed.trading.acknowledgements) == {"uid-momentum-0"}
    agents.asked.clear()
    agents.responses["10.0.0.1"] = drained()
    clock.pass_by(1)
    observed = await passes.run(in_mode())
    assert agents.asked == ["10.0.0.1"]
    assert passes.requeue_after_s(observed) is None
    clock.pass_by(3600)
    await passes.run(in_mode())
    assert agents.asked == ["10.0.0.1"]


async def test_an_agent_that_does_not_respond_is_queried_at_growing_intervals(
    passes, agents, clock
):
    pauses = []
    for _ in range(8):
        observed = await passes.run(in_mode(count=1))
        pauses.append(passes.requeue_after_s(observed))
        clock.pass_by(pauses[-1])
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]
    assert len(agents.asked) == 8


async def test_a_pass_before_the_next_request_is_due_sends_no_request(passes, agents):
    await passes.run(in_mode(count=1))
    await passes.run(in_mode(count=1))
    assert len(agents.asked) == 1


async def test_a_response_about_another_mode_is_dropped(passes, agents):
    agents.responses["10.0.0.0"] = drained()
    await passes.run(in_mode(count=1))
    passes.observe(in_mode("Active", count=1))
    assert passes.observe(in_mode(count=1))[0].trading.acknowledgements == {}


async def test_responses_of_a_deleted_pod_or_agent_are_dropped(passes, agents):
    agents.responses["10.0.0.0"] = drained()
    await passes.run(in_mode(count=1))
    assert passes.observe(in_mode(count=0))[0].trading.acknowledgements == {}
    agents.responses["10.0.0.0"] = drained()
    await passes.run(in_mode(count=1))
    passes.memories.forget(KEY)
    assert passes.observe(in_mode(count=1))[0].trading.acknowledgements == {}


async def test_agents_that_do_not_respond_block_no_pass_and_use_a_limited_share_of_requests(
    passes, agents, changed
):
    agents.blocked = asyncio.Event()
    observed = in_mode(count=REQUESTS_PER_AGENT + 3)
    passes.ask(observed)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(agents.asked) == REQUESTS_PER_AGENT
    assert passes.requeue_after_s(observed) is None
    passes.ask(observed)
    await asyncio.sleep(0)
    assert (len(agents.asked), changed) == (REQUESTS_PER_AGENT, [])
    agents.blocked.set()
    await passes.run(observed)
    assert len(agents.asked) == REQUESTS_PER_AGENT + 3
    assert changed == [KEY] * (REQUESTS_PER_AGENT + 3)


async def test_requests_to_a_deleted_agent_are_canceled(passes, agents, changed):
    agents.blocked = asyncio.Event()
    passes.ask(in_mode(count=1))
    await asyncio.sleep(0)
    passes.memories.forget(KEY)
    agents.blocked.set()
    await asyncio.sleep(0)
    assert changed == []


async def test_a_pod_that_reports_another_mode_after_four_requests_is_stale(passes, agents, clock):
    agents.responses["10.0.0.0"] = drained(Mode.ACTIVE)
    stale = []
    for _ in range(5):
        stale.append((await passes.run(in_mode(count=2))).trading.stale_pods)
        clock.pass_by(8)
    assert stale == [{}, {}, {}, {"uid-momentum-0": 4}, {"uid-momentum-0": 5}]


async def test_an_unexpected_error_in_a_request_is_logged_and_contained(passes, agents, caplog):
    agents.responses["10.0.0.0"] = None
    del agents.asked
    observed = await passes.run(in_mode(count=1))
    assert observed.trading.acknowledgements == {}
    assert "request to an agent failed unexpectedly" in caplog.text


async def test_terminating_pods_and_pods_without_an_address_are_not_queried(passes, agents):
    observed = await passes.run(in_mode(deleting=True))
    assert agents.asked == []
    assert passes.requeue_after_s(observed) is None
    lost = observed_state(spec={"trading": {"mode": "Halted"}}, pods=[a_pod()])
    await passes.run(lost)
    assert agents.asked == []


async def test_the_end_of_the_grace_period_starts_a_pass(passes, clock):
    observed = in_mode("Stopped", deleting=True)
    observed = await passes.run(observed)
    assert passes.requeue_after_s(observed) == 10.0
    clock.pass_by(10)
    assert passes.requeue_after_s(observed) is None


@pytest.mark.parametrize("step_s", [-7200, 7200])
async def test_a_step_of_the_wall_clock_changes_neither_requests_nor_the_grace_period(
    passes, agents, clock, step_s
):
    observed = await passes.run(in_mode("Stopped"))
    clock.step_s = step_s
    assert passes.requeue_after_s(observed) == 0.5
    clock.pass_by(0.5)
    await passes.run(observed)
    assert len(agents.asked) == 4
    clock.pass_by(9)
    assert not trading_mode.is_overdue(passes.observe(observed)[0])
    clock.pass_by(0.5)
    assert trading_mode.is_overdue(passes.observe(observed)[0])


def with_flatten(observed):
    found = halt(a_halt(level="Stop", flatten=True), operator_namespace="system")
    return replace(observed, halts=(found,))


async def test_a_stop_that_shall_also_flatten_has_a_new_grace_period(passes, agents, clock):
    agents.responses["10.0.0.0"] = drained(Mode.STOPPED)
    observed = await passes.run(in_mode("Stopped", count=1))
    assert trading_mode.may_scale_to_zero(observed)
    clock.pass_by(9)
    observed = await passes.run(with_flatten(in_mode("Stopped", count=1)))
    assert not trading_mode.may_scale_to_zero(observed)
    assert trading_mode.stop_wait_s(observed) == 10
    clock.pass_by(10)
    observed = passes.observe(with_flatten(in_mode("Stopped", count=1)))[0]
    assert trading_mode.may_scale_to_zero(observed)


async def test_acknowledgements_from_before_a_write_of_the_config_map_prove_nothing(
    passes, agents, clock
):
    agents.responses["10.0.0.0"] = drained(Mode.STOPPED)
    observed = await passes.run(in_mode("Stopped", count=1))
    assert not trading_mode.unacknowledged(observed)
    clock.pass_by(4)
    memory = passes.memories.of(KEY, "uid")
    passes.collector.on_written(memory, observed)
    observed, requests = passes.observe(in_mode("Stopped", count=1))
    assert trading_mode.unacknowledged(observed)
    assert requests.outdated == {"uid-momentum-0"}
    # The grace period does not start again.
    assert trading_mode.stop_wait_s(observed) == 6
    passes.collector.on_nudged(memory, nudged("Stopped"))
    assert requests.outdated == set()
    observed = await passes.run(in_mode("Stopped", count=1))
    assert not trading_mode.unacknowledged(observed)


async def test_a_response_from_before_a_nudge_is_not_stale(passes, agents, clock):
    agents.responses["10.0.0.0"] = drained(Mode.ACTIVE)
    for _ in range(5):
        await passes.run(in_mode(count=1))
        clock.pass_by(8)
    memory = passes.memories.of(KEY, "uid")
    memory.mode_requests.outdated.add("uid-momentum-0")
    passes.collector.on_nudged(memory, nudged("Stopped"))
    assert passes.observe(in_mode(count=1))[0].trading.stale_pods == {}


async def test_an_agent_is_asked_soon_after_a_late_nudge(passes, agents, clock):
    passes.collector.on_nudged(passes.memories.of(KEY, "uid"), nudged("Stopped"))
    for _ in range(6):
        await passes.run(in_mode(count=1))
        clock.pass_by(passes.requeue_after_s(in_mode(count=1)))
    memory = passes.memories.of(KEY, "uid")
    await passes.run(in_mode(count=1))
    memory.mode_requests.outdated.add("uid-momentum-0")
    assert passes.requeue_after_s(in_mode(count=1)) == 15.0
    passes.collector.on_nudged(memory, nudged("Stopped"))
    assert passes.requeue_after_s(in_mode(count=1)) == 0.0


@pytest.mark.parametrize(
    ("first", "expected"),
    [
        (nudged(ready=False, waiting="ContainerCreating"), "uid-momentum-0"),
        (nudged(ready=False, waiting="ImagePullBackOff"), "uid-momentum-0"),
        (nudged(ready=False, waiting="ImagePullBackOff", deleting=True), "uid-momentum-0"),
        (nudged(ready=False, node=""), ""),
        (nudged(), ""),
        (nudged(ready=False, waiting="CrashLoopBackOff", restarts=2), ""),
        (nudged("Stopped", ready=False, waiting="ContainerCreating"), None),
    ],
)
async def test_the_first_response_after_the_write_shows_which_pod_mounted_an_earlier_file(
    passes, first, expected
):
    passes.observe(in_mode(count=1))
    memory = passes.memories.of(KEY, "uid")
    passes.collector.on_nudged(memory, first)
    assert memory.mode_requests.mounted.get("momentum-0") == expected
    if expected is not None:
        later = nudged(ready=False, waiting="ContainerCreating")
        later["metadata"]["uid"] = "uid-later"
        passes.collector.on_nudged(memory, later)
        assert memory.mode_requests.mounted == {"momentum-0": expected}
