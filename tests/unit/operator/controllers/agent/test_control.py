"""The writes of the control lane, and the checks that queue an agent in it."""

from datetime import UTC, datetime

import pytest

from purpleflea_contract.control import Mode
from purpleflea_operator.controllers.agent.decisions import control, plan
from purpleflea_operator.controllers.agent.decisions.observed_state import CONTROL_ANNOTATION
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.kube.object_cache import ObjectCache
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.config_map import control_of
from purpleflea_operator.manifests.metadata import Defaults
from support.builders import a_pod, an_agent
from support.observed_states import agent_value

NOW = datetime(2026, 1, 2, tzinfo=UTC)


def desired_config_map(mode="Active", *, uid="agent-uid", **spec):
    agent = agent_value(uid=uid, trading={"mode": mode}, **spec)
    return children(agent, Defaults(image="agent:1"), NO_CONNECTION)[0]


def a_config_map(mode="Active", **changes):
    """The ConfigMap of the agent as the API server stores it."""
    item = desired_config_map(mode, **changes)
    return {
        **item,
        "metadata": {**item["metadata"], "uid": "uid-config-map", "resourceVersion": "7"},
    }


def a_cache(*manifests):
    cache = ObjectCache()
    for item in manifests:
        cache.put(item)
    return cache


def actions_of(resource, *manifests):
    state = control.control_state(resource, a_cache(*manifests), now=NOW)
    return control.control_actions(state)


def halted(**changes):
    return an_agent(trading={"mode": "Halted"}, **changes)


def test_a_new_mode_is_written_before_the_pods_are_annotated():
    pods = [a_pod("momentum-0"), a_pod("momentum-1")]
    write, *refreshes = actions_of(halted(), a_config_map(), *pods)
    assert control_of(write.manifest).mode is Mode.HALTED
    assert write.manifest["metadata"]["uid"] == "uid-config-map"
    assert sorted(item.pod.name for item in refreshes) == ["momentum-0", "momentum-1"]


def test_the_config_map_of_the_lane_is_the_one_of_a_pass():
    (write,) = actions_of(halted(strategy="mean_reversion"), a_config_map())
    desired = desired_config_map("Halted", strategy="mean_reversion")
    assert plan.is_as_desired(desired, write.manifest)


def test_pods_without_the_annotation_are_annotated_if_the_config_map_has_the_mode():
    done = a_pod("momentum-0", annotations={CONTROL_ANNOTATION: "Halted"})
    (refresh,) = actions_of(halted(), a_config_map("Halted"), done, a_pod("momentum-1"))
    assert refresh.pod.name == "momentum-1"
    assert actions_of(halted(), a_config_map("Halted"), done) == ()


def test_the_lane_leaves_other_differences_of_the_config_map_to_a_pass():
    assert actions_of(an_agent(), a_config_map(strategy="mean_reversion")) == ()


def test_a_missing_config_map_is_not_created_by_the_lane():
    assert actions_of(halted(), a_pod()) == ()
    assert actions_of(halted(), a_config_map(uid="former-agent"), a_pod()) == ()


@pytest.mark.parametrize("mode", ["Halted", "Stopped"])
def test_a_request_to_stop_in_an_invalid_spec_is_written(mode):
    invalid = an_agent(strategy="Not Valid", trading={"mode": mode})
    write, refresh = actions_of(invalid, a_config_map(), a_pod())
    assert control_of(write.manifest).mode is Mode(mode)
    assert refresh.nudge == mode


def test_an_invalid_spec_does_not_resume():
    invalid = an_agent(strategy="Not Valid")
    assert actions_of(invalid, a_config_map("Halted"), a_pod()) == ()


def with_trading(trading):
    return {**an_agent(), "spec": {"trading": trading}}


@pytest.mark.parametrize(
    ("resource", "expected"),
    [
        (an_agent(), Mode.ACTIVE),
        (halted(), Mode.HALTED),
        (with_trading({}), Mode.ACTIVE),
        (with_trading("Halted"), Mode.ACTIVE),
        (with_trading({"mode": "Paused"}), None),
        (with_trading({"mode": ["Halted"]}), None),
    ],
)
def test_the_requested_mode_is_read_from_any_spec(resource, expected):
    assert control.requested_mode(resource) is expected


@pytest.mark.parametrize(
    ("resource", "config_maps", "expected"),
    [
        (halted(), [a_config_map()], True),
        (an_agent(), [a_config_map("Stopped")], True),
        (an_agent(), [{**a_config_map(), "data": {}}], True),
        (an_agent(), [{**a_config_map(), "data": None}], True),
        (halted(), [a_config_map("Halted")], False),
        (halted(), [a_config_map(uid="former-agent")], False),
        (halted(), [], False),
        (with_trading({"mode": "Paused"}), [a_config_map()], False),
    ],
)
def test_an_agent_is_queued_if_its_config_map_has_another_mode(resource, config_maps, expected):
    assert control.mode_differs(resource, config_maps) is expected


@pytest.mark.parametrize(
    ("mode", "pod", "expected"),
    [
        ("Halted", a_pod(), True),
        ("Halted", a_pod(annotations={CONTROL_ANNOTATION: "Active"}), True),
        ("Halted", a_pod(annotations={CONTROL_ANNOTATION: "Halted.4"}), False),
        ("Halted", a_pod(deleting=True), False),
        ("Active", a_pod(), False),
        ("Active", a_pod(annotations={CONTROL_ANNOTATION: "Halted"}), True),
        (None, a_pod(annotations={CONTROL_ANNOTATION: "Halted"}), False),
    ],
)
def test_an_agent_is_queued_if_a_pod_lacks_the_annotation(mode, pod, expected):
    config_maps = [] if mode is None else [a_config_map(mode)]
    assert control.lacks_refresh(pod, config_maps) is expected


def test_config_maps_are_compared_by_their_control_file():
    assert control.same_mode(a_config_map(), a_config_map(strategy="mean_reversion"))
    assert not control.same_mode(a_config_map(), a_config_map("Halted"))
