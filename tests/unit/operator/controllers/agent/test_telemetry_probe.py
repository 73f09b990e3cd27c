import asyncio

import pytest

from purpleflea_contract.status_report import StatusReport
from purpleflea_operator.agent_client.protocol import AgentUnreachableError
from purpleflea_operator.controllers.agent.decisions.conditions.delivery import Delivery
from purpleflea_operator.controllers.agent.telemetry_probe import TelemetryProbe
from purpleflea_operator.kube.object_cache import NamespacedName
from support.builders import a_pod, an_agent

KEY, UID = NamespacedName("trading", "momentum"), "uid-momentum-0"


class Responses:
    """A client of agents that returns the listed responses; None means that the agent does not respond."""

    def __init__(self):
        self.responses = []
        self.asked = []

    async def control(self, address):
        raise AgentUnreachableError(address)

    async def status(self, address):
        self.asked.append(address)
        response = self.responses.pop(0)
        if response is None:
            raise AgentUnreachableError("no response")
        if isinstance(response, list):
            response = {"position_mismatches": response, "telemetry_dropped_by_signal": {}}
        else:
            response = {"telemetry_dropped_by_signal": response}
        return StatusReport.model_validate(response)

    async def not_ready_reason(self, address):
        return (await self.status(address)) and ""


@pytest.fixture
def agents():
    return Responses()


@pytest.fixture
def changed():
    return []


@pytest.fixture
async def probe(agents, changed):
    found = TelemetryProbe(agents, changed.append, jitter=lambda: 0.0)
    yield found
    found.close()


def a_ready_pod(**changes):
    found = a_pod(**changes)
    found["status"]["podIP"] = "10.1.0.1"
    return found


async def findings_after(probe, agents, *responses):
    """Return the findings after the agent has sent these responses."""
    probe.upsert(a_ready_pod())
    agents.responses = list(responses)
    for _ in responses:
        await probe.probe(UID)
    return dict(probe.findings([UID, "another pod"]))


