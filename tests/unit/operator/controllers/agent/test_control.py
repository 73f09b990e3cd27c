"""The writes of the control lane, and the checks that queue an agent in it."""

from datetime import UTC, datetime

import pytest

from purpleflea_contract import kubernetes
from purpleflea_contract.control import Control, Mode
from purpleflea_operator.controllers.agent.decisions import control, plan
from purpleflea_operator.controllers.agent.decisions.observed_state import CONTROL_ANNOTATION
from purpleflea_operator.controllers.agent.decisions.remembered import Remembered
from purpleflea_operator.controllers.halt.decisions.halt import halt
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.kube.object_cache import ObjectCache
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.config_map import control_of
from purpleflea_operator.manifests.metadata import Defaults
from support.builders import a_halt, a_pod, an_agent
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


def without_labels(item):
    return {
        **item,
        "metadata": {**item["metadata"], "labels": {"app.kubernetes.io/instance": "momentum"}},
    }


def terminating(item):
    return {**item, "metadata": {**item["metadata"], "deletionTimestamp": "2026-01-01T00:00:00Z"}}


CONFIG_MAPS = {
    "as desired": [a_config_map()],
    "missing": [],
    "of a former agent": [a_config_map(uid="former-agent")],
    "without a control file": [{**a_config_map(), "data": {}}],
    "without data": [{**a_config_map(), "data": None}],
    "with an unreadable control file": [{**a_config_map(), "data": {"control.json": "{"}}],
    "without most labels": [without_labels(a_config_map())],
    "being deleted": [terminating(a_config_map())],
}
AGENTS = {
    "valid": an_agent(),
    "invalid": an_agent(strategy="Not Valid"),
    "of another type": {**an_agent(), "spec": {"strategy": 7}},
    "without a spec": {key: item for key, item in an_agent().items() if key != "spec"},
    "with a newer field": an_agent(later=True),
    "being deleted": terminating(an_agent()),
    "invalid and being deleted": terminating(an_agent(strategy="Not Valid")),
}
REQUESTS = {
    "Halted": (None, "Halted"),
    "Stopped": (None, "Stopped"),
    "Halt": (a_halt(), "Halted"),
    "Stop": (a_halt(level="Stop"), "Stopped"),
    "flatten": (a_halt(level="Stop", flatten=True), "Stopped"),
}


class OneHalt:
    """A halt that selects each agent."""

    def __init__(self, found):
        self._found = [] if found is None else [halt(found, operator_namespace="system")]

    def of(self, namespace, name, labels):
        return tuple(self._found)

    def are_known(self, namespace):
        return True

    def unread_reason(self, namespace):
        return ""


@pytest.mark.parametrize("request_name", REQUESTS)
@pytest.mark.parametrize("agent", AGENTS)
@pytest.mark.parametrize("config_map", CONFIG_MAPS)
def test_a_halt_is_written_for_each_agent_that_has_pods(config_map, agent, request_name):
    """Whatever else is wrong with the agent or with its ConfigMap."""
    found, mode = REQUESTS[request_name]
    resource, halts = AGENTS[agent], OneHalt(found)
    if found is None:
        spec = resource.get("spec", {})
        resource = {**resource, "spec": {**spec, "trading": {"mode": mode}}}
    config_maps = CONFIG_MAPS[config_map]
    state = control.control_state(resource, a_cache(*config_maps, a_pod()), now=NOW, halts=halts)
    write, refresh = control.control_actions(state)
    is_new = config_map in ("missing", "of a former agent")
    assert isinstance(write, plan.Create if is_new else plan.Apply)
    written = control_of(write.manifest)
    assert (written.mode, written.flatten) == (mode, request_name == "flatten")
    metadata = write.manifest["metadata"]
    assert (metadata["namespace"], metadata["name"]) == ("trading", "momentum")
    assert [item["uid"] for item in metadata["ownerReferences"]] == ["agent-uid"]
    assert refresh.pod.name == "momentum-0"
    assert control.mode_differs(resource, config_maps, halts, has_pods=True)


def test_the_lane_creates_no_config_map_for_an_agent_without_pods_or_in_mode_active():
    assert actions_of(halted()) == ()
    assert actions_of(halted(), a_pod(deleting=True)) == ()
    assert actions_of(an_agent(), a_pod()) == ()
    assert actions_of(an_agent(strategy="Not Valid"), a_pod()) == ()


def sent(mode, version="7"):
    """A write that may still be processed."""
    item = a_config_map(mode)
    return {**item, "metadata": {**item["metadata"], "resourceVersion": version}}


