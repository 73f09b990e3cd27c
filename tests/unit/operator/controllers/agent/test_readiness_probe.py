import asyncio

import pytest

from purpleflea_operator import timings
from purpleflea_operator.agent_client.protocol import AgentUnreachableError
from purpleflea_operator.controllers.agent.decisions.observed_state import pod
from purpleflea_operator.controllers.agent.readiness_probe import ReadinessProbe
from purpleflea_operator.kube.object_cache import NamespacedName
from support.builders import a_pod

KEY, UID = NamespacedName("trading", "momentum"), "uid-momentum-0"


class Answers:
    """Agents that answer with the listed reasons; an exception is raised."""

    def __init__(self):
        self.answers = []
        self.asked = 0

    async def not_ready_reason(self, address):
        self.asked += 1
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def agents():
    return Answers()


@pytest.fixture
def changed():
    return []


@pytest.fixture
async def probe(agents, changed):
    found = ReadinessProbe(agents, changed.append, jitter=lambda: 0.5)
    yield found
    found.close()


def an_unready_pod(**changes):
    manifest = a_pod(**{"ready": False, **changes})
    manifest["status"]["podIP"] = "10.1.0.1"
    manifest["status"].setdefault("containerStatuses", [{"state": {"running": {}}}])
    return pod(manifest)


GONE = AgentUnreachableError("no response")


@pytest.mark.parametrize(
    ("answers", "reason", "passes"),
    [
        ([], None, 0),
        (["401"], "401", 1),
        (["401", "401"], "401", 1),
        (["401", "404"], "404", 2),
        (["401", GONE], "", 2),
        # An agent that gives no reason causes no pass.
        ([""], "", 0),
        ([GONE, GONE], "", 0),
        ([None], "", 0),
    ],
)
async def test_only_a_changed_reason_causes_a_pass(probe, agents, changed, answers, reason, passes):
    probe.upsert(KEY, an_unready_pod())
    agents.answers = list(answers)
    for _ in answers:
        assert await probe.probe(UID) == timings.READINESS_INTERVAL_S
    assert probe.reasons([UID, "another"]).get(UID) == reason
    assert changed == [KEY] * passes


@pytest.mark.parametrize("change", [{"ready": True}, {"deleting": True}])
async def test_a_pod_that_is_ready_or_ends_is_not_asked(probe, agents, change):
    probe.upsert(KEY, an_unready_pod())
    agents.answers = ["401"]
    await probe.probe(UID)
    probe.upsert(KEY, an_unready_pod(**change))
    assert await probe.probe(UID) is None
    assert (agents.asked, probe.reasons([UID])) == (1, {})


async def test_a_pod_that_is_deleted_meanwhile_gets_no_reason(probe, agents, changed):
    probe.upsert(KEY, an_unready_pod())

    async def gone(_):
        probe.delete(UID)
        return "401"

    agents.not_ready_reason = gone
    assert await probe.probe(UID) is None
    assert (changed, probe.reasons([UID])) == ([], {})


async def test_it_runs_until_it_is_canceled(probe):
    running = asyncio.create_task(probe.run())
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
