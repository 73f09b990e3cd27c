"""Planning after applying returns no action, from any observed state to any spec."""

from copy import deepcopy
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from purpleflea_operator.controllers.agent.decisions import plan
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    CONTROL_ANNOTATION,
)
from purpleflea_operator.datadog.detection.connection import (
    NO_CONNECTION,
    Connection,
    ConnectionMode,
)
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Defaults
from support.builders import a_pod
from support.observed_states import agent_value, observed_state

QUANTITIES = st.sampled_from(["250m", "0.5", "1", "64Mi", "1Gi", "1024Mi"])
SPECS = st.fixed_dictionaries(
    {},
    optional={
        "replicas": st.integers(0, 5),
        "strategy": st.sampled_from(["momentum", "mean-reversion"]),
        "markets": st.lists(
            st.sampled_from(["BTC-USD", "ETH-USD", "SOL-USD"]), min_size=1, max_size=3, unique=True
        ),
        "trading": st.fixed_dictionaries(
            {"mode": st.sampled_from(["Active", "Halted", "Stopped"])}
        ),
        "image": st.sampled_from(
            [
                {"repository": "a/b", "tag": "1"},
                {"repository": "a/b", "digest": "sha256:" + "a" * 64},
            ]
        ),
        "network": st.fixed_dictionaries({"policy": st.sampled_from(["Enforce", "None"])}),
        "datadog": st.fixed_dictionaries(
            {},
            optional={
                "env": st.sampled_from(["production", "staging"]),
                "connection": st.sampled_from(["Auto", "Disabled"]),
                "openMetrics": st.fixed_dictionaries({"enabled": st.booleans()}),
            },
        ),
        "pod": st.fixed_dictionaries(
            {
                "resources": st.fixed_dictionaries(
                    {
                        "limits": st.dictionaries(
                            st.sampled_from(["memory"]), st.sampled_from(["256Mi", "1Gi"])
                        )
                    }
                )
            }
        ),
    },
)
CONNECTIONS = st.sampled_from(
    [
        NO_CONNECTION,
        Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=8125, apm_port=8126),
        Connection(mode=ConnectionMode.HOST_IP, dogstatsd_port=18125),
        Connection(
            mode=ConnectionMode.SERVICE, host="dd.datadog.svc.cluster.local", dogstatsd_port=8125
        ),
    ]
)
DESIRED = st.tuples(SPECS, CONNECTIONS)


def agent_of(spec):
    return agent_value(**spec)


def desired_of(target):
    spec, connection = target
    return children(agent_of(spec), Defaults(image="agent:1"), connection)


def with_defaults(manifest):
    """Return a manifest as the API server stores it, with defaults and fields of other clients."""
    found = deepcopy(manifest)
    found["metadata"] |= {"uid": f"uid-{found['kind']}", "resourceVersion": "7"}
    found["metadata"].setdefault("annotations", {})["example.com/other"] = "x"
    if found["kind"] == "StatefulSet":
        found["spec"]["revisionHistoryLimit"] = found["spec"].get("revisionHistoryLimit", 10)
        template = found["spec"]["template"]["spec"]
        template["schedulerName"] = "default-scheduler"
        for container in template["containers"]:
            container["terminationMessagePath"] = "/dev/termination-log"
        template["containers"].append({"name": "sidecar", "image": "injected"})
    return found


def performed(actions, observed):
    """Return the observed state after the actions."""
    live, pods = dict(observed.children), {item.name: item for item in observed.pods}
    for action in actions:
        match action:
            case plan.Create(manifest=manifest) | plan.Apply(manifest=manifest):
                live[plan.child_id(manifest)] = with_defaults(manifest)
            case plan.Delete(manifest=manifest):
                del live[plan.child_id(manifest)]
            case plan.RefreshConfigMount(pod=nudged, nudge=nudge):
                pods[nudged.name] = replace(nudged, last_nudge=nudge)
    return replace(observed, children=live, pods=tuple(pods.values()))


def stored(spec, live=(), modes=()):
    """The agent with its children as the API server stores them, and pods that were sent `modes`."""
    pods = [
        a_pod(f"momentum-{number}", annotations={CONTROL_ANNOTATION: mode} if mode else {})
        for number, mode in enumerate(modes)
    ]
    return observed_state(agent=agent_of(spec), children=map(with_defaults, live), pods=pods)


MODES = st.lists(st.sampled_from(["", "Active", "Halted", "Stopped"]), max_size=3)


@settings(max_examples=200, deadline=None)
@given(before=st.none() | DESIRED, target=DESIRED, modes=MODES, missing=st.integers(0, 7))
def test_planning_after_applying_is_empty(before, target, modes, missing):
    old = [] if before is None else desired_of(before)
    # Some of the children may have been deleted.
    live = [item for number, item in enumerate(old) if not missing >> number & 1]
    observed = stored(target[0], live, modes)
    desired = desired_of(target)
    assert plan.actions(desired, performed(plan.actions(desired, observed), observed)) == ()


@settings(max_examples=100, deadline=None)
@given(target=DESIRED)
def test_no_action_is_planned_that_changes_nothing(target):
    desired = desired_of(target)
    live = {plan.child_id(item): item for item in desired}
    for gone in desired:
        rest = [item for item in live.values() if item is not gone]
        found = plan.actions(desired, stored(target[0], rest))
        assert [plan.child_id(action.manifest) for action in found] == [plan.child_id(gone)]


@settings(max_examples=100, deadline=None)
@given(target=DESIRED)
def test_the_same_spec_always_has_the_same_manifests(target):
    assert desired_of(target) == desired_of(deepcopy(target))
