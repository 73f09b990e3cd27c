from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_contract.kubernetes import DD_LABEL_ENV, DD_LABEL_SERVICE
from purpleflea_contract.tags import stored_value
from purpleflea_operator.controllers.agent.decisions import status
from purpleflea_operator.controllers.agent.decisions.conditions import summary
from purpleflea_operator.controllers.agent.decisions.conditions.duplicate_identity import (
    duplicate_identity,
)
from purpleflea_operator.controllers.agent.decisions.duplicate_identities import (
    IdentityIndex,
    may_run,
)
from purpleflea_operator.controllers.agent.decisions.rollout import effective_agent
from purpleflea_operator.controllers.agent.decisions.transitions import transitions
from purpleflea_operator.controllers.agent.identity_holders import IdentityHolders
from purpleflea_operator.kube.object_cache import ObjectCache
from support.builders import a_pod, an_agent
from support.observed_states import a_stateful_set, observed_state

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_agent_in(namespace, *, age=0, uid=None, name="momentum", **spec):
    found = an_agent(name, namespace=namespace, uid=uid or f"uid-{namespace}", **spec)
    found["metadata"]["creationTimestamp"] = f"2026-01-{10 - age:02d}T00:00:00Z"
    return found


def namespaces(claims):
    return [claim.namespace for claim in claims]


def an_index(*running):
    """Return an index in which the agents of these namespaces run."""
    return IdentityIndex(lambda claim: claim.namespace in running)


def holder(index, namespace):
    found = index.holder_other_than(f"uid-{namespace}")
    return found.namespace if found else None


def test_if_neither_agent_runs_the_older_one_holds_the_identities():
    index = an_index()
    assert index.upsert(an_agent_in("young")) == []
    assert index.upsert(an_agent_in("old", age=5)) == []
    assert (holder(index, "young"), holder(index, "old")) == ("old", None)


SAME_IN_DATADOG = [
    ("Production", "production"),
    ("prod__eu", "prod_eu"),
    ("PROD_EU", "prod_eu"),
    ("prod.eu-1", "Prod.EU-1"),
]


@pytest.mark.parametrize(("one", "other"), SAME_IN_DATADOG)
@pytest.mark.parametrize("field", ["env", "service"])
def test_values_that_datadog_stores_as_one_are_one_identity(field, one, other):
    index = an_index()
    index.upsert(an_agent_in("young", datadog={field: one}))
    index.upsert(an_agent_in("old", age=5, datadog={field: other}))
    assert (holder(index, "young"), holder(index, "old")) == ("old", None)


@pytest.mark.parametrize(("one", "other"), SAME_IN_DATADOG)
def test_pods_with_the_former_spelling_of_an_env_keep_their_identity(one, other):
    pod = a_pod()
    pod["metadata"]["labels"] |= {DD_LABEL_ENV: one, DD_LABEL_SERVICE: "s"}
    assert may_run(pod, ("momentum", stored_value("env", other), "s"), None)


def test_values_that_differ_in_datadog_are_two_identities():
    index = an_index()
    index.upsert(an_agent_in("young", datadog={"env": "prod-eu"}))
    index.upsert(an_agent_in("old", age=5, datadog={"env": "prod_eu"}))
    assert (holder(index, "young"), holder(index, "old")) == (None, None)


def test_a_holder_keeps_the_identities_if_an_older_agent_is_added():
    index = an_index()
    index.upsert(an_agent_in("one", uid="b"))
    assert index.holder_other_than("b") is None
    assert index.upsert(an_agent_in("same-second", uid="a")) == []
    assert index.upsert(an_agent_in("old", age=5)) == []
    holders = [index.holder_other_than(uid) for uid in ("b", "a", "uid-old")]
    assert [item and item.namespace for item in holders] == [None, "one", "one"]


def test_after_a_restart_the_running_agent_holds_the_identities():
    index = an_index("young")
    index.upsert(an_agent_in("old", age=5))
    index.upsert(an_agent_in("young"))
    assert (holder(index, "old"), holder(index, "young")) == ("young", None)


@pytest.mark.parametrize(
    "apart",
    [
        {"name": "momentum-1"},
        {"datadog": {"env": "staging"}},
        {"datadog": {"service": "other"}},
        {"datadog": {"connection": "Disabled"}},
        {"replicas": 0},
    ],
)
def test_agents_with_another_name_env_or_service_do_not_conflict(apart):
    index = an_index()
    index.upsert(an_agent_in("old", age=5))
    index.upsert(an_agent_in("young", **apart))
    assert holder(index, "young") is None


