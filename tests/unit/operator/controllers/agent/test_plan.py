from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_contract.control import Mode
from purpleflea_operator.controllers.agent.decisions import plan
from purpleflea_operator.controllers.agent.decisions.drift import is_subset, quantity
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    CONTROL_ANNOTATION,
    TradingObservation,
    pod,
)
from purpleflea_operator.controllers.agent.decisions.storage import VolumeClaim
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Defaults
from support.builders import a_pod
from support.observed_states import agent_value, observed_state


def desired_of(agent):
    return children(agent, Defaults(image="agent:1"), NO_CONNECTION)


def planned(agent, live=(), pods=(), **more):
    observed = observed_state(agent=agent, children=live, pods=pods, **more)
    return plan.actions(desired_of(agent), observed)


def test_unknown_children_are_created_in_sequence():
    found = planned(agent_value())
    assert [type(item) for item in found] == [plan.Create] * 3
    assert [item.manifest["kind"] for item in found] == [
        "ConfigMap",
        "NetworkPolicy",
        "StatefulSet",
    ]


def test_planning_after_applying_is_empty():
    agent = agent_value()
    assert planned(agent, live=deepcopy(desired_of(agent))) == ()


def test_every_action_names_the_object_that_it_writes():
    claim = VolumeClaim(name="state-momentum-0", uid="u", requested="1Gi", storage_class="")
    live = desired_of(agent_value())[-1]
    actions = [
        plan.Apply(manifest=live),
        plan.DeletePod(pod=pod(a_pod())),
        plan.ExpandVolume(claim=claim, size="2Gi"),
        plan.RefreshConfigMount(pod=pod(a_pod()), nudge="Halted"),
    ]
    assert [plan.target(item) for item in actions] == [
        "StatefulSet momentum",
        "Pod momentum-0",
        "PersistentVolumeClaim state-momentum-0",
        "ConfigMap",
    ]


def test_a_volume_that_is_mounted_twice_is_not_drift():
    mounts = [{"name": "x", "mountPath": path} for path in ("/a", "/b")]
    agent = agent_value(pod={"volumes": [{"name": "x", "emptyDir": {}}], "volumeMounts": mounts})
    assert planned(agent, live=deepcopy(desired_of(agent))) == ()


def test_defaults_of_the_api_server_are_not_drift():
    agent = agent_value()
    live = deepcopy(desired_of(agent))
    template = live[-1]["spec"]["template"]["spec"]
    template["restartPolicy"] = "Always"
    template["containers"][0]["terminationMessagePath"] = "/dev/termination-log"
    template["containers"].append({"name": "sidecar", "image": "injected"})
    live[0]["metadata"]["annotations"]["example.com/other"] = "x"
    assert planned(agent, live) == ()


def test_a_change_of_a_field_we_own_is_repaired():
    agent = agent_value()
    live = deepcopy(desired_of(agent))
    live[-1]["spec"]["template"]["spec"]["containers"][0]["image"] = "example.com/other:1"
    (action,) = planned(agent, live)
    assert isinstance(action, plan.Apply)
    assert action.manifest["kind"] == "StatefulSet"


def test_a_removed_managed_field_is_restored():
    agent = agent_value()
    live = deepcopy(desired_of(agent))
    del live[0]["data"]["control.json"]
    assert [item.manifest["kind"] for item in planned(agent, live)] == ["ConfigMap"]


def test_a_change_of_mode_writes_the_config_map_and_nudges_each_pod():
    live = deepcopy(desired_of(agent_value()))
    halted = agent_value(trading={"mode": "Halted"})
    found = planned(halted, live, pods=[a_pod("momentum-0"), a_pod("momentum-1", deleting=True)])
    assert [type(item) for item in found] == [plan.Apply, plan.RefreshConfigMount]
    assert (found[1].pod.name, found[1].nudge) == ("momentum-0", "Halted")


def test_a_request_to_halt_precedes_all_other_writes():
    live = deepcopy(desired_of(agent_value()))
    changed = agent_value(trading={"mode": "Halted"}, replicas=2, network={"policy": "None"})
    found = planned(changed, live, pods=[a_pod("momentum-0")])
    assert [type(item) for item in found][:2] == [plan.Apply, plan.RefreshConfigMount]
    assert found[0].manifest["kind"] == "ConfigMap"


def test_a_pod_is_not_nudged_twice():
    halted = agent_value(trading={"mode": "Halted"})
    live = deepcopy(desired_of(halted))
    assert planned(halted, live, pods=[a_pod(annotations={CONTROL_ANNOTATION: "Halted"})]) == ()


def test_a_stale_pod_is_nudged_again_once_per_request():
    halted = agent_value(trading={"mode": "Halted"})
    live, stale = deepcopy(desired_of(halted)), {"uid-momentum-0": 4}
    nudged = a_pod(annotations={CONTROL_ANNOTATION: "Halted"})
    (again,) = planned(halted, live, pods=[nudged], trading=TradingObservation(stale_pods=stale))
    assert (again.pod.name, again.nudge) == ("momentum-0", "Halted.4")
    nudged = a_pod(annotations={CONTROL_ANNOTATION: "Halted.4"})
    assert planned(halted, live, pods=[nudged], trading=TradingObservation(stale_pods=stale)) == ()
    assert planned(halted, live, pods=[nudged]) == ()


