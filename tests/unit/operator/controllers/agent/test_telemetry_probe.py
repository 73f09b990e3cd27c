import asyncio

import pytest

from purpleflea_operator.agent_client.protocol import AgentUnreachableError
from purpleflea_operator.controllers.agent.conditions.delivery import Delivery
from purpleflea_operator.controllers.agent.telemetry_probe import TelemetryProbe
from purpleflea_operator.kube.object_cache import NamespacedName
from support.builders import a_pod, an_agent

KEY, UID = NamespacedName("trading", "momentum"), "uid-momentum-0"


class AgentClient:
    """AgentClient that answer what the test says; None is silence."""

    def __init__(self):
        self.answers = []
        self.asked = []

    async def control(self, address):
        raise AgentUnreachableError(address)

    async def losses(self, address):
        self.asked.append(address)
        answer = self.answers.pop(0)
        if answer is None:
            raise AgentUnreachableError("no answer")
        return answer


@pytest.fixture
def agents():
    return AgentClient()


@pytest.fixture
def concerned():
    return []


@pytest.fixture
async def listening(agents, concerned):
    found = TelemetryProbe(agents, concerned.append, jitter=lambda: 0.0)
    yield found
    found.close()


def a_ready_pod(**changes):
    found = a_pod(**changes)
    found["status"]["podIP"] = "10.1.0.1"
    return found


async def heard(listening, agents, *answers):
    """What speaks against the agent after it has given these answers."""
    listening.note(a_ready_pod())
    agents.answers = list(answers)
    for _ in answers:
        await listening.ask(UID)
    return dict(listening.findings([UID, "somebody else"]))


@pytest.mark.parametrize(
    ("answers", "finding"),
    [
        ([{}], None),
        ([{"metrics": 0}, {"metrics": 0}], None),
        # What was lost while the node agent was being started is over.
        ([{"metrics": 7}, {"metrics": 7}], None),
        ([{"metrics": 7}, {"metrics": 8}], Delivery.DROPPING),
        ([{}, {"traces": 1}], Delivery.DROPPING),
        ([{"metrics": 7}, {"metrics": 8}, {"metrics": 8}], None),
        ([], Delivery.PENDING),
        ([None], Delivery.PENDING),
        ([None, None], Delivery.UNREACHABLE),
        ([None, None, {}], None),
        ([None, {}, None], None),
    ],
)
async def test_only_what_is_seen_twice_speaks_against_an_agent(listening, agents, answers, finding):
    expected = {} if finding is None else {UID: finding}
    assert await heard(listening, agents, *answers) == expected


async def test_only_a_new_finding_is_worth_a_pass(listening, agents, concerned):
    await heard(listening, agents, {"metrics": 1}, {"metrics": 2}, {"metrics": 3}, {"metrics": 3})
    # It is heard, it loses, it loses no more.
    assert concerned == [KEY, KEY, KEY]


@pytest.mark.parametrize(
    "pod", [a_pod(), a_ready_pod(ready=False), a_ready_pod(deleting=True)], ids=str
)
async def test_who_has_no_address_or_is_not_ready_is_not_asked(listening, agents, pod):
    listening.note(pod)
    await listening.ask(UID)
    assert agents.asked == []


async def test_an_agent_that_is_no_longer_ready_is_forgotten(listening, agents):
    assert await heard(listening, agents, None, None)
    listening.note(a_ready_pod(ready=False))
    assert listening.findings([UID]) == {}


async def test_a_sweep_forgets_who_is_gone(listening, agents):
    await heard(listening, agents, None, None)
    listening.sweep([])
    assert listening.findings([UID]) == {}


async def test_an_agent_that_goes_while_it_is_asked_is_not_judged(agents, concerned):
    listening = TelemetryProbe(agents, concerned.append, jitter=lambda: 0.0)
    await heard(listening, agents, {"metrics": 1})

    async def gone(address):
        listening.forget(UID)
        return {"metrics": 2}

    agents.losses = gone
    await listening.ask(UID)
    assert (concerned, listening.findings([UID])) == ([KEY], {})
    listening.close()


# After a takeover


def told(reason):
    conditions = [{"type": "TelemetryReady", "status": "False", "reason": reason, "message": "m"}]
    return {**an_agent(), "status": {"conditions": conditions}}


async def heard_after(listening, agents, reason, *answers):
    listening.recall(told(reason))
    return await heard(listening, agents, *answers)


async def test_agents_that_were_well_are_well_until_they_are_asked(listening, agents, concerned):
    assert await heard_after(listening, agents, "Connected", {}) == {}
    assert concerned == []


@pytest.mark.parametrize("reason", ["TelemetryLost", "AgentsSilent"])
@pytest.mark.parametrize(
    ("answers", "finding"),
    [
        ([], Delivery.UNVERIFIED),
        ([{"metrics": 5}], Delivery.UNVERIFIED),
        ([None], Delivery.UNVERIFIED),
        ([{"metrics": 5}, {"metrics": 5}], None),
        ([{"metrics": 5}, {"metrics": 6}], Delivery.DROPPING),
        ([None, None], Delivery.UNREACHABLE),
        ([None, {"metrics": 5}, {"metrics": 5}], None),
    ],
)
async def test_a_bad_word_holds_until_enough_was_heard(listening, agents, reason, answers, finding):
    expected = {} if finding is None else {UID: finding}
    assert await heard_after(listening, agents, reason, *answers) == expected


async def test_agents_of_whom_nothing_was_proven_are_new(listening, agents):
    assert await heard_after(listening, agents, "NodesUncovered") == {UID: Delivery.PENDING}
    listening.recall(an_agent())
    listening.recall({"kind": "Node", "metadata": {"name": "n"}})


async def test_who_turns_ready_later_is_new_whatever_was_said_of_others(listening, agents):
    listening.recall(told("Connected"))
    running = asyncio.create_task(listening.run())
    await asyncio.sleep(0)
    agents.answers = [{}]
    listening.note(a_ready_pod())
    assert listening.findings([UID]) == {UID: Delivery.PENDING}
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(
    ("reason", "answers", "pause_s"),
    [
        ("", [None], 10.0),
        ("", [{}], 30.0),
        ("", [{}, {}], 900.0),
        ("", [{}, {"metrics": 1}], 60.0),
        ("", [{"metrics": 1}, {"metrics": 1}], 60.0),
        ("", [{}, None], 60.0),
        ("", [None, None, None], 900.0),
        ("Connected", [{}], 900.0),
        ("TelemetryLost", [{}], 60.0),
        ("TelemetryLost", [{}, {}], 900.0),
    ],
)
async def test_who_is_in_doubt_is_asked_again_sooner(agents, reason, answers, pause_s):
    listening = TelemetryProbe(agents, lambda key: None, jitter=lambda: 0.5)
    *earlier, last = answers
    await heard_after(listening, agents, reason, *earlier)
    agents.answers = [last]
    assert await listening.ask(UID) == pause_s
    assert await listening.ask("somebody else") is None
    listening.close()
