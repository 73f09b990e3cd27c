from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_operator.controllers.agent.decisions import status
from purpleflea_operator.controllers.agent.decisions.conditions import summary
from purpleflea_operator.controllers.agent.decisions.conditions.duplicate_identity import (
    duplicate_identity,
)
from purpleflea_operator.controllers.agent.decisions.duplicate_identities import (
    IdentityIndex,
    identity_of_child,
)
from purpleflea_operator.controllers.agent.decisions.rollout import effective_agent
from purpleflea_operator.controllers.agent.decisions.transitions import transitions
from support.builders import a_pod, an_agent
from support.observed_states import a_stateful_set, observed_state

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_agent_in(namespace, *, age=0, uid=None, name="momentum", **spec):
    found = an_agent(name, namespace=namespace, uid=uid or f"uid-{namespace}", **spec)
    found["metadata"]["creationTimestamp"] = f"2026-01-{10 - age:02d}T00:00:00Z"
    return found


def namespaces(claims):
    return [claim.namespace for claim in claims]


def an_index(*running, pods=()):
    """Return an index in which the agents of these namespaces run, and those of `pods` have pods."""
    return IdentityIndex(
        lambda claim: claim.namespace in running, lambda claim, key: claim.namespace in pods
    )


def holder(index, namespace):
    found = index.holder_other_than(f"uid-{namespace}")
    return found.namespace if found else None


def test_if_neither_agent_runs_the_older_one_holds_the_identities():
    index = an_index()
    assert index.upsert(an_agent_in("young")) == []
    assert index.upsert(an_agent_in("old", age=5)) == []
    assert (holder(index, "young"), holder(index, "old")) == ("old", None)


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


def test_an_identity_is_free_only_when_the_pods_of_the_deleted_agent_are_gone():
    pods = {"left"}
    index = an_index(pods=pods)
    index.upsert(an_agent_in("left"))
    assert holder(index, "left") is None
    index.upsert(an_agent_in("new"))
    assert namespaces(index.delete("uid-left")) == ["new"]
    assert holder(index, "new") == "left"
    assert index.on_pod_gone("momentum") == []
    assert index.on_pod_gone("other") == []
    pods.clear()
    assert namespaces(index.on_pod_gone("momentum")) == ["new"]
    assert holder(index, "new") is None
    assert index.on_pod_gone("momentum") == []


def test_an_identity_is_free_only_when_the_pods_of_an_agent_that_changes_its_identity_are_gone():
    index = an_index(pods={"changed"})
    index.upsert(an_agent_in("changed"))
    index.upsert(an_agent_in("new"))
    assert holder(index, "changed") is None
    index.upsert(an_agent_in("changed", datadog={"env": "test"}))
    assert holder(index, "new") == "changed"


def test_the_pods_of_a_deleted_agent_in_the_same_namespace_delay_no_successor():
    index = an_index(pods={"left"})
    index.upsert(an_agent_in("left"))
    index.delete("uid-left")
    index.upsert(an_agent_in("left", uid="uid-successor"))
    assert index.holder_other_than("uid-successor") is None


def test_pods_that_are_left_do_not_concern_an_agent_that_runs_already():
    index = an_index("new", pods={"left"})
    index.upsert(an_agent_in("new"))
    index.upsert(an_agent_in("left"))
    index.delete("uid-left")
    assert holder(index, "new") is None


def test_of_several_agents_that_are_left_each_keeps_the_identity():
    pods = {"one", "two"}
    index = an_index(pods=pods)
    for namespace in ("one", "two"):
        index.upsert(an_agent_in(namespace))
        index.delete(f"uid-{namespace}")
    index.upsert(an_agent_in("new"))
    pods.discard("one")
    assert namespaces(index.on_pod_gone("momentum")) == ["new"]
    assert holder(index, "new") == "two"


def test_the_labels_of_a_child_give_its_identity():
    labels = {
        "app.kubernetes.io/instance": "momentum",
        "tags.datadoghq.com/env": "paper",
        "tags.datadoghq.com/service": "desk",
    }
    assert identity_of_child(labels) == ("momentum", "paper", "desk")
    assert identity_of_child({}) == ("", "", "")
