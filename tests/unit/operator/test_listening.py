import pytest

from purpleflea_operator.agents.port import SilentError
from purpleflea_operator.cluster.cache import Key
from purpleflea_operator.runtime.listening import Listening
from support.builders import a_pod

KEY, UID = Key("trading", "momentum"), "uid-momentum-0"


class Agents:
    """Agents that answer what the test says; None is silence."""

    def __init__(self):
        self.answers = []
        self.asked = []

    async def control(self, address):
        raise SilentError(address)

    async def losses(self, address):
        self.asked.append(address)
        answer = self.answers.pop(0)
        if answer is None:
            raise SilentError("no answer")
        return answer


@pytest.fixture
def agents():
    return Agents()


@pytest.fixture
def concerned():
    return []


@pytest.fixture
async def listening(agents, concerned):
    found = Listening(agents, concerned.append, jitter=lambda: 0.0)
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
        ([{"metrics": 7}, {"metrics": 8}], "TelemetryLost"),
        ([{}, {"traces": 1}], "TelemetryLost"),
        ([{"metrics": 7}, {"metrics": 8}, {"metrics": 8}], None),
        ([None], None),
        ([None, None], "AgentsSilent"),
        ([None, None, {}], None),
        ([None, {}, None], None),
    ],
)
async def test_only_what_is_seen_twice_speaks_against_an_agent(listening, agents, answers, finding):
    expected = {} if finding is None else {UID: finding}
    assert await heard(listening, agents, *answers) == expected


async def test_only_a_new_finding_is_worth_a_pass(listening, agents, concerned):
    await heard(listening, agents, {"metrics": 1}, {"metrics": 2}, {"metrics": 3}, {"metrics": 3})
    assert concerned == [KEY, KEY]


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
    listening = Listening(agents, concerned.append, jitter=lambda: 0.0)
    await heard(listening, agents, {"metrics": 1})

    async def gone(address):
        listening.forget(UID)
        return {"metrics": 2}

    agents.losses = gone
    await listening.ask(UID)
    assert (concerned, listening.findings([UID])) == ([], {})
    listening.close()
