"""Conditions from the reports of agents: why they are not ready, and mismatches of their positions."""

from dataclasses import replace

import pytest

from purpleflea_operator.controllers.agent.decisions.conditions.positions_consistent import (
    positions_consistent,
)
from purpleflea_operator.controllers.agent.decisions.conditions.progressing import progressing
from purpleflea_operator.controllers.agent.decisions.conditions.summary import findings
from purpleflea_operator.controllers.agent.decisions.conditions.workload_available import (
    workload_available,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import AgentPod, pod
from support.builders import a_pod
from support.observed_states import a_stateful_set, observed_state

REFUSED = "the trading service refuses the API key (401): check the Secret of spec.api.keySecretRef"


def an_unready_pod(number: int = 0) -> AgentPod:
    found = a_pod(f"momentum-{number}", ready=False)
    found["status"]["containerStatuses"] = [{"state": {"running": {}}}]
    return pod(found)


def unready(count=1, **changes):
    pods = tuple(an_unready_pod(number) for number in range(count))
    observed = observed_state(stateful_set=a_stateful_set(count, ready=0))
    return replace(observed, pods=pods, **changes)


def outcome(finding):
    return finding.status, str(finding.reason), finding.message


def test_an_agent_that_is_not_ready_is_named_with_its_reason():
    observed = unready(not_ready={"uid-momentum-0": REFUSED})
    expected = f"0/1 agents are ready; momentum-0 is not ready: {REFUSED}"
    assert outcome(workload_available(observed)) == ("False", "NotReady", expected)
    ready = findings(observed)[0]
    assert (ready.type, ready.reason, ready.message) == ("Ready", "NotReady", expected)


def test_the_first_agent_with_a_reason_is_named():
    observed = unready(3, not_ready={"uid-momentum-0": "", "uid-momentum-2": REFUSED})
    assert "momentum-2 is not ready" in workload_available(observed).message


@pytest.mark.parametrize("reasons", [{}, {"uid-momentum-0": ""}, {"another": REFUSED}])
def test_an_agent_without_a_reason_is_only_unready(reasons):
    assert workload_available(unready(not_ready=reasons)).reason == "Progressing"


def test_a_problem_of_the_kubelet_comes_first():
    crashing = replace(an_unready_pod(), waiting="CrashLoopBackOff")
    observed = replace(unready(not_ready={"uid-momentum-0": REFUSED}), pods=(crashing,))
    assert workload_available(observed).reason == "CrashLooping"


def test_a_reason_of_a_ready_pod_is_not_reported():
    ready = replace(an_unready_pod(), ready=True)
    observed = replace(unready(not_ready={"uid-momentum-0": REFUSED}), pods=(ready,))
    assert workload_available(observed).reason == "Progressing"


BEFORE = {
    "reason": "NotReady",
    "status": "False",
    "message": f"0/1 agents are ready; momentum-0 is not ready: {REFUSED}",
}


@pytest.mark.parametrize(
    ("reasons", "reason"),
    [({}, "NotReady"), ({"uid-momentum-0": ""}, "Progressing")],
    ids=["not asked yet", "asked"],
)
def test_a_started_operator_keeps_the_reason_until_it_has_asked(reasons, reason):
    found = workload_available(unready(not_ready=reasons, available_condition=BEFORE))
    assert found.reason == reason
    if reason == "NotReady":
        assert found.message == BEFORE["message"]


def test_a_rollout_is_not_stopped_by_an_exchange_that_fails():
    assert progressing(unready(not_ready={"uid-momentum-0": REFUSED})).reason == "RollingOut"


# Mismatches


def running(mismatches, **changes):
    pods = tuple(pod(a_pod(f"momentum-{number}")) for number in range(2))
    observed = observed_state(stateful_set=a_stateful_set(2))
    return replace(observed, pods=pods, mismatches=mismatches, **changes)


DIFFERED = {"status": "False", "reason": "PositionsDiffer", "message": "momentum-1: BTC-USD"}
AGREED = {"status": "True", "reason": "PositionsAgree", "message": "they agree"}
BOTH = {"uid-momentum-0": (), "uid-momentum-1": ()}


@pytest.mark.parametrize("mismatches", [{}, BOTH])
def test_an_agent_without_a_mismatch_has_no_condition(mismatches):
    assert positions_consistent(running(mismatches)) == ()


def test_a_mismatch_names_agent_and_markets():
    observed = running({**BOTH, "uid-momentum-1": ("ETH-USD", "BTC-USD")})
    (found,) = positions_consistent(observed)
    assert (found.status, found.reason) == ("False", "PositionsDiffer")
    assert "momentum-1: BTC-USD, ETH-USD" in found.message
    assert findings(observed)[-1] == found
    assert findings(observed)[0].reason != "PositionsDiffer"  # the agents still trade


@pytest.mark.parametrize(
    ("mismatches", "before", "status"),
    [
        (BOTH, DIFFERED, "True"),
        (BOTH, AGREED, "True"),
        ({}, AGREED, "True"),
        # A started operator, or a pod that was replaced: nothing proves that the mismatch has ended.
        ({}, DIFFERED, "False"),
        ({"uid-momentum-0": ()}, DIFFERED, "False"),
    ],
)
def test_the_condition_clears_when_all_agents_have_answered(mismatches, before, status):
    (found,) = positions_consistent(running(mismatches, positions_condition=before))
    assert found.status == status
    if status == "False":
        assert found.message == DIFFERED["message"]


def test_a_fleet_without_pods_has_no_condition_because_no_agent_can_answer():
    observed = replace(running({}, positions_condition=DIFFERED), pods=())
    assert positions_consistent(observed) == ()


def test_a_pod_that_ends_does_not_keep_the_condition():
    gone = replace(pod(a_pod("momentum-1")), deleting=True)
    observed = running({"uid-momentum-0": ()}, positions_condition=DIFFERED)
    (found,) = positions_consistent(replace(observed, pods=(observed.pods[0], gone)))
    assert found.status == "True"