@pytest.mark.parametrize(
    ("responses", "finding"),
    [
        ([{}], None),
        ([{"metrics": 0}, {"metrics": 0}], None),
        # Drops while the node agent started are over.
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
async def test_a_finding_needs_two_observations(probe, agents, responses, finding):
    expected = {} if finding is None else {UID: finding}
    assert await findings_after(probe, agents, *responses) == expected


async def test_only_a_changed_finding_causes_a_pass(probe, agents, changed):
    await findings_after(
        probe, agents, {"metrics": 1}, {"metrics": 2}, {"metrics": 3}, {"metrics": 3}
    )
    # Delivering, dropping, delivering again.
    assert changed == [KEY, KEY, KEY]


@pytest.mark.parametrize(
    "pod", [a_pod(), a_ready_pod(ready=False), a_ready_pod(deleting=True)], ids=str
)
async def test_a_pod_without_an_address_or_that_is_not_ready_is_not_probed(probe, agents, pod):
    probe.upsert(pod)
    await probe.probe(UID)
    assert agents.asked == []


async def test_a_pod_that_becomes_unready_is_removed(probe, agents):
    assert await findings_after(probe, agents, None, None)
    probe.upsert(a_ready_pod(ready=False))
    assert probe.findings([UID]) == {}


async def test_a_pod_that_is_deleted_during_its_probe_gets_no_finding(agents, changed):
    probe = TelemetryProbe(agents, changed.append, jitter=lambda: 0.0)
    await findings_after(probe, agents, {"metrics": 1})

    async def gone(address):
        probe.delete(UID)
        return StatusReport(telemetry_dropped_by_signal={"metrics": 2})

    agents.status = gone
    await probe.probe(UID)
    assert (changed, probe.findings([UID])) == ([KEY], {})
    probe.close()


# After a change of leader


def with_reason(reason):
    conditions = [{"type": "TelemetryReady", "status": "False", "reason": reason, "message": "m"}]
    return {**an_agent(), "status": {"conditions": conditions}}


async def restored_after(probe, agents, reason, *responses):
    probe.restore(with_reason(reason))
    return await findings_after(probe, agents, *responses)


async def test_connected_agents_stay_connected_until_they_are_probed(probe, agents, changed):
    assert await restored_after(probe, agents, "Connected", {}) == {}
    assert changed == []


@pytest.mark.parametrize("reason", ["TelemetryLost", "AgentsSilent"])
@pytest.mark.parametrize(
    ("responses", "finding"),
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
async def test_a_reported_problem_is_kept_until_two_responses_disprove_it(
    probe, agents, reason, responses, finding
):
    expected = {} if finding is None else {UID: finding}
    assert await restored_after(probe, agents, reason, *responses) == expected


async def test_agents_without_a_confirmed_result_are_new(probe, agents):
    assert await restored_after(probe, agents, "NodesUncovered") == {UID: Delivery.PENDING}
    probe.restore(an_agent())
    probe.restore({"kind": "Node", "metadata": {"name": "n"}})


async def test_a_pod_that_becomes_ready_later_is_new_whatever_the_status_reports(probe, agents):
    probe.restore(with_reason("Connected"))
    running = asyncio.create_task(probe.run())
    await asyncio.sleep(0)
    agents.responses = [{}]
    probe.upsert(a_ready_pod())
    assert probe.findings([UID]) == {UID: Delivery.PENDING}
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


@pytest.mark.parametrize(
    ("reason", "responses", "pause_s"),
    [
        ("", [None], 10.0),
        ("", [{}], 30.0),
        ("", [{}, {}], 300.0),
        ("", [{}, {"metrics": 1}], 60.0),
        ("", [{"metrics": 1}, {"metrics": 1}], 60.0),
        ("", [{}, None], 60.0),
        ("", [None, None], 60.0),
        ("", [None, None, None], 120.0),
        ("", [None] * 6, 300.0),
        ("", [None] * 50, 300.0),
        ("", [{}, {"metrics": 1}, {"metrics": 2}], 60.0),
        ("", [{}, []], 300.0),
        # A mismatch is asked again soon, so that its condition clears by itself.
        ("", [{}, ["BTC-USD"]], 60.0),
        ("", [["BTC-USD"], ["BTC-USD"]], 60.0),
        ("", [["BTC-USD"], []], 300.0),
        ("Connected", [{}], 300.0),
        ("TelemetryLost", [{}], 15.0),
        ("TelemetryLost", [None], 60.0),
        ("TelemetryLost", [{}, {}], 300.0),
    ],
)
async def test_pods_with_an_unconfirmed_finding_are_probed_sooner(
    agents, reason, responses, pause_s
):
    probe = TelemetryProbe(agents, lambda key: None, jitter=lambda: 0.5)
    *earlier, last = responses
    await restored_after(probe, agents, reason, *earlier)
    agents.responses = [last]
    assert await probe.probe(UID) == pause_s
    assert await probe.probe("another pod") is None
    probe.close()


# After the node agent became ready


@pytest.mark.parametrize(
    ("before", "after", "finding"),
    [
        # Drops until the node agent was ready do not count.
        ([{"metrics": 1}, {"metrics": 9}], [{"metrics": 12}, {"metrics": 12}], None),
        ([{"metrics": 1}, {"metrics": 9}], [{"metrics": 12}, {"metrics": 13}], Delivery.DROPPING),
        ([{"metrics": 1}, {"metrics": 9}], [{"metrics": 12}], Delivery.UNVERIFIED),
        ([{"metrics": 1}, {"metrics": 9}], [], Delivery.UNVERIFIED),
        # The node agent has nothing to do with these findings.
        ([None, None], [], Delivery.UNREACHABLE),
        ([{}], [], None),
        ([], [], Delivery.PENDING),
    ],
)
async def test_a_pod_that_dropped_telemetry_is_verified_when_its_node_agent_is_ready(
    probe, agents, before, after, finding
):
    await findings_after(probe, agents, *before)
    probe.verify([UID, "another pod"])
    agents.responses = list(after)
    for _ in after:
        await probe.probe(UID)
    assert probe.findings([UID]) == ({} if finding is None else {UID: finding})


# Mismatches of positions


@pytest.mark.parametrize(
    ("responses", "mismatches", "passes"),
    [
        ([], None, 0),
        ([None], None, 0),
        ([[]], (), 1),
        ([["BTC-USD"]], ("BTC-USD",), 1),
        ([["ETH-USD", "BTC-USD"], ["BTC-USD", "ETH-USD"]], ("BTC-USD", "ETH-USD"), 1),
        ([["BTC-USD"], []], (), 2),
        # An agent that does not answer proves nothing.
        ([["BTC-USD"], None], ("BTC-USD",), 1),
        ([[], ["BTC-USD"], ["BTC-USD"], []], (), 3),
    ],
)
async def test_a_change_of_the_mismatches_causes_a_pass(
    probe, agents, changed, responses, mismatches, passes
):
    await findings_after(probe, agents, *responses)
    assert probe.mismatches([UID]).get(UID) == mismatches
    assert len(changed) == passes