def test_omitted_fields_have_their_defaults():
    index = an_index()
    written = {"env": "production", "service": "purpleflea-trading-agent"}
    index.upsert(an_agent_in("old", age=5, datadog=written))
    index.upsert(an_agent_in("young"))
    assert holder(index, "young") == "old"


def test_other_agents_are_affected_if_the_holder_is_deleted_or_changes_its_identity():
    index = an_index()
    for age, namespace in ((5, "first"), (4, "second"), (3, "third")):
        index.upsert(an_agent_in(namespace, age=age))
    assert holder(index, "third") == "first"
    moved = an_agent_in("first", age=5, datadog={"env": "staging"})
    assert namespaces(index.upsert(moved)) == ["second", "third"]
    assert (holder(index, "third"), holder(index, "second")) == ("second", None)
    assert namespaces(index.delete("uid-second")) == ["third"]
    assert index.delete("uid-second") == []
    assert holder(index, "third") is None


def test_the_deletion_of_an_agent_without_identities_affects_no_other():
    index = an_index()
    index.upsert(an_agent_in("first", age=5))
    index.upsert(an_agent_in("second"))
    assert index.delete("uid-second") == []


def test_an_unchanged_agent_affects_no_other():
    index = an_index()
    index.upsert(an_agent_in("first", age=5))
    index.upsert(an_agent_in("second"))
    assert index.upsert(an_agent_in("first", age=5)) == []


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
def test_the_sequence_of_events_does_not_decide_the_holder(sequence, gone):
    index = an_index()
    for number in sequence:
        index.upsert(an_agent_in(f"n{number}", age=number))
    for number in gone:
        index.delete(f"uid-n{number}")
    left = sorted(set(range(6)) - gone, reverse=True)
    expected = {number: None if number == left[0] else f"n{left[0]}" for number in left}
    assert {number: holder(index, f"n{number}") for number in left} == expected


def duplicate(*, holder="old/momentum", live=None, allow=False, **changes):
    """An agent whose identities belong to another agent, `holder`, with a StatefulSet of `live` replicas."""
    return observed_state(
        spec={"datadog": {"duplicateIdentity": "Allow"} if allow else {}},
        stateful_set=None if live is None else a_stateful_set(live),
        conflicting_agent=holder,
        **changes,
    )


@pytest.mark.parametrize(
    ("observed", "condition", "replicas"),
    [
        (duplicate(holder=""), ("False", "Unique"), 3),
        (duplicate(), ("True", "NotStarted"), 0),
        (duplicate(live=0), ("True", "NotStarted"), 0),
        (duplicate(live=2), ("True", "AlreadyRunning"), 2),
        (duplicate(live=5), ("True", "AlreadyRunning"), 3),
        (duplicate(allow=True), ("True", "Allowed"), 3),
        (duplicate(pods=[a_pod("momentum-1")]), ("True", "AlreadyRunning"), 2),
    ],
)
def test_a_duplicate_is_not_started_and_running_pods_stay(observed, condition, replicas):
    found = duplicate_identity(observed)
    assert (found.status, found.reason) == condition
    assert effective_agent(observed, observed.agent).spec.replicas == replicas


def test_agents_outside_the_watched_namespaces_are_unknown():
    bound = duplicate_identity(replace(duplicate(holder=""), sees_all_namespaces=False))
    assert (bound.status, bound.reason) == ("Unknown", "NotVisible")
    assert (
        duplicate_identity(replace(duplicate(), sees_all_namespaces=False)).reason == "NotStarted"
    )
    unseen = status.next_status(
        {},
        replace(duplicate(holder="", live=3), sees_all_namespaces=False),
        (bound,),
        name="m",
        now=NOW,
    )
    assert transitions({}, unseen) == ()


def test_a_duplicate_that_is_not_started_is_not_ready_and_has_a_remedy():
    found = {item.type: item for item in summary.findings(duplicate(live=0))}
    ready = found["Ready"]
    assert (ready.status, ready.reason) == ("False", "DuplicateIdentity")
    assert "old/momentum has the same name" in ready.message
    assert "spec.datadog.duplicateIdentity" in ready.message


def test_an_invalid_spec_is_not_a_duplicate():
    assert duplicate_identity(replace(duplicate(), agent=None)).reason == "Unique"


def test_a_duplicate_causes_a_warning_and_its_end_a_normal_event():
    def written(observed, before):
        return status.next_status(before, observed, summary.findings(observed), name="m", now=NOW)

    unique, twice = written(duplicate(holder="", live=3), {}), written(duplicate(live=3), {})
    assert [item.reason for item in transitions({}, unique) if "Duplicate" in item.reason] == []
    assert [(item.type, item.reason) for item in transitions(unique, twice)] == [
        ("Warning", "DuplicateIdentityAlreadyRunning")
    ]
    assert [(item.type, item.reason) for item in transitions(twice, unique)] == [
        ("Normal", "DuplicateIdentityUnique")
    ]


