"""Pausing of failing rollouts with the partition: a table of situations."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_operator.controllers.agent.decisions import rollout, upgrade
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Defaults
from support.builders import a_pod
from support.observed_states import a_stateful_set, agent_value, observed_state

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
RECENT = "2026-01-01T11:59:00Z"
GOOD_KEY = "purpleflea.com/last-good-template"


def rendered(image="agent:new", replicas=3):
    agent = agent_value(generation=2, replicas=replicas)
    return children(agent, Defaults(image=image), NO_CONNECTION)[-1]


def hash_of(image):
    return rendered(image)["spec"]["template"]["metadata"]["annotations"][
        "purpleflea.com/template-hash"
    ]


def a_pod_of(number, image="agent:old", *, revision=None, ready=True, ready_at=None, **changes):
    found = a_pod(f"momentum-{number}", ready=ready, **{"created": RECENT, **changes})
    found["metadata"]["labels"]["controller-revision-hash"] = revision or image
    found["metadata"]["annotations"]["purpleflea.com/template-hash"] = hash_of(image)
    found["status"]["conditions"][0]["lastTransitionTime"] = ready_at or "2026-01-01T10:00:00Z"
    return found


def old(number, **changes):
    return a_pod_of(number, **changes)


def new(number, **changes):
    return a_pod_of(number, "agent:new", **changes)


def starting(number):
    return new(number, ready=False, ready_at=RECENT)


def crashing(number, image="agent:new"):
    return a_pod_of(number, image, ready=False, ready_at=RECENT, waiting="CrashLoopBackOff")


def hanging(number):
    return new(number, ready=False, created="2026-01-01T11:49:00Z", ready_at="2026-01-01T11:49:01Z")


def a_live(image="agent:new", *, partition=0, replicas=3, good="", observed=2, update=None):
    found = rollout.with_partition(rendered(image, replicas), partition)
    metadata = {**found["metadata"], "generation": 2}
    if good:
        metadata["annotations"] = {**metadata["annotations"], GOOD_KEY: hash_of(good)}
    status = {"observedGeneration": observed, "updateRevision": update or image}
    return {**found, "metadata": metadata, "status": status}


def a_state(*pods, live=None, **changes):
    return observed_state(
        agent=agent_value(generation=2, replicas=3),
        stateful_set=a_live() if live is None else live,
        pods=pods,
        **{"now": NOW, "unavailable_since": NOW - timedelta(hours=1), **changes},
    )


def changed(*pods, live=None):
    """Return a state with another template than the wanted one."""
    return a_state(*pods, live=a_live("agent:old") if live is None else live)


def paused(at=2, image="agent:new"):
    return a_live(image, partition=at)


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        pytest.param(a_state(old(0), old(1), old(2)), 0, id="not started"),
        pytest.param(a_state(old(0), old(1), starting(2)), 0, id="in progress"),
        pytest.param(a_state(old(0), old(1), crashing(2)), 2, id="the first new pod crashes"),
        pytest.param(a_state(old(0), old(1), crashing(2), live=paused()), 2, id="it still crashes"),
        pytest.param(
            a_state(old(0), old(1), starting(2), live=paused()), 2, id="paused, and starting again"
        ),
        pytest.param(a_state(old(0), old(1), hanging(2)), 2, id="it exceeds its deadline"),
        pytest.param(
            a_state(old(0), old(1, ready=False, ready_at=RECENT), hanging(2)),
            2,
            id="it hangs while another pod flaps",
        ),
        pytest.param(
            a_state(old(0), new(1, ready=False, ready_at=RECENT), hanging(2)),
            1,
            id="one new pod hangs while another one flaps",
        ),
        pytest.param(
            a_state(old(0), old(1), a_pod_of(2, "agent:bad"), live=paused()),
            2,
            id="a corrected template is not tried yet",
        ),
        pytest.param(
            a_state(old(0), old(1), new(2), live=paused()), 0, id="the corrected template works"
        ),
        pytest.param(
            a_state(old(0), old(1), new(2, ready_at="2026-01-01T11:59:30Z"), live=paused()),
            2,
            id="it is ready, but not for long enough",
        ),
        pytest.param(
            a_state(old(0), old(1), live=paused()), 2, id="the pod that tries it is missing"
        ),
        pytest.param(
            a_state(old(0), old(1), new(3), live=paused(2)), 2, id="a pod that is not requested"
        ),
        pytest.param(
            a_state(old(0), old(1), starting(2), live=a_live(partition=7)),
            2,
            id="fewer pods than the partition",
        ),
        pytest.param(a_state(old(0), starting(2)), 2, id="another pod is gone before it is ready"),
        pytest.param(
            a_state(old(0), old(1, deleting=True), starting(2)),
            2,
            id="another pod is evicted before it is ready",
        ),
        pytest.param(a_state(old(0), new(2)), 0, id="the next pod is replaced"),
        pytest.param(
            a_state(crashing(0), old(1), old(2)), 3, id="only the lowest pod has the new template"
        ),
        pytest.param(a_state(crashing(0), old(1), old(2), live=paused(3)), 3, id="it still has it"),
        pytest.param(
            a_state(old(0), old(1), old(2), live=paused(3)), 2, id="it was recreated with the old"
        ),
        pytest.param(a_state(crashing(0, "agent:old"), old(1), new(2)), 0, id="an old pod crashes"),
        pytest.param(
            a_state(crashing(0), crashing(1), crashing(2), live=paused()), 0, id="only new pods"
        ),
        pytest.param(
            a_state(new(0), crashing(1), a_pod_of(2, "agent:bad"), live=a_live(partition=2)),
            3,
            id="a template that is not known to be good",
        ),
        pytest.param(
            a_state(
                new(0),
                crashing(1),
                a_pod_of(2, "agent:bad"),
                live=a_live("agent:bad", good="agent:new"),
            ),
            0,
            id="a rollback to the last good template",
        ),
        pytest.param(
            a_state(old(0), old(1), crashing(2), live=a_live(good="agent:old")),
            2,
            id="another template than the last good one",
        ),
        pytest.param(
            a_state(old(0), old(1), new(2, ready=False, ready_at=RECENT, deleting=True)),
            0,
            id="a new pod is terminating",
        ),
        pytest.param(
            a_state(
                new(0, revision="1"),
                new(1, revision="1"),
                new(2, revision="2", ready=False, ready_at=RECENT, waiting="ImagePullBackOff"),
                live=a_live(update="2"),
            ),
            2,
            id="a restart by kubectl fails",
        ),
        pytest.param(
            a_state(
                new(0, revision="1"),
                new(1, revision="1"),
                new(2, revision="2", ready=False, ready_at=RECENT, waiting="ImagePullBackOff"),
                live=a_live(update="2", good="agent:new"),
            ),
            2,
            id="a restart by kubectl after a rollback fails",
        ),
        pytest.param(
            a_state(
                new(0, revision="1"),
                new(2, revision="2", ready=False, ready_at=RECENT),
                live=a_live(update="2", good="agent:new"),
            ),
            2,
            id="a pod is gone during a restart by kubectl after a rollback",
        ),
        pytest.param(
            a_state(
                new(0, revision="1"),
                new(1, revision="1"),
                new(2, revision="2", ready=False, ready_at=RECENT),
                live=a_live(update="2", good="agent:new", partition=2),
            ),
            2,
            id="a paused restart by kubectl after a rollback starts again",
        ),
        pytest.param(
            a_state(
                new(0, revision="1"),
                new(1, revision="1"),
                new(2, revision="2"),
                live=a_live(update="2", good="agent:new", partition=2),
            ),
            0,
            id="a restart by kubectl after a rollback works",
        ),
        pytest.param(
            a_state(
                new(0, revision="1"),
                crashing(1, "agent:bad"),
                crashing(2, "agent:bad"),
                live=a_live(update="1", good="agent:new"),
            ),
            0,
            id="a rollback whose first pod kept the template",
        ),
        pytest.param(
            a_state(new(0, revision="1"), crashing(1), new(2), live=a_live(update="2", observed=1)),
            0,
            id="the controller has not observed the template",
        ),
        pytest.param(
            replace(
                a_state(old(0), old(1), crashing(2)), children={}, recreated=a_live(partition=2)
            ),
            2,
            id="recreated while it is paused",
        ),
        pytest.param(
            replace(a_state(old(0), old(1), crashing(2)), children={}),
            2,
            id="recreated by another replica of the operator",
        ),
        pytest.param(
            replace(a_state(old(0), old(1), new(2)), children={}), 0, id="recreated while it works"
        ),
        pytest.param(a_state(), 0, id="no pods"),
        pytest.param(changed(old(0), old(1), old(2)), 2, id="changed"),
        pytest.param(
            changed(old(0), old(1), old(2, ready=False, ready_at=RECENT)),
            2,
            id="changed while the highest pod is not available",
        ),
        pytest.param(
            changed(*(old(number, ready_at="2026-01-01T11:59:59Z") for number in range(3))),
            2,
            id="changed while all pods are younger than minReadySeconds",
        ),
        pytest.param(changed(old(0), old(1)), 2, id="changed while the highest pod is gone"),
        pytest.param(changed(old(2)), 2, id="changed while the other pods are gone"),
        pytest.param(
            changed(old(0), old(1), crashing(2, "agent:bad"), live=paused(2, "agent:bad")),
            2,
            id="corrected while it is paused",
        ),
        pytest.param(
            changed(old(0), crashing(1, "agent:bad"), old(2), live=paused(1, "agent:bad")),
            1,
            id="corrected, and all pods that failed try it",
        ),
        pytest.param(
            changed(new(0), new(1), crashing(2, "agent:bad"), live=paused(2, "agent:bad")),
            2,
            id="reverted, not to a known good template",
        ),
        pytest.param(
            changed(
                new(0),
                new(1),
                crashing(2, "agent:bad"),
                live=a_live("agent:bad", partition=2, good="agent:new"),
            ),
            0,
            id="reverted to the last good template",
        ),
        pytest.param(
            changed(*(crashing(number, "agent:old") for number in range(3))),
            0,
            id="changed while all pods fail",
        ),
        pytest.param(
            changed(old(0), crashing(1, "agent:old"), crashing(2, "agent:old")),
            2,
            id="changed while one pod works",
        ),
        pytest.param(changed(new(0), new(1), new(2)), 0, id="reverted before a pod was replaced"),
        pytest.param(
            replace(a_state(old(0), old(1), old(2)), children={}, recreated=a_live("agent:old")),
            2,
            id="changed together with the storage",
        ),
        pytest.param(a_state(old(0), old(1), new(2)), 0, id="proven, and the partition is removed"),
        pytest.param(a_state(old(2)), 2, id="other pods are gone before any pod is replaced"),
        pytest.param(
            a_state(old(0), starting(1), live=paused()),
            2,
            id="the highest pod is replaced while a lower one is new and not available",
        ),
    ],
)
def test_a_failing_rollout_is_paused_and_continues_after_a_correction(state, expected):
    assert rollout.paused_partition(state, rendered()) == expected


def test_an_unknown_time_does_not_delay_a_rollout():
    state = replace(a_state(old(0), old(1), new(2), live=paused()), now=None)
    assert rollout.paused_partition(state, rendered()) == 0


AN_HOUR_AHEAD = "2026-01-01T13:00:00Z"


@pytest.mark.parametrize(
    ("counts", "partition"),
    [
        ({}, 2),
        ({"updatedReplicas": 1, "availableReplicas": 2}, 2),
        ({"updatedReplicas": 0, "availableReplicas": 3}, 2),
        ({"updatedReplicas": 1, "availableReplicas": 3, "observedGeneration": 1}, 2),
        ({"updatedReplicas": 1, "availableReplicas": 3}, 0),
    ],
)
def test_a_clock_that_is_behind_leaves_the_wait_to_the_counts_of_the_statefulset(counts, partition):
    live = paused()
    live = {**live, "status": {**live["status"], **counts}}
    state = a_state(old(0), old(1), new(2, ready_at=AN_HOUR_AHEAD), live=live)
    assert rollout.paused_partition(state, rendered()) == partition


def test_a_clock_that_is_behind_does_not_stop_a_rollout_that_continues():
    state = a_state(new(2, ready_at=AN_HOUR_AHEAD), old(0), live=a_live())
    assert rollout.paused_partition(state, rendered()) == 0


def test_a_clock_that_is_behind_pauses_no_rollout_without_a_statefulset():
    state = a_state(old(0), old(1), new(2, ready_at=AN_HOUR_AHEAD), live=None)
    assert rollout.paused_partition(replace(state, children={}), rendered()) == 2


def test_a_paused_rollout_is_checked_when_the_next_pod_is_available():
    fresh = new(2, ready_at="2026-01-01T11:59:30Z")
    assert rollout.next_check_s(a_state(old(0), old(1), fresh, live=paused())) == 45.0
    assert rollout.next_check_s(a_state(old(0), old(1), fresh)) is None
    assert rollout.next_check_s(a_state(old(0), old(1), new(2), live=paused())) is None
    assert rollout.next_check_s(replace(a_state(fresh, live=paused()), children={})) is None


@pytest.mark.parametrize(("replicas", "partition"), [(0, 0), (1, 0), (2, 1), (3, 2), (1000, 999)])
def test_only_the_highest_pod_tries_a_changed_template(replicas, partition):
    state = a_state(
        *(old(number) for number in range(replicas)), live=a_live("agent:old", replicas=replicas)
    )
    assert rollout.paused_partition(state, rendered(replicas=replicas)) == partition
    manifest = upgrade.manifest(state, rendered(replicas=replicas), upgrade.Step.APPLY)
    assert manifest["spec"]["updateStrategy"]["rollingUpdate"]["partition"] == partition


def test_an_agent_that_waits_for_its_upgrade_needs_no_partition():
    state = a_state(old(0), old(1), old(2), live=a_live("agent:old"))
    manifest = upgrade.manifest(state, rendered(), upgrade.Step.KEEP)
    assert manifest["spec"]["updateStrategy"]["rollingUpdate"]["partition"] == 0


def test_the_partition_is_applied_and_removed():
    def partition(state):
        manifest = upgrade.manifest(state, rendered(), upgrade.Step.APPLY)
        return manifest["spec"]["updateStrategy"]["rollingUpdate"]["partition"]

    assert partition(a_state(old(0), old(1), crashing(2))) == 2
    assert partition(a_state(old(0), old(1), new(2), live=paused())) == 0


@pytest.mark.parametrize(
    ("state", "restarts"),
    [
        (a_state(new(0), new(1), new(2)), False),
        (a_state(old(0), new(1), new(2)), True),
        (a_state(new(0, deleting=True), new(1), new(2)), True),
        (a_state(new(0), new(1), new(2), old(3)), False),
        (replace(a_state(old(0)), children={}), False),
    ],
    ids=["all new", "one is old", "one is being replaced", "not requested", "no StatefulSet"],
)
def test_a_restart_lasts_as_long_as_an_old_pod_whatever_the_status_counts(state, restarts):
    live = state.stateful_set
    if live is not None:
        counts = {"updatedReplicas": 3, "readyReplicas": 3, "availableReplicas": 3}
        live["status"] |= counts
    assert rollout.has_restarting_pods(state) is restarts


CONFIG_MAP = {"kind": "ConfigMap", "metadata": {"name": "momentum"}}


@pytest.mark.parametrize(
    ("reason", "expected"),
    [
        pytest.param({"unread_halts": "not listed yet"}, 3, id="halts cannot be read"),
        pytest.param({"conflicting_agent": "other/momentum"}, 3, id="its identities are held"),
        pytest.param({}, 5, id="nothing holds it back"),
    ],
)
@pytest.mark.parametrize("pods", [0, 1, 3])
def test_a_statefulset_that_is_recreated_keeps_the_pods_that_the_cache_lacks(
    reason, expected, pods
):
    observed = observed_state(
        spec={"replicas": 5},
        children=[CONFIG_MAP],
        pods=[a_pod(f"momentum-{number}") for number in range(pods)],
        recreated=a_stateful_set(3),
        **reason,
    )
    assert rollout.effective_replicas(observed, observed.agent) == expected


@pytest.mark.parametrize(
    ("children", "pods", "expected"),
    [
        pytest.param([], [], 5, id="a new agent, which starts halted"),
        pytest.param([CONFIG_MAP], [], 0, id="no pod was ever requested"),
        pytest.param([CONFIG_MAP], ["momentum-1"], 2, id="pods of a StatefulSet that is gone"),
        pytest.param([], ["momentum-0"], 1, id="pods without any child"),
        pytest.param([a_stateful_set(2)], [], 2, id="pods that are not watched"),
    ],
)
def test_an_agent_does_not_grow_while_halts_cannot_be_read(children, pods, expected):
    found = [a_pod(name) for name in pods]
    observed = observed_state(
        spec={"replicas": 5}, children=children, pods=found, unread_halts="not listed yet"
    )
    assert rollout.effective_replicas(observed, observed.agent) == expected
