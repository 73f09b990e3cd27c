import pytest

from purpleflea_operator.api.observability_status import State
from purpleflea_operator.controllers.observability.decisions import payloads
from purpleflea_operator.controllers.observability.decisions.actions import (
    Case,
    Create,
    Keep,
    Leave,
    Read,
    Refuse,
    Update,
    Wait,
    step,
    was_there,
)
from purpleflea_operator.controllers.observability.decisions.registry import ObjectRecord
from purpleflea_operator.datadog.client.models import RemoteObject
from purpleflea_operator.datadog.definitions.objects import ObjectKind

TAGS = ["purpleflea-uid:uid-1", "purpleflea-object:drawdown"]
BODY = {"name": "n", "query": "q", "tags": TAGS}
DIGEST = payloads.digest(ObjectKind.MONITOR, BODY)
METRIC = {"data": {"type": "manage_tags", "id": "m", "attributes": {"tags": ["env"]}}}


def a_case(found=None, entry=None, **fields):
    usual = {
        "kind": ObjectKind.MONITOR,
        "key": "drawdown",
        "body": BODY,
        "owners": ("uid-1", "old"),
    }
    return Case(found=found, entry=entry, **{**usual, "keeps": False, "reports": True, **fields})


def there(**changes):
    return RemoteObject(kind=ObjectKind.MONITOR, id="7", body={**BODY, **changes})


def known(**fields):
    usual = {"kind": ObjectKind.MONITOR, "key": "drawdown", "state": State.IN_SYNC, "id": "7"}
    return ObjectRecord(**{**usual, "hash": DIGEST, **fields})


def a_metric(tags=(), entry=None, **fields):
    found = (
        RemoteObject(kind=ObjectKind.METRIC_TAGS, id="m", body={"tags": list(tags)})
        if tags
        else None
    )
    return a_case(found, entry, kind=ObjectKind.METRIC_TAGS, key="m", body=METRIC, **fields)


def test_what_is_not_there_is_made():
    assert step(a_case()) == Create()
    assert step(a_case(entry=known())) == Create()


def test_a_metric_is_configured_once_it_has_reported():
    assert step(a_metric(reports=False)) == Wait(why="the metric has not reported yet")
    assert step(a_metric()) == Create()


def test_the_order_of_indexes_is_never_made():
    assert isinstance(step(a_case(kind=ObjectKind.LOG_INDEX_ORDER, body={})), Wait)


def test_what_is_right_is_left():
    assert step(a_case(there())) == Leave()
    assert step(a_case(there(), known(adopted=True))) == Leave()


@pytest.mark.parametrize("keeps", [False, True])
def test_what_should_be_otherwise_now_is_changed_under_either_policy(keeps):
    found = step(a_case(there(query="old"), known(hash="old"), keeps=keeps))
    assert found == Update(changes="query", by_hand=False)


def test_an_edit_by_hand_is_told_from_a_change_of_the_spec_by_the_hash():
    assert step(a_case(there(query="x"), known())) == Update(changes="query", by_hand=True)
    assert step(a_case(there(query="x"), known(), keeps=True)) == Keep(changes="query")


def test_with_the_memory_lost_the_policy_decides():
    assert step(a_case(there(query="x"))) == Update(changes="query", by_hand=False)
    assert step(a_case(there(query="x"), keeps=True)) == Keep(changes="query")


def test_an_object_taken_over_gets_our_mark_under_either_policy():
    theirs = there(tags=["purpleflea-uid:old", "purpleflea-object:drawdown"])
    assert step(a_case(theirs, keeps=True)) == Update(changes="tags", by_hand=False)


def test_a_configuration_of_somebody_else_is_not_touched():
    assert isinstance(step(a_metric(["region"])), Refuse)
    creating = ObjectRecord(kind=ObjectKind.METRIC_TAGS, key="m", state=State.CREATING)
    assert isinstance(step(a_metric(["region"], creating)), Refuse)