IDENTITY = ("momentum", "production", "purpleflea-trading-agent")
LATER = "2026-01-02T00:00:00Z"


def a_pod_with(env="production", service="purpleflea-trading-agent", **changes):
    found = a_pod(**changes)
    tags = {"tags.datadoghq.com/env": env, "tags.datadoghq.com/service": service}
    found["metadata"]["labels"] |= tags
    return found


def a_resource(created="2025-01-01T00:00:00Z", **spec):
    found = an_agent(**spec)
    found["metadata"]["creationTimestamp"] = created
    return found


@pytest.mark.parametrize(
    ("found", "resource", "holds"),
    [
        pytest.param(a_pod_with(), None, True, id="of a deleted agent"),
        pytest.param(a_pod_with(deleting=True), None, True, id="of a deleted agent, and ending"),
        pytest.param(a_pod_with(env="other"), None, False, id="with another env"),
        pytest.param(a_pod_with(service="other"), None, False, id="with another service"),
        pytest.param(a_pod(), None, False, id="without an env"),
        pytest.param(a_pod_with(), a_resource(), False, id="of an agent that claims the identity"),
        pytest.param(a_pod_with(), a_resource(LATER), True, id="of the predecessor of an agent"),
        pytest.param(
            a_pod_with(), a_resource(datadog={"env": "new"}), True, id="with the previous env"
        ),
        pytest.param(a_pod_with(), a_resource(replicas=0), True, id="of an agent scaled to zero"),
        pytest.param(
            a_pod_with(deleting=True),
            a_resource(datadog={"connection": "Disabled"}),
            True,
            id="that still sends telemetry",
        ),
        pytest.param(
            a_pod_with(env="production") | {"spec": a_pod(env=())["spec"]},
            a_resource(datadog={"connection": "Disabled"}),
            False,
            id="that sends no telemetry",
        ),
    ],
)
def test_a_pod_holds_the_identity_that_its_agent_does_not_claim(found, resource, holds):
    assert may_run(found, IDENTITY, resource) is holds


def a_workload(namespace, uid, *, replicas=1):
    tags = {
        f"tags.datadoghq.com/{key}": value
        for key, value in zip(("env", "service"), IDENTITY[1:], strict=True)
    }
    owner = {"kind": "PurpleFleaAgent", "name": "momentum", "uid": uid, "controller": True}
    metadata = {
        "name": "momentum",
        "namespace": namespace,
        "uid": f"uid-{namespace}",
        "resourceVersion": "1",
        "labels": {"app.kubernetes.io/instance": "momentum", **tags},
        "ownerReferences": [owner],
    }
    return {"kind": "StatefulSet", "metadata": metadata, "spec": {"replicas": replicas}}


def holders_with(*manifests, waiting_uid="b"):
    cache = ObjectCache()
    holders = IdentityHolders(cache)
    for item in manifests:
        cache.put(item)
    waiting = an_agent_in("b", uid=waiting_uid)
    cache.put(waiting)
    holders.claims.upsert(waiting)
    return holders


@pytest.mark.parametrize(
    ("left", "holder"),
    [
        ([], None),
        ([a_pod_with(namespace="a")], "a"),
        ([a_workload("a", "gone")], "a"),
        ([a_workload("a", "gone", replicas=0)], None),
        ([a_pod_with(namespace="b")], None),
        ([a_pod_with(namespace="a"), a_workload("b", "b")], None),
        ([a_pod_with(name="copy", namespace="a")], None),
    ],
    ids=[
        "nothing is left",
        "a pod",
        "a StatefulSet",
        "a StatefulSet without pods",
        "a pod of the same namespace",
        "the agent runs already",
        "a pod that has another name",
    ],
)
def test_an_agent_waits_for_the_pods_that_are_left_in_other_namespaces(left, holder):
    found = holders_with(*left).holder_other_than("b")
    assert (found and (found.namespace, found.is_ending)) == (holder and (holder, True))


def test_an_unknown_agent_has_no_holder():
    assert holders_with().holder_other_than("unknown") is None


def test_an_agent_that_waits_for_pods_has_a_command_to_see_them():
    state = duplicate(conflict_is_ending=True)
    found = duplicate_identity(state)
    assert found.reason == "NotStarted"
    assert (
        "kubectl get pods --namespace old --selector app.kubernetes.io/instance=momentum"
        in found.message
    )
