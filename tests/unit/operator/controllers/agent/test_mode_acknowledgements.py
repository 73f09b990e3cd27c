"""Asking agents, letting volumes grow and touching pods: how often, how many, and what is remembered."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_contract.control import Acknowledgement, Mode
from purpleflea_operator.agent_client.protocol import AgentUnreachableError
from purpleflea_operator.controllers.agent import apply
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    TradingObservation,
    pod,
)
from purpleflea_operator.controllers.agent.decisions.plan import ExpandVolume, RefreshConfigMount
from purpleflea_operator.controllers.agent.decisions.storage import claim
from purpleflea_operator.controllers.agent.mode_acknowledgements import (
    AT_ONCE,
    ModeAcknowledgements,
)
from purpleflea_operator.controllers.agent.volume_expansion import VolumeExpansion
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from support.builders import a_pod
from support.observed_states import observed_state

KEY = NamespacedName("trading", "momentum")
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Clock:
    def __init__(self):
        self.now = START

    def __call__(self):
        return self.now

    def pass_by(self, seconds):
        self.now += timedelta(seconds=seconds)


class Listed:
    """AgentClient that say what stands in a list, by address."""

    def __init__(self):
        self.words = {}
        self.asked = []
        self.hangs = None

    async def control(self, address):
        self.asked.append(address)
        if self.hangs:
            await self.hangs.wait()
        if address not in self.words:
            raise AgentUnreachableError("no answer")
        return self.words[address]


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def agents():
    return Listed()


@pytest.fixture
def concerned():
    """Who is told of answers."""
    return []


@pytest.fixture
async def heard(agents, clock, concerned):
    found = ModeAcknowledgements(agents, concerned.append, now=clock)
    yield found
    found.close()


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


def resting(mode=Mode.HALTED):
    return Acknowledgement(mode=mode, at_rest=True)


async def ask(heard, observed):
    """The observed of the next pass, after all who were asked have answered."""
    heard.ask(heard.remembered(observed, KEY), KEY)
    for _ in range(50):
        await asyncio.sleep(0)
    return heard.remembered(observed, KEY)


async def test_each_agent_is_asked_until_it_has_said_so_and_never_again(heard, agents, clock):
    agents.words["10.0.0.0"] = resting()
    observed = await ask(heard, in_mode())
    assert sorted(agents.asked) == ["10.0.0.0", "10.0.0.1"]
    assert set(observed.trading.words) == {"uid-momentum-0"}
    agents.asked.clear()
    agents.words["10.0.0.1"] = resting()
    clock.pass_by(1)
    observed = await ask(heard, in_mode())
    assert agents.asked == ["10.0.0.1"]
    assert heard.again_after_s(observed, KEY) is None
    clock.pass_by(3600)
    await ask(heard, in_mode())
    assert agents.asked == ["10.0.0.1"]


async def test_a_silent_agent_is_asked_less_and_less_often(heard, agents, clock):
    pauses = []
    for _ in range(8):
        observed = await ask(heard, in_mode(count=1))
        pauses.append(heard.again_after_s(observed, KEY))
        clock.pass_by(pauses[-1])
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0, 15.0]
    assert len(agents.asked) == 8


async def test_a_pass_before_its_turn_asks_nobody(heard, agents):
    await ask(heard, in_mode(count=1))
    await ask(heard, in_mode(count=1))
    assert len(agents.asked) == 1


async def test_a_word_about_another_mode_is_void(heard, agents):
    agents.words["10.0.0.0"] = resting()
    await ask(heard, in_mode(count=1))
    heard.remembered(in_mode("Active", count=1), KEY)
    assert heard.remembered(in_mode(count=1), KEY).trading.words == {}


async def test_a_pod_that_is_gone_is_forgotten_and_so_is_an_agent(heard, agents):
    agents.words["10.0.0.0"] = resting()
    await ask(heard, in_mode(count=1))
    assert heard.remembered(in_mode(count=0), KEY).trading.words == {}
    agents.words["10.0.0.0"] = resting()
    await ask(heard, in_mode(count=1))
    heard.forget(KEY)
    assert heard.remembered(in_mode(count=1), KEY).trading.words == {}


async def test_whoever_does_not_answer_holds_up_no_pass_and_no_more_than_its_share(
    heard, agents, concerned
):
    agents.hangs = asyncio.Event()
    observed = in_mode(count=AT_ONCE + 3)
    heard.ask(heard.remembered(observed, KEY), KEY)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert len(agents.asked) == AT_ONCE
    assert heard.again_after_s(observed, KEY) is None
    heard.ask(heard.remembered(observed, KEY), KEY)
    await asyncio.sleep(0)
    assert (len(agents.asked), concerned) == (AT_ONCE, [])
    agents.hangs.set()
    await ask(heard, observed)
    assert len(agents.asked) == AT_ONCE + 3
    assert concerned == [KEY] * (AT_ONCE + 3)


async def test_an_agent_that_is_gone_is_asked_no_more(heard, agents, concerned):
    agents.hangs = asyncio.Event()
    heard.ask(heard.remembered(in_mode(count=1), KEY), KEY)
    await asyncio.sleep(0)
    heard.forget(KEY)
    agents.hangs.set()
    await asyncio.sleep(0)
    assert concerned == []


async def test_who_still_speaks_of_another_mode_after_a_while_is_told_apart(heard, agents, clock):
    agents.words["10.0.0.0"] = resting(Mode.ACTIVE)
    deaf = []
    for _ in range(5):
        deaf.append((await ask(heard, in_mode(count=2))).trading.deaf)
        clock.pass_by(8)
    assert deaf == [{}, {}, {}, {"uid-momentum-0": 4}, {"uid-momentum-0": 5}]


async def test_a_fault_in_a_question_is_told_and_ends_nothing_else(heard, agents, caplog):
    agents.words["10.0.0.0"] = None
    del agents.asked
    observed = await ask(heard, in_mode(count=1))
    assert observed.trading.words == {}
    assert "asking failed" in caplog.text


async def test_pods_that_are_ending_or_have_no_address_are_not_asked(heard, agents):
    observed = await ask(heard, in_mode(deleting=True))
    assert agents.asked == []
    assert heard.again_after_s(observed, KEY) is None
    lost = observed_state(spec={"trading": {"mode": "Halted"}}, pods=[a_pod()])
    await ask(heard, lost)
    assert agents.asked == []


async def test_the_end_of_the_time_for_coming_to_rest_is_looked_at_on_time(heard, clock):
    observed = in_mode("Stopped", deleting=True)
    observed = await ask(heard, observed)
    assert heard.again_after_s(observed, KEY) == 10.0
    clock.pass_by(10)
    assert heard.again_after_s(observed, KEY) is None


class Volumes:
    """A cluster that lets volumes grow, or not; and takes annotations, or not."""

    def __init__(self):
        self.asked = []
        self.refusal = None

    async def grow(self, ref, size):
        self.asked.append((ref.name, size))
        if self.refusal:
            raise self.refusal
        metadata = {"name": ref.name, "uid": "c", "resourceVersion": "2", "namespace": "trading"}
        return {"kind": "PersistentVolumeClaim", "metadata": metadata}

    async def annotate(self, ref, annotations):
        self.asked.append((ref.name, annotations))
        if self.refusal:
            raise self.refusal


def growths(*names):
    found = [claim({"metadata": {"name": name, "uid": name}}) for name in names]
    return [ExpandVolume(claim=item, size="2Gi") for item in found]


def stored(size="2Gi"):
    return observed_state(spec={"storage": {"size": size}})


@pytest.fixture
def cluster():
    return Volumes()


@pytest.fixture
def growth(cluster, clock):
    return VolumeExpansion(cluster, ObjectCache(), now=clock)


async def test_a_refusal_ends_the_tries_and_is_remembered_for_a_while(cluster, growth, clock):
    cluster.refusal = errors.Forbidden("no")
    assert await growth.grow(growths("a", "b"), KEY) == "no"
    assert cluster.asked == [("a", "2Gi")]
    assert growth.remembered(stored(), KEY).growth_refused == "no"
    assert growth.again_after_s(KEY) == 600.0
    clock.pass_by(600)
    assert growth.remembered(stored(), KEY).growth_refused == ""
    assert growth.again_after_s(KEY) == 0.0
    cluster.refusal = None
    assert await growth.grow(growths("a"), KEY) == ""
    assert growth.again_after_s(KEY) is None


async def test_a_refusal_of_another_size_counts_no_more(cluster, growth):
    cluster.refusal = errors.Invalid("no")
    await growth.grow(growths("a"), KEY)
    assert growth.remembered(stored("3Gi"), KEY).growth_refused == ""
    assert growth.again_after_s(KEY) is None


async def test_a_claim_that_is_gone_needs_no_growth(cluster, growth):
    cluster.refusal = errors.NotFound("gone")
    assert await growth.grow(growths("a", "b"), KEY) == ""
    assert [name for name, _ in cluster.asked] == ["a", "b"]


def nudges():
    return [RefreshConfigMount(pod=pod(a_pod(f"momentum-{n}")), word="Halted") for n in range(3)]


async def test_every_pod_is_told_though_one_is_gone(cluster):
    cluster.refusal = errors.NotFound("gone")
    await apply.refresh_config_mount(cluster, "trading", nudges())
    assert len(cluster.asked) == 3


async def test_a_pod_that_could_not_be_told_is_told_again(cluster):
    cluster.refusal = errors.Unavailable("away")
    with pytest.raises(errors.Unavailable):
        await apply.refresh_config_mount(cluster, "trading", nudges())
    assert len(cluster.asked) == 3
