import pytest

from purpleflea_operator.api.observability_status import ObjectState
from purpleflea_operator.controllers.observability.decisions import payloads
from purpleflea_operator.controllers.observability.decisions.actions import (
    Case,
    CreateStep,
    KeepStep,
    LeaveStep,
    ReadStep,
    RefuseStep,
    UpdateStep,
    WaitStep,
    existed_before,
    next_action,
)
from purpleflea_operator.controllers.observability.decisions.registry import ObjectRecord
from purpleflea_operator.datadog.client.models import RemoteObject
from purpleflea_operator.datadog.definitions.objects import ObjectKind

TAGS = ["purpleflea-uid:uid-1", "purpleflea-object:drawdown"]
BODY = {"name": "n", "query": "q", "tags": TAGS}
DIGEST = payloads.digest(ObjectKind.MONITOR, BODY)
METRIC = {"data": {"type": "manage_tags", "id": "m", "attributes": {"tags": ["env"]}}}


def a_case(remote=None, record=None, **fields):
    usual = {
        "kind": ObjectKind.MONITOR,
        "key": "drawdown",
        "body": BODY,
        "owners": ("uid-1", "old"),
    }
    return Case(
        remote=remote,
        record=record,
        **{**usual, "keeps_edits": False, "has_reported": True, **fields},
    )


def there(**changes):
    return RemoteObject(kind=ObjectKind.MONITOR, id="7", body={**BODY, **changes})


def known(**fields):
    usual = {"kind": ObjectKind.MONITOR, "key": "drawdown", "state": ObjectState.IN_SYNC, "id": "7"}
    return ObjectRecord(**{**usual, "hash": DIGEST, **fields})


def a_metric(tags=(), record=None, **fields):
    remote = (
        RemoteObject(kind=ObjectKind.METRIC_TAGS, id="m", body={"tags": list(tags)})
        if tags
        else None
    )
    return a_case(remote, record, kind=ObjectKind.METRIC_TAGS, key="m", body=METRIC, **fields)


def test_a_missing_object_is_created():
    assert next_action(a_case()) == CreateStep()
    assert next_action(a_case(record=known())) == CreateStep()


def test_a_metric_is_configured_after_it_has_reported():
    assert next_action(a_metric(has_reported=False)) == WaitStep(
        message="the metric has not reported yet"
    )
    assert next_action(a_metric()) == CreateStep()


def test_the_index_order_is_never_created():
    assert isinstance(next_action(a_case(kind=ObjectKind.LOG_INDEX_ORDER, body={})), WaitStep)


def test_an_object_that_matches_is_not_written():
    assert next_action(a_case(there())) == LeaveStep()
    assert next_action(a_case(there(), known(adopted=True))) == LeaveStep()


@pytest.mark.parametrize("keeps_edits", [False, True])
def test_a_change_of_the_spec_updates_the_object_under_either_policy(keeps_edits):
    action = next_action(a_case(there(query="old"), known(hash="old"), keeps_edits=keeps_edits))
    assert action == UpdateStep(changes="query", is_manual_edit=False)


def test_the_hash_distinguishes_a_manual_edit_from_a_change_of_the_spec():
    assert next_action(a_case(there(query="x"), known())) == UpdateStep(
        changes="query", is_manual_edit=True
    )
    assert next_action(a_case(there(query="x"), known(), keeps_edits=True)) == KeepStep(
        changes="query"
    )


def test_without_a_record_the_drift_policy_decides():
    assert next_action(a_case(there(query="x"))) == UpdateStep(
        changes="query", is_manual_edit=False
    )
    assert next_action(a_case(there(query="x"), keeps_edits=True)) == KeepStep(changes="query")


def test_an_adopted_object_gets_the_ownership_tags_under_either_policy():
    theirs = there(tags=["purpleflea-uid:old", "purpleflea-object:drawdown"])
    assert next_action(a_case(theirs, keeps_edits=True)) == UpdateStep(
        changes="tags", is_manual_edit=False
    )


def test_a_foreign_metric_configuration_is_not_changed():
    assert isinstance(next_action(a_metric(["region"])), RefuseStep)
    creating = ObjectRecord(kind=ObjectKind.METRIC_TAGS, key="m", state=ObjectState.CREATING)
    assert isinstance(next_action(a_metric(["region"], creating)), RefuseStep)