def a_configuration(state=None, **fields):
    """A configuration that is there, and what is remembered of it."""
    found = RemoteObject(kind=ObjectKind.METRIC_TAGS, id="m", body={"tags": ["env"]})
    entry = (
        ObjectRecord(kind=ObjectKind.METRIC_TAGS, key="m", state=state, **fields) if state else None
    )
    return found, entry


def test_a_configuration_that_was_there_before_is_adopted():
    assert step(a_metric(["env"])) == Leave()
    assert was_there(*a_configuration())
    assert was_there(*a_configuration(State.PLANNED))
    assert was_there(*a_configuration(State.IN_SYNC, id="m", adopted=True))


def test_a_configuration_that_was_announced_and_is_there_was_made_by_us():
    assert not was_there(*a_configuration(State.CREATING))
    assert not was_there(*a_configuration(State.IN_SYNC, id="m"))
    ours = ObjectRecord(kind=ObjectKind.METRIC_TAGS, key="m", state=State.IN_SYNC, id="m")
    assert step(a_metric(["region"], ours)) == Update(changes="tags", by_hand=False)


def test_a_configuration_that_another_resource_made_is_made_by_us():
    assert not was_there(*a_configuration(), is_shared=True)


def test_a_mark_says_whether_an_object_was_there_whatever_is_remembered():
    adopted = there(tags=[*TAGS, "purpleflea-adopted:true"])
    assert was_there(adopted, None)
    assert was_there(adopted, known())
    assert not was_there(there(), None)
    assert was_there(there(), known(adopted=True))


def test_the_order_of_indexes_is_ours_to_change_and_never_ours():
    body = {"index_names": ["a", "main"]}
    found = RemoteObject(
        kind=ObjectKind.LOG_INDEX_ORDER, id="organisation", body={"index_names": ["main"]}
    )
    case = a_case(found, kind=ObjectKind.LOG_INDEX_ORDER, body=body, keeps=True)
    assert step(case) == Update(changes="index_names", by_hand=False)
    right = RemoteObject(kind=ObjectKind.LOG_INDEX_ORDER, id="organisation", body=body)
    assert step(a_case(right, kind=ObjectKind.LOG_INDEX_ORDER, body=body)) == Leave()
    assert not was_there(right, None)


def test_an_index_that_bears_our_name_and_no_mark_is_somebody_elses():
    body = {"name": "i", "filter": {"query": "a"}}
    found = RemoteObject(kind=ObjectKind.LOG_INDEX, id="i", body={"filter": {"query": "b"}})
    assert isinstance(step(a_case(found, kind=ObjectKind.LOG_INDEX, body=body)), Refuse)


def test_an_index_that_bears_our_name_and_the_mark_of_another_resource_is_its_own():
    body = {"name": "i", "filter": {"query": "a"}, "tags": TAGS}
    theirs = ["purpleflea-uid:uid-2", "purpleflea-object:drawdown"]
    found = RemoteObject(
        kind=ObjectKind.LOG_INDEX, id="i", body={"filter": {"query": "a"}, "tags": theirs}
    )
    assert isinstance(step(a_case(found, kind=ObjectKind.LOG_INDEX, body=body)), Refuse)


def shallow(version="v1"):
    return RemoteObject(kind=ObjectKind.MONITOR, id="7", body=None, version=version)


def test_a_list_that_shows_only_a_time_of_change_is_enough_while_it_stands():
    assert step(a_case(shallow(), known(version="v1"))) == Leave()
    edited = known(version="v1", state=State.EDITED, change="widgets")
    assert step(a_case(shallow(), edited)) == Keep(changes="widgets")


@pytest.mark.parametrize(
    "entry",
    [
        None,
        known(version="v0"),
        known(version="v1", hash="old"),
        known(version="v1", state=State.PLANNED),
        known(version="v1", state=State.FAILED),
    ],
)
def test_otherwise_the_object_is_read(entry):
    assert step(a_case(shallow(), entry)) == Read()
