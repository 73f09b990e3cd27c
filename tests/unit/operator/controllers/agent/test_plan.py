from copy import deepcopy
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from purpleflea_contract.control import Mode
from purpleflea_operator.controllers.agent.decisions import plan
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


def test_every_action_names_the_object_that_it_writes_and_differs_from_other_actions():
    claim = VolumeClaim(name="state-momentum-0", uid="u", requested="1Gi", storage_class="")
    live = deepcopy(desired_of(agent_value())[-1])
    live["metadata"]["uid"] = "set"
    actions = [
        plan.Create(manifest=live),
        plan.Apply(manifest=desired_of(agent_value(replicas=7))[-1]),
        plan.Delete(manifest=live),
        plan.DeletePod(pod=pod(a_pod())),
        plan.ExpandVolume(claim=claim, size="2Gi"),
        plan.RefreshConfigMount(pod=pod(a_pod()), nudge="Halted"),
    ]
    assert [plan.target(item) for item in actions] == [
        *["StatefulSet momentum"] * 3,
        "Pod momentum-0",
        "PersistentVolumeClaim state-momentum-0",
        "ConfigMap",
    ]
    assert len({plan.wanted(item) for item in actions}) == len(actions)


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


def test_only_the_first_nudge_is_performed_because_the_lane_sends_all():
    apply = plan.Apply(manifest={"kind": "Service"})
    first, second = (plan.RefreshConfigMount(pod=pod(a_pod()), nudge=text) for text in "ab")
    assert list(plan.without_repeats([first, second, apply])) == [first, apply]
