"""Absences of identities, and the downtimes that mute their heartbeat monitor."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_contract import kubernetes
from purpleflea_operator import timings
from purpleflea_operator.controllers.observability.absence_watch import AbsenceWatch
from purpleflea_operator.controllers.observability.decisions import downtimes
from purpleflea_operator.controllers.observability.decisions.absences import (
    AbsenceIndex,
    Absences,
    being_replaced,
)
from purpleflea_operator.controllers.observability.decisions.downtimes import Changes, Downtime
from purpleflea_operator.controllers.observability.decisions.version_rollouts import RolloutIndex
from purpleflea_operator.controllers.observability.deployment_reporter import CachedFleet
from purpleflea_operator.controllers.observability.resource_cache import ResourceCache
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.runtime.workqueue import WorkQueue
from support.builders import an_agent

NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)
SERVICE = ("production", "desk")
UID = "uid-1"


def agent(name="a", *, service="desk", replicas=1, **status):
    manifest = an_agent(name, uid=name)
    manifest["metadata"]["creationTimestamp"] = (NOW - timedelta(days=1)).isoformat()
    manifest["spec"] |= {"replicas": replicas, "datadog": {"env": "Production", "service": service}}
    manifest["status"] = status
    return manifest


def stopped(hours=0.0):
    return {"mode": "Stopped", "since": (NOW - timedelta(hours=hours)).isoformat()}


ROLLING = [{"type": "Progressing", "reason": "RollingOut", "status": "True"}]
FINISHED = [{"type": "Progressing", "reason": "Complete", "status": "False"}]


def view(index, now=NOW):
    return index.view(env="production", service="DESK", now=now)


@pytest.mark.parametrize(
    ("changes", "running", "absent"),
    [
        ([agent(replicas=2)], {"a-0", "a-1"}, set()),
        ([agent(trading=stopped())], set(), {"a-0"}),
        ([agent(trading=stopped(23.9))], set(), {"a-0"}),
        ([agent(trading=stopped(24))], set(), set()),
        ([agent(trading={"mode": "Stopped", "since": "x"})], set(), {"a-0"}),
        ([agent(trading={"mode": "Halted"})], {"a-0"}, set()),
        ([agent(replicas=3), agent(replicas=1)], {"a-0"}, {"a-1", "a-2"}),
        ([agent(replicas=3), agent(replicas=1), agent(replicas=2)], {"a-0", "a-1"}, {"a-2"}),
        ([agent(), "delete"], set(), {"a-0"}),
        ([agent(), "delete", agent()], {"a-0"}, set()),
        (["delete"], set(), set()),
        # The identities of the other service are not those of this one.
        ([agent(), agent(service="other")], set(), {"a-0"}),
        ([agent(service="other"), agent()], {"a-0"}, set()),
        # Another agent may have taken the identity over.
        ([agent(), "delete", agent(name="a")], {"a-0"}, set()),
        ([agent(replicas="many", status=None)], set(), set()),
        ([agent(replicas=10**9, trading=stopped())], set(), {f"a-{n}" for n in range(1000)}),
    ],
)
def test_the_running_and_the_absent_identities_follow_from_the_agents(changes, running, absent):
    index = AbsenceIndex()
    for change in changes:
        if change == "delete":
            index.delete("trading/a", NOW)
        else:
            index.upsert(change | {"metadata": {**change["metadata"], "namespace": "trading"}}, NOW)
    found = view(index)
    assert (found.running, found.absent) == (running, absent)


def a_labelled_pod(name, *, env="production", ended_min=None):
    metadata = {
        "name": name,
        "namespace": "trading",
        "labels": {
            kubernetes.LABEL_INSTANCE: "a",
            kubernetes.DD_LABEL_ENV: env,
            kubernetes.DD_LABEL_SERVICE: "desk",
        },
    }
    if ended_min is not None:
        metadata["deletionTimestamp"] = (NOW - timedelta(minutes=ended_min)).isoformat()
    return {"metadata": metadata}


def moved(**changes):
    manifest = agent(**changes)
    manifest["spec"]["datadog"]["env"] = "staging"
    return manifest


@pytest.mark.parametrize(
    ("after", "pods", "running", "absent"),
    [
        # The spec is invalid, or the StatefulSet cannot be written: all pods run with the former env.
        (moved(replicas=3), [("a-0",), ("a-1",), ("a-2",)], {"a-0", "a-1", "a-2"}, set()),
        (agent(replicas=1), [("a-0",), ("a-1",), ("a-2",)], {"a-0", "a-1", "a-2"}, set()),
        (agent(replicas=3, trading=stopped()), [("a-2",)], {"a-2"}, {"a-0", "a-1"}),
        ("delete", [("a-0",)], {"a-0"}, {"a-1", "a-2"}),
        # A rollout to the other env has replaced one pod.
        (moved(replicas=3), [("a-0",), ("a-1",), ("a-2", "staging")], {"a-0", "a-1"}, {"a-2"}),
        (moved(replicas=3), [("a-0", "PRODUCTION")], {"a-0"}, {"a-1", "a-2"}),
        # A pod that ends sends no heartbeats, unless it does not end within its grace period.
        (agent(replicas=1), [("a-0",), ("a-2", "production", -60)], {"a-0"}, {"a-1", "a-2"}),
        (agent(replicas=1), [("a-0",), ("a-2", "production", 15)], {"a-0"}, {"a-1", "a-2"}),
        (agent(replicas=1), [("a-0",), ("a-2", "production", 16)], {"a-0", "a-2"}, {"a-1"}),
        (moved(replicas=3), [], set(), {"a-0", "a-1", "a-2"}),
    ],
)  # fmt: skip
def test_an_identity_is_absent_only_if_no_pod_has_it(after, pods, running, absent):
    index = AbsenceIndex()
    index.upsert(agent(replicas=3), NOW)
    index.delete("trading/a", NOW) if after == "delete" else index.upsert(after, NOW)
    found = [
        a_labelled_pod(name, **dict(zip(("env", "ended_min"), labels, strict=False)))
        for name, *labels in pods
    ]
    owned = {"trading/a": found}
    result = index.view(env="production", service="desk", now=NOW, pods=owned.__getitem__)
    assert (result.running, result.absent) == (running, absent)


def test_an_identity_is_absent_for_a_day_after_its_pod_ended():
    index, pods = AbsenceIndex(), [a_labelled_pod("a-0")]
    index.upsert(agent(), NOW)
    index.upsert(moved(), NOW)

    def at(hours):
        now = NOW + timedelta(hours=hours)
        return index.view(env="production", service="desk", now=now, pods=lambda _: pods).absent

    assert [at(hours) for hours in (0, 20, 40, 60)] == [set()] * 4
    pods.clear()
    assert (at(61), at(83), at(84)) == ({"a-0"}, {"a-0"}, set())
    assert not index._gone


def test_the_end_and_the_return_of_a_pod_are_news_once_and_only_if_they_concern_a_view():
    index, pod = AbsenceIndex(), a_labelled_pod("a-0")
    ending = a_labelled_pod("a-0", ended_min=0)
    pods = [pod]

    def update():
        index.view(env="production", service="desk", now=NOW, pods=lambda _: pods)

    index.upsert(agent(), NOW)
    update()
    assert index.upsert_pod(pod, NOW) == index.delete_pod("trading/a") == frozenset()
    index.upsert(moved(), NOW)
    update()
    assert index.upsert_pod(pod, NOW) == frozenset()
    assert [index.upsert_pod(ending, NOW) for _ in range(2)] == [{SERVICE}, frozenset()]
    update()
    assert index.delete_pod("trading/a") == {SERVICE}
    pods.clear()
    update()
    assert index.delete_pod("trading/a") == frozenset()
    # An evicted pod returns with the former env.
    assert index.upsert_pod(pod, NOW) == {SERVICE}
    assert index.upsert_pod(a_labelled_pod("a-0", env="staging"), NOW) == frozenset()


@pytest.mark.parametrize(
    ("datadog", "service"),
    [
        (None, ("production", "purpleflea-trading-agent")),
        ({"env": "paper"}, ("paper", "purpleflea-trading-agent")),
        ({"service": "desk"}, ("production", "desk")),
        ({"env": "Crypto Desk", "service": "Alpha_"}, ("crypto_desk", "alpha")),
    ],
)
def test_agents_with_default_tags_belong_to_the_service_that_datadog_stores(datadog, service):
    index, manifest = AbsenceIndex(), agent(trading=stopped())
    del manifest["spec"]["datadog"]
    manifest["spec"] |= {} if datadog is None else {"datadog": datadog}
    assert index.upsert(manifest, NOW) == {service}


@pytest.mark.parametrize("has_own_service", [False, True])
def test_identities_are_forgotten_after_a_day_also_if_no_resource_observes_them(has_own_service):
    index = AbsenceIndex()
    for hours in range(100):
        now = NOW + timedelta(hours=hours)
        service = f"s{hours}" if has_own_service else "desk"
        index.upsert(agent(f"b{hours}", service=service), now)
        index.delete(f"trading/b{hours}", now)
    assert sum(map(len, index._gone.values())) == len(index._expiring) == 24
    assert len(index._gone) == (24 if has_own_service else 1)
    assert not index._services


def test_an_identity_that_returned_leaves_no_memory_after_a_day():
    index = AbsenceIndex()
    for changed in (agent(replicas=2), agent(), agent(replicas=2)):
        index.upsert(changed, NOW)
    assert view(index, NOW + timedelta(days=1)).running == {"a-0", "a-1"}
    assert not index._gone
    assert not index._expiring


def test_an_agent_that_is_being_deleted_is_absent_from_then_on():
    index, manifest = AbsenceIndex(), agent()
    manifest["metadata"]["deletionTimestamp"] = NOW.isoformat()
    index.upsert(manifest, NOW)
    assert view(index).absent == {"a-0"}
    index.delete(f"{manifest['metadata']['namespace']}/a", NOW + timedelta(hours=1))
    assert view(index, NOW + timedelta(hours=23)).absent == {"a-0"}
    assert view(index, NOW + timedelta(hours=24)).absent == frozenset()


@pytest.mark.parametrize(
    ("before", "after", "is_news"),
    [
        (None, agent(), False),
        (None, agent(trading=stopped()), True),
        (None, agent(conditions=ROLLING), True),
        (agent(), agent(), False),
        (agent(), agent(phase="Ready"), False),
        (agent(), agent(replicas=2), True),
        (agent(), agent(conditions=ROLLING), True),
        (agent(conditions=ROLLING), agent(conditions=ROLLING, readyReplicas=1), True),
        (agent(), agent(readyReplicas=1), False),
        (agent(conditions=ROLLING), agent(conditions=FINISHED), True),
        (agent(trading=stopped()), agent(), True),
    ],
)
def test_only_changes_that_can_concern_a_downtime_are_news(before, after, is_news):
    index = AbsenceIndex()
    if before is not None:
        index.upsert(before, NOW)
    assert bool(index.upsert(after, NOW)) is is_news


def test_a_returning_agent_is_news():
    index = AbsenceIndex()
    index.upsert(agent(), NOW)
    namespace = agent()["metadata"]["namespace"]
    assert index.delete(f"{namespace}/a", NOW) == {SERVICE}
    assert index.upsert(agent(), NOW) == {SERVICE}


def test_the_first_rollout_of_an_agent_is_not_a_replacement():
    index, manifest = AbsenceIndex(), agent(conditions=ROLLING)
    index.upsert(manifest, NOW)
    assert view(index).rolling == (f"{manifest['metadata']['namespace']}/a",)
    for created in (NOW.isoformat(), None):
        manifest["metadata"] |= {"name": "b", "creationTimestamp": created}
        index.upsert(manifest, NOW)
    assert len(view(index).rolling) == 1


def a_pod(age_min, *, ready=None, ending_min=None, grace_min=0):
    metadata = {"name": "a-0", "creationTimestamp": (NOW - timedelta(minutes=age_min)).isoformat()}
    if ending_min is not None:
        metadata["deletionTimestamp"] = (NOW - timedelta(minutes=ending_min)).isoformat()
        metadata["deletionGracePeriodSeconds"] = grace_min * 60
    status = {} if ready is None else {"conditions": [{"type": "Ready", "status": str(ready)}]}
    return {"metadata": metadata, "status": status}


@pytest.mark.parametrize(
    ("pod", "is_replaced"),
    [
        (a_pod(1), True),
        (a_pod(1, ready=False), True),
        (a_pod(1, ready=True), False),
        (a_pod(16, ready=False), False),
        (a_pod(999, ready=True, ending_min=1), True),
        (a_pod(999, ending_min=16), False),
        # The time of the deletion includes the grace period.
        (a_pod(999, ending_min=-46, grace_min=60), True),
        (a_pod(999, ending_min=-44, grace_min=60), False),
        (a_pod(999, ending_min=1, grace_min=60), False),
        ({"metadata": {"name": "a-0"}}, False),
    ],
)
def test_a_pod_is_being_replaced_for_a_quarter_of_an_hour(pod, is_replaced):
    assert being_replaced([pod], NOW) == ({"a-0"} if is_replaced else frozenset())


def absences(running=(), absent=()):
    return Absences(running=frozenset(running), absent=frozenset(absent), rolling=())


def downtime(*names, identifier="1", minutes=1400):
    return Downtime(id=identifier, identities=names, end=NOW + timedelta(minutes=minutes))


DAY, QUARTER = NOW + downtimes.ABSENT_FOR, NOW + timedelta(minutes=15)


@pytest.mark.parametrize(
    ("view", "replaced", "current", "expected"),
    [
        (absences(), (), [], Changes(reductions={})),
        (absences(absent=["a-0"]), (), [], Changes(creates=((("a-0",), DAY),), reductions={})),
        (absences(absent=["a-0"]), (), [downtime("a-0")], Changes(reductions={})),
        # A short downtime does not cover an absence.
        (
            absences(absent=["a-0"]), (), [downtime("a-0", minutes=10)],
            Changes(creates=((("a-0",), DAY),), reductions={}),
        ),
        (absences(["a-0"]), ["a-0"], [], Changes(creates=((("a-0",), QUARTER),), reductions={})),
        (absences(["a-0"]), ["a-0"], [downtime("a-0", minutes=3)], Changes(reductions={})),
        (absences(["a-0"]), (), [downtime("a-0")], Changes(reductions={}, cancels=("1",))),
        (absences(["a-0"]), (), [downtime("a-0", "b-0")], Changes(reductions={"1": ("b-0",)})),
        # An identity without an agent stays muted, because its deletion may have been before a change of leader.
        (absences(), (), [downtime("z-0")], Changes(reductions={})),
        # Two downtimes for one identity: the longer one is kept.
        (
            absences(), (), [downtime("a-0", identifier="1", minutes=5), downtime("a-0", identifier="2")],
            Changes(reductions={}, cancels=("1",)),
        ),
        (
            absences(), (), [downtime("a-0", "b-0", identifier="1"), downtime("b-0", "c-0", identifier="2")],
            Changes(reductions={"2": ("c-0",)}),
        ),
    ],
)  # fmt: skip
def test_the_requests_follow_from_the_absences_and_the_downtimes(view, replaced, current, expected):
    assert downtimes.changes(view, frozenset(replaced), current, NOW) == expected


def listed(**changes):
    attributes = {
        "monitor_identifier": {"monitor_tags": downtimes.monitor_tags(UID)},
        "scope": "agent_id:a-0",
        "schedule": {"end": "2026-12-01T00:00:00+00:00"},
        "status": "active",
    }
    return {"id": "1", "attributes": attributes | changes}


@pytest.mark.parametrize(
    ("item", "identities"),
    [
        (listed(), [("a-0",)]),
        (listed(scope="agent_id:(a-0 OR b-1)"), [("a-0", "b-1")]),
        (listed(status="canceled"), []),
        (listed(status="ended"), []),
        (listed(scope="agent_id:a-0 AND env:x"), []),
        (listed(scope="env:x"), []),
        (listed(scope=None), []),
        (listed(schedule={"end": None}), []),
        (listed(schedule=None), []),
        (listed(monitor_identifier={"monitor_id": 5}), []),
        (listed(monitor_identifier={"monitor_tags": ["team:x"]}), []),
        (listed(monitor_identifier=[]), []),
        ({"id": "1"}, []),
        ({}, []),
    ],
)
def test_only_downtimes_of_the_resource_are_read_from_a_list(item, identities):
    assert [one.identities for one in downtimes.downtimes_of(UID, [item])] == identities


@pytest.mark.parametrize("names", [("a-0",), ("a-0", "b-0"), tuple(f"a-{n}" for n in range(100))])
@pytest.mark.parametrize("end", [DAY, QUARTER])
def test_a_downtime_that_is_sent_is_read_again_with_the_same_identities(names, end):
    body = downtimes.create_body(UID, names, end, NOW)["data"]["attributes"]
    (found,) = downtimes.downtimes_of(UID, [{"id": "1", "attributes": body}])
    assert (found.identities, found.end) == (names, end)
    assert ("notify_end_types" in body) == (end == QUARTER)


@pytest.mark.parametrize(
    ("spec", "metadata", "is_queued"),
    [
        ({"env": "production", "service": "desk"}, {}, True),
        ({"env": "paper", "service": "desk"}, {}, False),
        ({"env": "production", "service": "desk", "mode": "Plan"}, {}, False),
        ({"env": "production", "service": "desk", "features": {"downtimes": False}}, {}, False),
        ({"env": "production", "service": "desk"}, {"deletionTimestamp": "x"}, False),
        ({"env": 5}, {}, False),
    ],
)
async def test_a_resource_is_queued_once_after_a_burst(monkeypatch, spec, metadata, is_queued):
    monkeypatch.setattr(timings, "ABSENCE_GATHER_S", 0)
    cache, queue = ResourceCache(), WorkQueue[NamespacedName](jitter=lambda: 0.0)
    cache.store(
        {
            "metadata": {"namespace": "n", "name": "fleet", "uid": "u", "resourceVersion": "1", **metadata},
            "spec": {"keysSecretRef": {"name": "keys"}, **spec},
        }
    )  # fmt: skip
    fleet = CachedFleet(RolloutIndex(), ObjectCache())
    watch = AbsenceWatch(cache, fleet, queue, lambda: NOW)
    watch.on_agent(resources.POD, {})
    watch.on_pod(resources.AGENT, {})
    watch.on_agent(resources.AGENT, agent())
    for number in range(9):
        watch.on_agent(resources.AGENT, agent(f"b{number}", trading=stopped()))
    watch.on_agent_deleted(NamespacedName(agent()["metadata"]["namespace"], "a"))
    running = asyncio.create_task(watch.run())
    for _ in range(5):
        await asyncio.sleep(0)
    running.cancel()
    assert len(queue) == int(is_queued)
    queue.close()
