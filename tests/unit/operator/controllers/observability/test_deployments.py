from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_contract import kubernetes
from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.api.observability_status import MAX_DEPLOYMENTS
from purpleflea_operator.controllers.observability.decisions import deployments
from purpleflea_operator.controllers.observability.decisions.deployments import DeploymentMark
from purpleflea_operator.controllers.observability.decisions.version_rollouts import (
    Rollout,
    RolloutIndex,
    RolloutSpan,
    SpanBuilder,
    View,
)

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
SPAN = RolloutSpan(started=NOON, finished=NOON + timedelta(minutes=2))
SPEC = ObservabilitySpec.model_validate({"keysSecretRef": {"name": "keys"}})


def a_workload(
    name="momentum", version="1.0.0", *, env="production", replicas=2, labels=None, status=None
):
    unified = {
        kubernetes.DD_LABEL_ENV: env,
        kubernetes.DD_LABEL_SERVICE: "purpleflea-trading-agent",
        kubernetes.DD_LABEL_VERSION: version,
    }
    counts = dict.fromkeys(("replicas", "updatedReplicas", "readyReplicas"), replicas)
    return {
        "metadata": {"namespace": "trading", "name": name, "uid": f"uid-{name}", "generation": 3},
        "spec": {
            "replicas": replicas,
            "template": {"metadata": {"labels": unified if labels is None else labels}},
        },
        "status": {"observedGeneration": 3, **counts, **(status or {})},
    }


def view(*workloads):
    index = RolloutIndex()
    for item in workloads:
        index.upsert(item)
    return view_of(index)


def view_of(index):
    return index.view(env=SPEC.env, service=SPEC.service)


def span_of(pods, *, now):
    builder = SpanBuilder(now=now)
    for pod in pods:
        builder.add(pod)
    return builder.span()


def a_pod(created="2026-01-01T12:00:00Z", ready="2026-01-01T12:01:00Z", **metadata):
    conditions = [{"type": "PodScheduled", "status": "True", "lastTransitionTime": created}]
    if ready:
        conditions.append({"type": "Ready", "status": "True", "lastTransitionTime": ready})
    return {
        "metadata": {"creationTimestamp": created, **metadata},
        "status": {"conditions": conditions},
    }


def a_mark(version="1.0.0", **changes):
    return DeploymentMark(**{"version": version, "id": f"id-of-{version}", "span": SPAN, **changes})


def test_a_version_stays_until_its_last_agent_is_deleted():
    index = RolloutIndex()
    for item in (a_workload("one"), a_workload("two")):
        index.upsert(item)
    index.delete("uid-one")
    assert view_of(index).complete == (Rollout(version="1.0.0", agents=("trading/two",)),)
    index.delete("uid-two")
    assert view_of(index).wanted == frozenset()


def test_a_version_is_complete_if_all_pods_of_all_its_agents_run_it():
    versions = view(a_workload("one"), a_workload("two"), a_workload("three", "2.0.0"))
    assert versions.wanted == {"1.0.0", "2.0.0"}
    assert versions.complete == (
        Rollout(version="1.0.0", agents=("trading/one", "trading/two")),
        Rollout(version="2.0.0", agents=("trading/three",)),
    )


@pytest.mark.parametrize(
    "status",
    [
        {"readyReplicas": 1},
        {"updatedReplicas": 1},
        {"replicas": 3},
        {"observedGeneration": 2},
    ],
)
def test_one_pod_that_is_behind_delays_its_version(status):
    versions = view(a_workload("one"), a_workload("two", status=status))
    assert (versions.wanted, versions.complete) == ({"1.0.0"}, ())


def test_an_agent_with_zero_replicas_requests_its_version_but_does_not_delay_it():
    stopped = a_workload("stopped", replicas=0)
    assert view(stopped, a_workload("one")).complete[0].agents == ("trading/one",)
    assert view(stopped) == View(wanted=frozenset({"1.0.0"}), complete=())


def test_a_workload_without_a_status_is_not_complete():
    fresh = {**a_workload(), "status": {}}
    assert view(fresh).complete == ()