@pytest.mark.parametrize(
    ("mode", "unsettled", "is_written"),
    [
        ("Halted", sent("Active"), True),
        ("Stopped", sent("Active"), True),
        ("Stopped", sent("Halted"), True),
        ("Halted", sent("Stopped"), False),
        ("Halted", sent("Halted"), False),
        ("Halted", sent("Active", version="6"), False),
        ("Active", sent("Active"), False),
        ("Halted", None, False),
    ],
)
def test_a_halt_is_written_again_if_a_write_of_a_weaker_mode_may_follow(
    mode, unsettled, is_written
):
    resource = an_agent(trading={"mode": mode})
    pod = a_pod(annotations={CONTROL_ANNOTATION: mode})
    state = control.control_state(resource, a_cache(a_config_map(mode), pod), now=NOW)
    writes = [
        item for item in control.control_actions(state, unsettled) if isinstance(item, plan.Apply)
    ]
    assert bool(writes) is is_written
    for write in writes:
        metadata = write.manifest["metadata"]
        assert metadata["annotations"][kubernetes.ANNOTATION_SUPERSEDES] == "7"
        # The write must not be rejected because the cache is outdated.
        assert "resourceVersion" not in metadata
        assert plan.is_as_desired(desired_config_map(mode), write.manifest)


@pytest.mark.parametrize(
    ("live", "mode", "names_the_version"),
    [
        ("Active", "Halted", False),
        ("Active", "Stopped", False),
        ("Halted", "Stopped", False),
        ("Halted", "Active", True),
        ("Stopped", "Active", True),
        ("Stopped", "Halted", True),
    ],
)
def test_only_a_write_that_loosens_the_mode_names_the_version_that_it_replaces(
    live, mode, names_the_version
):
    write, *_ = actions_of(an_agent(trading={"mode": mode}), a_config_map(live))
    assert ("resourceVersion" in write.manifest["metadata"]) is names_the_version


def test_of_two_unsettled_writes_over_one_version_the_weaker_one_counts():
    assert control.weaker_of(None, sent("Halted")) == sent("Halted")
    assert control.weaker_of(sent("Active"), sent("Halted")) == sent("Active")
    assert control.weaker_of(sent("Halted"), sent("Active")) == sent("Active")
    assert control.weaker_of(sent("Active"), sent("Halted", "8")) == sent("Halted", "8")


@pytest.mark.parametrize(
    ("last", "mode", "value"),
    [
        ("Halted", "Halted", "Halted.1"),
        ("Halted.4", "Halted", "Halted.5"),
        ("Halted.x", "Halted", "Halted.1"),
        ("Active", "Halted", "Halted"),
        (None, "Active", "Active"),
        ("Active", "Active", "Active.1"),
    ],
)
def test_pods_are_nudged_again_if_the_config_map_had_another_mode(last, mode, value):
    pod = a_pod(annotations={} if last is None else {CONTROL_ANNOTATION: last})
    memory = Remembered(
        control=Control(mode=mode), delivered_at=NOW, outdated={"uid-momentum-0", "uid-gone"}
    )
    cache = a_cache(a_config_map(mode), pod)
    resource = an_agent(trading={"mode": mode})
    state = control.control_state(resource, cache, now=NOW, remembered=memory)
    assert state.trading.outdated_pods == {"uid-momentum-0"}
    assert [item.nudge for item in control.control_actions(state)] == [value]


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


def may_be_outdated(mode, live, *manifests, decide=control.tightening_actions, **changes):
    """The control file that is written from a resource that may be outdated, and the other actions."""
    resource = an_agent(trading={"mode": mode}, **changes)
    existing = [] if live is None else [a_config_map(live)]
    state = control.control_state(resource, a_cache(*existing, *manifests), now=NOW)
    actions = decide(state, None)
    writes = [item for item in actions if not isinstance(item, plan.RefreshConfigMount)]
    assert all(
        item.manifest["metadata"].get("resourceVersion") == "7"
        for item in writes
        if isinstance(item, plan.Apply)
    )
    return [control_of(item.manifest).mode for item in writes], len(actions) - len(writes)


@pytest.mark.parametrize(
    ("mode", "live", "expected"),
    [
        ("Active", "Active", ([], 0)),
        ("Active", "Halted", ([], 0)),
        ("Active", "Stopped", ([], 0)),
        ("Halted", "Active", (["Halted"], 1)),
        ("Halted", "Halted", ([], 1)),
        ("Halted", "Stopped", ([], 0)),
        ("Stopped", "Active", (["Halted"], 1)),
        ("Stopped", "Halted", ([], 0)),
        ("Stopped", "Stopped", ([], 1)),
        ("Stopped", None, (["Halted"], 1)),
        ("Active", None, ([], 0)),
    ],
)
def test_a_resource_that_may_be_outdated_changes_active_to_halted_and_nothing_else(
    mode, live, expected
):
    assert may_be_outdated(mode, live, a_pod("momentum-0")) == expected


def test_an_outdated_resource_that_is_invalid_changes_nothing():
    assert may_be_outdated("Active", "Active", strategy="Not Valid") == ([], 0)


def test_no_write_replaces_a_config_map_that_is_outdated_in_the_cache():
    decide = control.versioned_actions
    assert may_be_outdated("Halted", "Active", decide=decide) == (["Halted"], 0)
    assert may_be_outdated("Stopped", "Active", decide=decide) == (["Stopped"], 0)
    assert may_be_outdated("Active", "Halted", decide=decide) == (["Active"], 0)
    assert may_be_outdated("Halted", None, a_pod("momentum-0"), decide=decide) == (["Halted"], 1)