def test_a_pod_older_than_the_active_mode_is_nudged_even_if_it_never_was_before():
    agent = agent_value()
    live, since = deepcopy(desired_of(agent)), datetime(2026, 1, 1, 12, tzinfo=UTC)
    pods = [
        a_pod("momentum-0", created="2026-01-01T11:00:00Z"),
        a_pod("momentum-1", created="2026-01-01T12:00:00Z"),
    ]
    found = planned(agent, live, pods=pods, trading=TradingObservation(since=since))
    assert [(item.pod.name, item.nudge) for item in found] == [("momentum-0", "Active")]


@pytest.mark.parametrize("mode", ["Halted", "Stopped"])
def test_a_request_to_stop_in_an_otherwise_invalid_spec_is_applied(mode):
    observed = observed_state(
        agent=None,
        generation=2,
        invalid="spec.x: no",
        stop_mode=Mode(mode),
        children=desired_of(agent_value()),
        pods=[a_pod()],
    )
    written, nudged = plan.halt_actions(observed)
    assert written.manifest["data"] == {"control.json": f'{{"mode":"{mode}","generation":0}}'}
    # A valid spec with this mode has the same object.
    valid = desired_of(agent_value(trading={"mode": mode}))[0]
    assert written.manifest == valid
    assert (nudged.pod.name, nudged.nudge) == ("momentum-0", mode)
    done = {**observed.children, plan.child_id(valid): valid}
    nudged = pod(a_pod(annotations={CONTROL_ANNOTATION: mode}))
    assert plan.halt_actions(replace(observed, children=done, pods=[nudged])) == ()


def test_an_invalid_spec_without_a_request_to_stop_changes_nothing():
    observed = observed_state(agent=None, pods=[a_pod()])
    assert plan.halt_actions(observed) == ()


@pytest.mark.parametrize(
    ("kind", "spoil"),
    [
        ("NetworkPolicy", lambda spec: spec["podSelector"]["matchLabels"].update(x="y")),
        ("NetworkPolicy", lambda spec: spec["egress"].append({})),
        ("NetworkPolicy", lambda spec: spec["egress"][0]["ports"][0].update(endPort=65535)),
        ("PodDisruptionBudget", lambda spec: spec["selector"]["matchLabels"].update(x="y")),
        ("StatefulSet", lambda spec: spec["template"]["spec"]["nodeSelector"].update(x="y")),
    ],
)
def test_maps_that_the_operator_owns_completely_have_no_additional_entries(kind, spoil):
    agent = agent_value(replicas=2, pod={"nodeSelector": {"disk": "fast"}})
    live = deepcopy(desired_of(agent))
    spoil(next(item for item in live if item["kind"] == kind)["spec"])
    assert [item.manifest["kind"] for item in planned(agent, live)] == [kind]


def test_obsolete_children_are_deleted_before_the_workload_and_its_account_after_it():
    asked = {"serviceAccount": {}}
    live = deepcopy(desired_of(agent_value(replicas=2, pod=asked)))
    changed = agent_value(strategy="mean-reversion", network={"policy": "None"})
    found = planned(changed, live)
    assert [(type(item), item.manifest["kind"]) for item in found if item.manifest["kind"] != "ConfigMap"] == [
        (plan.Delete, "NetworkPolicy"),
        (plan.Delete, "PodDisruptionBudget"),
        (plan.Apply, "StatefulSet"),
        (plan.Delete, "ServiceAccount"),
    ]  # fmt: skip


def test_an_obsolete_child_is_deleted():
    live = deepcopy(desired_of(agent_value()))
    (action,) = planned(agent_value(network={"policy": "None"}), live)
    assert isinstance(action, plan.Delete)
    assert action.manifest["kind"] == "NetworkPolicy"


def test_an_invalid_spec_nudges_no_pod():
    assert plan.actions((), observed_state(agent=None, pods=[a_pod()])) == ()


@pytest.mark.parametrize(
    ("desired", "live"),
    [
        ({"limits": {"cpu": "0.5"}}, {"limits": {"cpu": "500m"}}),
        ({"requests": {"memory": "1024Mi"}}, {"requests": {"memory": "1Gi"}}),
        ({"requests": {"memory": "1k"}}, {"requests": {"memory": "1000"}}),
        ({"sizeLimit": "1024Ki"}, {"sizeLimit": "1Mi"}),
    ],
)
def test_quantities_are_compared_by_value(desired, live):
    assert is_subset(desired, live)


def test_text_that_looks_like_a_quantity_elsewhere_is_compared_as_text():
    assert not is_subset({"value": "0.5"}, {"value": "500m"})


def test_text_that_is_not_a_quantity_is_compared_as_text():
    assert quantity("soon") == "soon"


def test_lists_without_keys_are_compared_in_sequence():
    assert not is_subset(["a", "b"], ["b", "a"])
    assert not is_subset(["a"], ["a", "b"])
    assert not is_subset(["a"], "a")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(JSON)
def test_every_value_is_a_subset_of_itself(value):
    assert is_subset(value, deepcopy(value))


@given(st.dictionaries(st.text(max_size=3), JSON, max_size=3), JSON)
def test_more_fields_than_desired_do_not_matter(value, more):
    assert is_subset(value, {**value, "added by another client": more})


def test_an_empty_list_that_the_server_does_not_store_is_not_drift():
    assert is_subset({"volumeMounts": [], "name": "a"}, {"name": "a"})
    assert not is_subset({"emptyDir": {}, "name": "a"}, {"name": "a"})