def test_other_services_and_environments_and_unlabeled_workloads_are_ignored():
    assert view(a_workload(env="staging"), a_workload(labels={})).wanted == frozenset()
    assert view(a_workload(env="Production")).wanted == {"1.0.0"}


SERVICE = ("production", "purpleflea-trading-agent")
CHANGES = st.lists(
    st.tuples(
        st.sampled_from("abc"),
        st.sampled_from(["1.0.0", "2.0.0", ""]),
        st.sampled_from(["production", "staging"]),
        st.integers(0, 2),
        st.sampled_from([{}, {"readyReplicas": 0}]),
        st.booleans(),
    ),
    max_size=30,
)


@given(CHANGES)
def test_the_index_has_the_same_view_as_a_new_one_after_any_changes(changes):
    index, known = RolloutIndex(), {}
    for name, version, env, replicas, status, is_deleted in changes:
        before = view_of(index)
        item = a_workload(name, version, env=env, replicas=replicas, status=status)
        if is_deleted:
            known.pop(name, None)
            changed = index.delete(f"uid-{name}")
        else:
            known[name] = item
            changed = index.upsert(item)
        assert view_of(index) == view(*known.values())
        assert view_of(index) == before or SERVICE in changed
        if not is_deleted:
            assert index.upsert(item) == frozenset()


def test_a_change_that_no_view_depends_on_changes_no_service():
    index = RolloutIndex()
    assert index.upsert(a_workload()) == {SERVICE}
    labelled = a_workload()
    labelled["metadata"]["labels"] = {"team": "a"}
    assert index.upsert(labelled) == frozenset()
    assert index.upsert(a_workload(status={"readyReplicas": 1})) == {SERVICE}
    assert index.delete("uid-unknown") == frozenset()


def test_a_rollout_lasts_from_the_first_created_pod_to_the_last_ready_one():
    span = span_of(
        [
            a_pod("2026-01-01T11:00:00Z", "2026-01-01T11:05:00Z"),
            a_pod("2026-01-01T11:02:00Z", "2026-01-01T11:09:00Z"),
            a_pod("2020-01-01T00:00:00Z", deletionTimestamp="2026-01-01T11:00:00Z"),
        ],
        now=NOON,
    )
    assert span.started == NOON - timedelta(hours=1)
    assert span.finished == NOON - timedelta(minutes=51)


def test_a_rollout_without_times_is_now_and_never_ends_before_it_starts():
    assert span_of([], now=NOON) == RolloutSpan(started=NOON, finished=NOON)
    odd = span_of([a_pod("2026-01-01T12:00:00Z", "2026-01-01T11:00:00Z")], now=NOON)
    assert odd.started == odd.finished == NOON - timedelta(hours=1)
    waiting = span_of([a_pod("2026-01-01T11:00:00Z", ready="")], now=NOON)
    assert (waiting.started, waiting.finished) == (NOON - timedelta(hours=1), NOON)


def test_pods_without_times_have_no_effect_on_the_time_of_a_rollout():
    ready = {"metadata": {}, "status": {"conditions": [{"type": "Ready", "status": "True"}]}}
    assert span_of([ready, {"metadata": {}}], now=NOON) == RolloutSpan(started=NOON, finished=NOON)


def test_a_version_with_a_mark_gets_no_second_one():
    versions = view(a_workload("one"), a_workload("two", "2.0.0"))
    missing = deployments.unmarked(versions, [a_mark("1.0.0")])
    assert [item.version for item in missing] == ["2.0.0"]
    assert len(deployments.unmarked(versions, [a_mark(gone=True), a_mark("2.0.0")])) == 1


def test_a_mark_stays_while_an_agent_has_its_version_even_if_a_pod_is_missing():
    away = view(a_workload(status={"readyReplicas": 1}))
    assert deployments.retained(away, [a_mark()]) == (a_mark(),)
    gone = view(a_workload(version="2.0.0"))
    assert deployments.retained(gone, [a_mark()]) == (a_mark(gone=True),)


def test_a_pass_is_due_if_a_mark_is_missing_or_no_agent_has_its_version():
    versions = view(a_workload())
    assert deployments.is_due(versions, ())
    assert not deployments.is_due(versions, (a_mark(),))
    assert deployments.is_due(versions, (a_mark(), a_mark("0.9.0")))
    assert not deployments.is_due(versions, (a_mark(), a_mark("0.9.0", gone=True)))
    assert not deployments.is_due(view(a_workload(status={"readyReplicas": 1})), ())


