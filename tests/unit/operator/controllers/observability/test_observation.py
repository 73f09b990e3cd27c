import pytest

from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.api.observability_status import ObjectState
from purpleflea_operator.controllers.observability.decisions.desired import desired_state
from purpleflea_operator.controllers.observability.decisions.observation import (
    missing_records,
    observe,
)
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.datadog.client.errors import DatadogForbidden
from purpleflea_operator.datadog.client.models import Inventory, RemoteObject, owned_fields
from purpleflea_operator.datadog.definitions.objects import ObjectKind

DESIRED = desired_state(
    ObservabilitySpec.model_validate({"keysSecretRef": {"name": "keys"}}), "uid-1"
)
MONITORS = [item for item in DESIRED.objects if item.kind is ObjectKind.MONITOR][:3]
FIRST, SECOND, THIRD = (item.definition.reference for item in MONITORS)


def a_record(reference, **fields):
    usual = {"state": ObjectState.IN_SYNC, "id": f"id-of-{reference.key}"}
    return ObjectRecord(kind=reference.kind, key=reference.key, **{**usual, **fields})


def an_inventory(*items):
    remotes = (
        RemoteObject(
            kind=item.kind,
            id=f"id-of-{item.key}",
            body=owned_fields(item.kind, item.definition.body),
        )
        for item in items
    )
    return Inventory(objects={ObjectKind.MONITOR: tuple(remotes)})


def observed(*records, inventory=None, sequence=None):
    return observe(inventory or Inventory(), ObjectRegistry(records), DESIRED, sequence)


def keys_to_read(observation):
    return [item.key for item, _ in observation.to_read]


def test_a_listed_object_is_matched_and_its_record_is_no_longer_unlisted():
    record = a_record(FIRST, unlisted=True)
    observation = observed(record, inventory=an_inventory(MONITORS[0]))
    assert observation.remote[FIRST].id == record.id
    assert observation.records == (a_record(FIRST),)
    assert observation.to_read == ()


def test_an_observation_does_not_change_the_registry():
    registry = ObjectRegistry([a_record(FIRST, unlisted=True)])
    observe(an_inventory(MONITORS[0]), registry, DESIRED, None)
    assert list(registry) == [a_record(FIRST, unlisted=True)]


def test_a_recorded_object_that_no_list_shows_is_read():
    assert keys_to_read(observed(a_record(FIRST), sequence=1)) == [FIRST.key]


@pytest.mark.parametrize(
    "record",
    [
        a_record(FIRST, id=""),
        ObjectRecord(kind=ObjectKind.LOG_PIPELINE, key="agents", state=ObjectState.IN_SYNC, id="p"),
    ],
)
def test_objects_without_an_id_and_fully_listed_kinds_are_not_read(record):
    observation = observed(record)
    assert observation.to_read == ()
    assert observation.not_checked == set()


def test_objects_of_a_hidden_kind_are_neither_read_nor_missing():
    hidden = Inventory(hidden={ObjectKind.MONITOR: DatadogForbidden("403")})
    observation = observed(a_record(FIRST), inventory=hidden)
    assert observation.to_read == ()
    assert not observation.is_missing(MONITORS[0])


def test_unlisted_objects_are_read_in_rotation():
    records = [a_record(reference, unlisted=True) for reference in (FIRST, SECOND, THIRD)]
    for sequence, reference in enumerate((FIRST, SECOND, THIRD, FIRST)):
        observation = observed(*records, sequence=sequence)
        assert keys_to_read(observation) == [reference.key]
        assert observation.not_checked == {FIRST, SECOND, THIRD} - {reference}


def test_after_a_change_of_the_spec_all_unlisted_objects_are_read():
    records = [a_record(reference, unlisted=True) for reference in (FIRST, SECOND)]
    observation = observed(*records, sequence=None)
    assert keys_to_read(observation) == [FIRST.key, SECOND.key]
    assert observation.not_checked == set()


def missing(*records, inventory=None):
    registry = ObjectRegistry(records)
    observation = observe(inventory or Inventory(), registry, DESIRED, None)
    return missing_records(registry, DESIRED, observation)


def test_all_records_are_returned_if_none_of_the_objects_exists():
    records = (a_record(FIRST), a_record(SECOND))
    assert missing(*records) == records


def test_no_record_is_returned_if_an_object_exists_or_only_one_is_recorded():
    assert missing(a_record(FIRST)) == ()
    inventory = an_inventory(MONITORS[1])
    assert missing(a_record(FIRST), a_record(SECOND), inventory=inventory) == ()


def test_kinds_with_names_as_ids_do_not_indicate_another_organization():
    metrics = [item for item in DESIRED.objects if item.kind is ObjectKind.METRIC_TAGS][:2]
    assert missing(*(a_record(item.definition.reference) for item in metrics)) == ()
