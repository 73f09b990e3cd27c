import pytest

from kubectl_purpleflea.decisions import control_files
from kubectl_purpleflea.decisions.control_files import (
    Answer,
    Control,
    answer,
    control_of,
    may_trade,
    next_nudge,
    open_work,
    pods_of,
    stronger,
    write,
)
from purpleflea_contract import control_file
from purpleflea_contract.control import Control as ContractControl
from purpleflea_contract.control import Mode
from purpleflea_operator.controllers.agent.decisions import trading_mode
from purpleflea_operator.controllers.agent.decisions.observed_state import CONTROL_ANNOTATION
from purpleflea_operator.manifests import config_map as operator_config_map
from support.builders import a_pod, an_agent

HALTED, STOPPED, FLATTEN = (
    Control(mode=Mode("Halted")),
    Control(mode=Mode("Stopped")),
    Control(mode=Mode("Stopped"), flatten=True),
)
CONTROLS = (Control(mode=Mode("Active")), HALTED, STOPPED, FLATTEN)


def theirs(control):
    return ContractControl(mode=Mode(control.mode), flatten=control.flatten)


def a_config_map(control, *, uid="agent-uid", annotations=None):
    agent = an_agent()
    found = operator_config_map.minimal(agent["metadata"], theirs(control), halted=False)
    found["metadata"] |= {"uid": "map-uid", "resourceVersion": "7"}
    found["metadata"]["ownerReferences"][0]["uid"] = uid
    found["metadata"]["annotations"] = dict(annotations or {})
    return found


@pytest.mark.parametrize("control", CONTROLS)
def test_the_control_file_is_the_one_that_the_operator_writes(control):
    assert control.text() == operator_config_map.control_text(theirs(control))
    assert control_of(a_config_map(control)) == control
    assert control_file.ANNOTATION == CONTROL_ANNOTATION


@pytest.mark.parametrize("control", CONTROLS)
@pytest.mark.parametrize(
    "last",
    [None, "Active", "Halted", "Halted.1", "Halted.x", "Stopped-flatten.9", "Stopped.12345678"],
)
def test_the_annotation_is_the_one_that_the_operator_sets(control, last):
    pod = a_pod("momentum-0", namespace="trading")
    if last is not None:
        pod["metadata"].setdefault("annotations", {})[control_file.ANNOTATION] = last
    assert next_nudge(pod, control) == trading_mode.next_nudge(last, theirs(control))


@pytest.mark.parametrize("live", CONTROLS)
@pytest.mark.parametrize("wanted", [HALTED, STOPPED, FLATTEN])
def test_a_write_never_loosens_the_mode(live, wanted):
    found = write(an_agent(), a_config_map(live), wanted)
    weaker = trading_mode.is_stronger(theirs(live), theirs(wanted))
    assert found.control == stronger(live, wanted) == (live if weaker else wanted)
    metadata = found.patch["metadata"]
    assert (metadata["uid"], metadata["resourceVersion"]) == ("map-uid", "7")
    assert found.patch["data"]["control.json"] == found.control.text()
    assert metadata["annotations"] == {"purpleflea.com/halted": "true"}


def test_nothing_is_written_if_the_config_map_has_the_mode_of_a_halt():
    live = a_config_map(HALTED, annotations={"purpleflea.com/halted": "true"})
    assert write(an_agent(), live, HALTED).patch is None


@pytest.mark.parametrize("content", [None, "", "[]", "{}", '{"mode":"Paused"}', "x" * 10])
def test_a_control_file_that_cannot_be_read_is_replaced(content):
    live = {**a_config_map(HALTED), "data": {"control.json": content}}
    assert write(an_agent(), live, HALTED).patch["data"]["control.json"] == HALTED.text()


def test_a_config_map_of_another_owner_is_not_written():
    found = write(an_agent(), a_config_map(HALTED, uid="other"), HALTED)
    assert "has another owner" in found.problem
    assert found.patch is None


def test_a_missing_config_map_is_the_one_that_the_operator_creates():
    agent = an_agent()
    wanted = operator_config_map.minimal(agent["metadata"], theirs(STOPPED), halted=True)
    assert write(agent, None, STOPPED).create == wanted


def running(name, **status):
    pod = a_pod(name, namespace="trading")
    states = [{"name": "agent", "state": {"running": {}}, "restartCount": 0}]
    pod["status"] = {"phase": "Running", "containerStatuses": states, **status}
    return pod


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        ({}, True),
        ({"phase": "Succeeded"}, False),
        ({"phase": "Failed"}, False),
        ({"containerStatuses": [{"name": "agent", "state": {"waiting": {}}}]}, False),
        (
            {"containerStatuses": [{"name": "agent", "state": {"waiting": {}}, "restartCount": 1}]},
            True,
        ),
        ({"containerStatuses": [{"name": "sidecar", "state": {"running": {}}}]}, False),
        ({"containerStatuses": []}, True),
    ],
)
def test_a_pod_that_started_must_acknowledge(status, expected):
    pod = running("momentum-0", **status)
    pod["spec"] = {**pod.get("spec", {}), "nodeName": "node-1"}
    assert may_trade(pod) is expected


def test_pods_whose_labels_were_removed_are_found_by_their_name():
    labelled, bare = running("momentum-0"), running("momentum-1")
    other, foreign = running("momentum-2"), running("momentum-x-0")
    containers = [{"name": "agent"}]
    for pod in (labelled, bare, foreign):
        pod["spec"] = {"containers": containers}
    other["spec"] = {"containers": [{"name": "web"}]}
    for pod in (bare, other, foreign):
        pod["metadata"]["labels"] = {}
    found = pods_of("trading", "momentum", [bare, labelled, other, foreign])
    assert [item["metadata"]["name"] for item in found] == ["momentum-0", "momentum-1"]


@pytest.mark.parametrize(
    ("body", "control", "halted", "drained"),
    [
        ({"mode": "Halted", "at_rest": True}, HALTED, True, True),
        ({"mode": "Halted", "at_rest": False}, HALTED, True, False),
        ({"mode": "Active", "at_rest": False}, HALTED, False, False),
        ({"mode": "Stopped", "at_rest": True}, HALTED, True, True),
        ({"mode": "Halted", "at_rest": True}, STOPPED, False, False),
        ({"mode": "Stopped", "at_rest": True}, FLATTEN, True, False),
        ({"mode": "Stopped", "at_rest": True, "flattened": True}, FLATTEN, True, True),
        ({"mode": "Stopped", "at_rest": True, "flattened": False}, FLATTEN, True, False),
        ({"mode": "Halted"}, HALTED, False, False),
        ({"mode": "Halted", "at_rest": "yes"}, HALTED, False, False),
        ({"mode": "halted", "at_rest": True}, HALTED, False, False),
        ([], HALTED, False, False),
        (None, HALTED, False, False),
    ],
)
def test_only_an_answer_with_the_mode_proves_it(body, control, halted, drained):
    found = answer(body)
    assert (not open_work(found, control, drained=False)) is halted
    assert (not open_work(found, control, drained=True)) is drained


def test_the_answer_names_what_is_open():
    found = answer({"mode": "Stopped", "at_rest": False, "left_undone": "1 order is open"})
    assert open_work(found, STOPPED, drained=True) == "1 order is open"
    assert "timed out" in open_work(Answer(error="timed out"), STOPPED, drained=False)


def test_a_restart_count_that_is_not_a_number_counts_as_none():
    assert control_files.number_of_restarts({"restartCount": "3"}) == 0