def test_only_the_newest_marks_are_kept():
    marks = [
        a_mark(f"{number}", span=RolloutSpan(started=NOON, finished=NOON + timedelta(hours=number)))
        for number in range(MAX_DEPLOYMENTS + 5)
    ]
    every = View(wanted=frozenset(mark.version for mark in marks), complete=())
    assert deployments.retained(every, reversed(marks)) == tuple(marks[5:])


def test_marks_are_restored_from_the_status():
    marks = (a_mark(), a_mark("2.0.0", sent=True), a_mark("3.0.0", last_error="403: no"))
    marks = (*marks, a_mark("4.0.0", gone=True))
    status = {"deployments": [mark.to_status() for mark in marks]}
    assert deployments.marks_from_status(status) == marks
    assert deployments.marks_from_status({}) == ()


@pytest.mark.parametrize(
    "broken", [{}, {"version": "1", "id": "x", "startedAt": "noon"}, {"startedAt": 5}]
)
def test_unreadable_marks_in_a_status_are_omitted(broken):
    assert deployments.marks_from_status({"deployments": [broken, a_mark().to_status()]}) == (
        a_mark(),
    )


def the_id(*marks, version="1.0.0", agents=("trading/one",), span=SPAN, spec=SPEC):
    rollout = Rollout(version=version, agents=agents)
    return deployments.with_pending(spec, marks, rollout, span)[-1].id


def test_the_id_depends_on_neither_time_nor_pods_nor_other_versions():
    later = RolloutSpan(started=NOON + timedelta(hours=1), finished=NOON + timedelta(hours=2))
    ids = {
        the_id(),
        the_id(span=later),
        the_id(agents=("trading/one", "trading/two")),
        the_id(a_mark("0.9.0", gone=True)),
    }
    assert len(ids) == 1
    assert all(16 <= len(one) <= 128 for one in ids)


def test_the_id_depends_on_version_service_and_environment():
    others = [SPEC.model_copy(update={name: "other"}) for name in ("env", "service")]
    assert len({the_id(), the_id(version="2.0.0"), *(the_id(spec=one) for one in others)}) == 4


def test_a_version_that_returns_gets_a_new_id_and_replaces_its_former_mark():
    rollout = Rollout(version="1.0.0", agents=("trading/one",))
    marks, ids = (a_mark("2.0.0"),), []
    for _ in range(3):
        marks = deployments.with_pending(SPEC, marks, rollout, SPAN)
        ids.append(marks[-1].id)
        marks = deployments.retained(view(a_workload(version="2.0.0")), marks)
    assert len(set(ids)) == 3
    assert [mark.version for mark in marks] == ["2.0.0", "1.0.0"]


def test_a_deployment_names_service_version_and_times_in_nanoseconds():
    attributes = deployments.deployment_body(SPEC, a_mark())["data"]["attributes"]
    assert attributes == {
        "id": "id-of-1.0.0",
        "service": "purpleflea-trading-agent",
        "env": "production",
        "version": "1.0.0",
        "team": "trading",
        "started_at": int(NOON.timestamp()) * 10**9,
        "finished_at": (int(NOON.timestamp()) + 120) * 10**9,
    }


def test_an_event_names_some_agents_and_counts_the_rest():
    agents = tuple(f"trading/agent-{number:02}" for number in range(23))
    few = deployments.event_body(SPEC, a_mark(), agents[:2], NOON)
    many = deployments.event_body(SPEC, a_mark(), agents, NOON)
    assert few is not None
    assert many is not None
    assert few["text"].endswith("Agents: trading/agent-00, trading/agent-01.")
    assert many["text"].endswith("trading/agent-19 and 3 more.")
    assert few["tags"][-1] == "deployment_id:id-of-1.0.0"
    assert few["date_happened"] == int(SPAN.finished.timestamp())


def test_of_a_rollout_of_yesterday_there_is_no_event():
    assert deployments.event_body(SPEC, a_mark(), (), NOON + timedelta(hours=18)) is None