def a_configuration(state=None, **fields):
    """Return an existing metric configuration and its record."""
    remote = RemoteObject(kind=ObjectKind.METRIC_TAGS, id="m", body={"tags": ["env"]})
    record = (
        ObjectRecord(kind=ObjectKind.METRIC_TAGS, key="m", state=state, **fields) if state else None
    )
    return remote, record


def test_an_existing_metric_configuration_is_adopted():
    assert next_action(a_metric(["env"])) == LeaveStep()
    assert existed_before(*a_configuration())
    assert existed_before(*a_configuration(ObjectState.PLANNED))
    assert existed_before(*a_configuration(ObjectState.IN_SYNC, id="m", adopted=True))


def test_a_metric_configuration_with_a_recorded_intent_counts_as_created():
    assert not existed_before(*a_configuration(ObjectState.CREATING))
    assert not existed_before(*a_configuration(ObjectState.IN_SYNC, id="m"))
    ours = ObjectRecord(kind=ObjectKind.METRIC_TAGS, key="m", state=ObjectState.IN_SYNC, id="m")
    assert next_action(a_metric(["region"], ours)) == UpdateStep(
        changes="tags", is_manual_edit=False
    )


def test_a_metric_configuration_of_another_resource_is_not_adopted():
    assert not existed_before(*a_configuration(), is_shared=True)


def test_the_adopted_tag_takes_precedence_over_the_record():
    adopted = there(tags=[*TAGS, "purpleflea-adopted:true"])
    assert existed_before(adopted, None)
    assert existed_before(adopted, known())
    assert not existed_before(there(), None)
    assert existed_before(there(), known(adopted=True))


def test_the_index_order_is_updated_but_never_adopted():
    body = {"index_names": ["a", "main"]}
    remote = RemoteObject(
        kind=ObjectKind.LOG_INDEX_ORDER, id="organisation", body={"index_names": ["main"]}
    )
    case = a_case(remote, kind=ObjectKind.LOG_INDEX_ORDER, body=body, keeps_edits=True)
    assert next_action(case) == UpdateStep(changes="index_names", is_manual_edit=False)
    matching = RemoteObject(kind=ObjectKind.LOG_INDEX_ORDER, id="organisation", body=body)
    assert next_action(a_case(matching, kind=ObjectKind.LOG_INDEX_ORDER, body=body)) == LeaveStep()
    assert not existed_before(matching, None)


def test_an_index_with_the_desired_name_but_without_tags_is_foreign():
    body = {"name": "i", "filter": {"query": "a"}}
    remote = RemoteObject(kind=ObjectKind.LOG_INDEX, id="i", body={"filter": {"query": "b"}})
    assert isinstance(next_action(a_case(remote, kind=ObjectKind.LOG_INDEX, body=body)), RefuseStep)


def test_an_index_with_the_tags_of_another_resource_is_refused():
    body = {"name": "i", "filter": {"query": "a"}, "tags": TAGS}
    theirs = ["purpleflea-uid:uid-2", "purpleflea-object:drawdown"]
    remote = RemoteObject(
        kind=ObjectKind.LOG_INDEX, id="i", body={"filter": {"query": "a"}, "tags": theirs}
    )
    assert isinstance(next_action(a_case(remote, kind=ObjectKind.LOG_INDEX, body=body)), RefuseStep)


def shallow(version="v1"):
    return RemoteObject(kind=ObjectKind.MONITOR, id="7", body=None, version=version)


def test_an_unchanged_modification_time_is_sufficient():
    assert next_action(a_case(shallow(), known(version="v1"))) == LeaveStep()
    edited = known(version="v1", state=ObjectState.EDITED, change="widgets")
    assert next_action(a_case(shallow(), edited)) == KeepStep(changes="widgets")


@pytest.mark.parametrize(
    "record",
    [
        None,
        known(version="v0"),
        known(version="v1", hash="old"),
        known(version="v1", state=ObjectState.PLANNED),
        known(version="v1", state=ObjectState.FAILED),
    ],
)
def test_an_object_with_a_new_modification_time_or_record_is_read(record):
    assert next_action(a_case(shallow(), record)) == ReadStep()
