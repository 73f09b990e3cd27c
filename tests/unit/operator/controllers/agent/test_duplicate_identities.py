from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from purpleflea_operator.controllers.agent.conditions import summary
from purpleflea_operator.controllers.agent.conditions.duplicate_identity import duplicate_identity
from purpleflea_operator.controllers.agent.decisions import status
from purpleflea_operator.controllers.agent.decisions.duplicate_identities import IdentityIndex
from purpleflea_operator.controllers.agent.decisions.rollout import effective_agent
from purpleflea_operator.controllers.agent.decisions.transitions import transitions
from support.builders import a_pod, an_agent
from support.observed_states import a_stateful_set, observed_state

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_agent_in(namespace, *, age=0, uid=None, name="momentum", **spec):
    found = an_agent(name, namespace=namespace, uid=uid or f"uid-{namespace}", **spec)
    found["metadata"]["creationTimestamp"] = f"2026-01-{10 - age:02d}T00:00:00Z"
    return found


def spaces(claims):
    return [claim.namespace for claim in claims]


def an_index(*running):
    """An index; the agents of these namespaces run."""
    return IdentityIndex(lambda claim: claim.namespace in running)


def rival(index, namespace):
    found = index.rival(f"uid-{namespace}")
    return found.namespace if found else None


def test_of_two_that_do_not_run_the_younger_has_a_rival_and_the_older_none():
    index = an_index()
    assert index.note(an_agent_in("young")) == []
    assert index.note(an_agent_in("old", age=5)) == []
    assert (rival(index, "young"), rival(index, "old")) == ("old", None)


def test_who_may_start_keeps_the_identities_whoever_comes_later():
    index = an_index()
    index.note(an_agent_in("one", uid="b"))
    assert index.rival("b") is None
    assert index.note(an_agent_in("same-second", uid="a")) == []
    assert index.note(an_agent_in("old", age=5)) == []
    assert [index.rival(uid) and index.rival(uid).namespace for uid in ("b", "a", "uid-old")] == [
        None,
        "one",
        "one",
    ]


def test_after_a_restart_who_runs_has_them_whatever_the_ages():
    index = an_index("young")
    index.note(an_agent_in("old", age=5))
    index.note(an_agent_in("young"))
    assert (rival(index, "old"), rival(index, "young")) == ("young", None)


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
def test_another_name_env_or_service_or_no_identity_at_all_is_no_duplicate(apart):
    index = an_index()
    index.note(an_agent_in("old", age=5))
    index.note(an_agent_in("young", **apart))
    assert rival(index, "young") is None


def test_what_is_left_out_is_the_default():
    index = an_index()
    written = {"env": "production", "service": "purpleflea-trading-agent"}
    index.note(an_agent_in("old", age=5, datadog=written))
    index.note(an_agent_in("young"))
    assert rival(index, "young") == "old"


def test_the_others_are_called_when_the_one_that_has_them_goes_or_moves():
    index = an_index()
    for age, namespace in ((5, "first"), (4, "second"), (3, "third")):
        index.note(an_agent_in(namespace, age=age))
    assert rival(index, "third") == "first"
    moved = an_agent_in("first", age=5, datadog={"env": "staging"})
    assert spaces(index.note(moved)) == ["second", "third"]
    assert (rival(index, "third"), rival(index, "second")) == ("second", None)
    assert spaces(index.drop("uid-second")) == ["third"]
    assert index.drop("uid-second") == []
    assert rival(index, "third") is None


def test_one_behind_that_goes_concerns_nobody():
    index = an_index()
    index.note(an_agent_in("first", age=5))
    index.note(an_agent_in("second"))
    assert index.drop("uid-second") == []


def test_an_unchanged_agent_concerns_nobody():
    index = an_index()
    index.note(an_agent_in("first", age=5))
    index.note(an_agent_in("second"))
    assert index.note(an_agent_in("first", age=5)) == []


def test_a_sweep_forgets_those_that_are_gone():
    index = an_index()
    index.note(an_agent_in("first", age=5))
    index.note(an_agent_in("second"))
    assert rival(index, "second") == "first"
    assert spaces(index.keep_only(["uid-second"])) == ["second"]
    assert rival(index, "second") is None


@given(st.permutations(range(6)), st.sets(st.integers(0, 5)))
def test_the_order_in_which_agents_are_heard_of_decides_nothing(order, gone):
    index = an_index()
    for number in order:
        index.note(an_agent_in(f"n{number}", age=number))
    for number in gone:
        index.drop(f"uid-n{number}")
    left = sorted(set(range(6)) - gone, reverse=True)
    expected = {number: None if number == left[0] else f"n{left[0]}" for number in left}
    assert {number: rival(index, f"n{number}") for number in left} == expected


def duplicate(*, rival="old/momentum", live=None, allow=False, **changes):
    """An agent whose identities belong to `rival` already, with a StatefulSet of `live` replicas."""
    return observed_state(
        spec={"datadog": {"duplicateIdentity": "Allow"} if allow else {}},
        stateful_set=None if live is None else a_stateful_set(live),
        rival=rival,
        **changes,
    )


@pytest.mark.parametrize(
    ("observed", "condition", "replicas"),
    [
        (duplicate(rival=""), ("False", "Unique"), 3),
        (duplicate(), ("True", "NotStarted"), 0),
        (duplicate(live=0), ("True", "NotStarted"), 0),
        (duplicate(live=2), ("True", "AlreadyRunning"), 2),
        (duplicate(live=5), ("True", "AlreadyRunning"), 3),
        (duplicate(allow=True), ("True", "Allowed"), 3),
        (duplicate(pods=[a_pod("momentum-1")]), ("True", "AlreadyRunning"), 2),
    ],
)
def test_a_duplicate_is_not_started_and_what_runs_is_left_alone(observed, condition, replicas):
    found = duplicate_identity(observed)
    assert (found.status, found.reason) == condition
    assert effective_agent(observed, observed.agent).spec.replicas == replicas


def test_what_lies_outside_the_watched_namespaces_is_not_guessed():
    bound = duplicate_identity(replace(duplicate(rival=""), sees_all=False))
    assert (bound.status, bound.reason) == ("Unknown", "NotVisible")
    assert duplicate_identity(replace(duplicate(), sees_all=False)).reason == "NotStarted"
    unseen = status.next_status(
        {}, replace(duplicate(rival="", live=3), sees_all=False), (bound,), name="m", now=NOW
    )
    assert transitions({}, unseen) == ()


def test_one_that_is_not_started_is_not_ready_and_says_what_to_do():
    found = {item.type: item for item in summary.findings(duplicate(live=0))}
    ready = found["Ready"]
    assert (ready.status, ready.reason) == ("False", "DuplicateIdentity")
    assert "old/momentum has the same name" in ready.message
    assert "spec.datadog.duplicateIdentity" in ready.message


def test_an_invalid_spec_is_no_duplicate():
    assert duplicate_identity(replace(duplicate(), agent=None)).reason == "Unique"


def test_a_duplicate_is_bad_news_and_its_end_is_good_news():
    def written(observed, before):
        return status.next_status(before, observed, summary.findings(observed), name="m", now=NOW)

    unique, twice = written(duplicate(rival="", live=3), {}), written(duplicate(live=3), {})
    assert [item.reason for item in transitions({}, unique) if "Duplicate" in item.reason] == []
    assert [(item.type, item.reason) for item in transitions(unique, twice)] == [
        ("Warning", "DuplicateIdentityAlreadyRunning")
    ]
    assert [(item.type, item.reason) for item in transitions(twice, unique)] == [
        ("Normal", "DuplicateIdentityUnique")
    ]
