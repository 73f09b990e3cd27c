from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.api.observability_status import ObjectState
from purpleflea_operator.controllers.observability.decisions import pending_creates
from purpleflea_operator.controllers.observability.decisions.actions import existed_before
from purpleflea_operator.controllers.observability.decisions.desired import desired_state
from purpleflea_operator.controllers.observability.decisions.observation import Observation
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.datadog.client.errors import DatadogForbidden
from purpleflea_operator.datadog.client.models import Inventory, RemoteObject
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
DESIRED = desired_state(
    ObservabilitySpec.model_validate(
        {"keysSecretRef": {"name": "keys"}, "features": {"logIndex": True}}
    ),
    "uid-1",
)
DRAWDOWN = Reference(kind=ObjectKind.MONITOR, key="drawdown")


def an_observation(*, existing_references=(), **fields):
    missing = dict.fromkeys(item.definition.reference for item in DESIRED.objects)
    existing = {item: RemoteObject(kind=item.kind, id="7", body={}) for item in existing_references}
    return Observation(remote={**missing, **existing}, **fields)


def a_pending(**fields):
    return ObjectRecord(kind=DRAWDOWN.kind, key=DRAWDOWN.key, state=ObjectState.CREATING, **fields)


def recorded(registry, observation, now=NOON):
    has_new, waiting = pending_creates.record_intent(registry, DESIRED, observation, now)
    return has_new, waiting, registry.get(DRAWDOWN)


def test_the_intent_of_a_missing_object_is_recorded_before_its_create():
    has_new, waiting, record = recorded(ObjectRegistry(), an_observation())
    assert (has_new, waiting, record) == (True, frozenset(), a_pending())


def test_existing_and_unknown_objects_have_no_intent():
    hidden = Inventory(hidden=dict.fromkeys(ObjectKind, DatadogForbidden("403")))
    for observation in (
        an_observation(existing_references=[item.definition.reference for item in DESIRED.objects]),
        an_observation(inventory=hidden),
        an_observation(not_checked={item.definition.reference for item in DESIRED.objects}),
        an_observation(
            unreadable=dict.fromkeys(
                (i.definition.reference for i in DESIRED.objects), DatadogForbidden("")
            )
        ),
    ):
        registry = ObjectRegistry()
        assert recorded(registry, observation) == (False, frozenset(), None)
        assert list(registry) == []


def test_metrics_without_reports_and_the_index_order_have_no_intent():
    registry = ObjectRegistry()
    recorded(
        registry, an_observation(inventory=Inventory(reporting=frozenset({"agent.heartbeat"})))
    )
    kinds = [record.kind for record in registry]
    assert kinds.count(ObjectKind.METRIC_TAGS) == 1
    assert ObjectKind.LOG_INDEX_ORDER not in kinds


@pytest.mark.parametrize("since", ["", "yesterday", "2026-01-01T12:00:00"])
def test_a_pending_create_without_a_time_delays_the_next_attempt_from_now(since):
    _, waiting, record = recorded(ObjectRegistry([a_pending(since=since)]), an_observation())
    assert waiting == {DRAWDOWN}
    assert record == a_pending(since="2026-01-01T12:00:00+00:00")


def test_a_create_is_repeated_after_ten_seconds_without_the_object_and_not_before():
    record = pending_creates.with_since(a_pending(), NOON)
    assert pending_creates.with_since(record, NOON + timedelta(hours=1)) == record
    early = recorded(ObjectRegistry([record]), an_observation(), NOON + timedelta(seconds=9))
    assert early[1:] == (frozenset({DRAWDOWN}), record)
    late = recorded(ObjectRegistry([record]), an_observation(), NOON + timedelta(seconds=10))
    assert late[1:] == (frozenset(), a_pending())


def test_an_intent_without_a_request_is_discarded_when_the_pass_ends_early():
    waiting = ObjectRecord(kind=ObjectKind.SLO, key="api-success", state=ObjectState.CREATING)
    lost = pending_creates.with_since(
        ObjectRecord(kind=ObjectKind.DASHBOARD, key="fleet", state=ObjectState.CREATING), NOON
    )
    created = ObjectRecord(
        kind=ObjectKind.NOTEBOOK, key="weekly-report", state=ObjectState.IN_SYNC, id="1"
    )
    registry = ObjectRegistry([a_pending(), waiting, lost, created])
    pending_creates.discard_intent(registry, frozenset({waiting.reference}))
    states = {record.key: record.state for record in registry}
    assert states == {
        "drawdown": ObjectState.WAITING,
        "api-success": ObjectState.CREATING,
        "fleet": ObjectState.CREATING,
        "weekly-report": ObjectState.IN_SYNC,
    }


HEARTBEAT = next(item for item in DESIRED.objects if item.key == "agent.heartbeat")


def a_metric_record(**fields):
    return ObjectRecord(kind=HEARTBEAT.kind, key=HEARTBEAT.key, **fields)


@pytest.mark.parametrize(
    ("former", "identifier", "is_adopted"),
    [
        (a_metric_record(state=ObjectState.IN_SYNC, id="agent.heartbeat"), True, False),
        (
            a_metric_record(state=ObjectState.IN_SYNC, id="agent.heartbeat", adopted=True),
            True,
            True,
        ),
        (a_metric_record(state=ObjectState.CREATING), True, False),
        (a_metric_record(state=ObjectState.WAITING), False, False),
        (None, False, False),
    ],
)
def test_a_conflicting_configuration_keeps_the_origin_of_its_former_record(
    former, identifier, is_adopted
):
    remote = RemoteObject(kind=HEARTBEAT.kind, id="agent.heartbeat", body={})
    record = pending_creates.known_record(former, HEARTBEAT, remote)
    assert (bool(record.id), record.adopted) == (identifier, is_adopted)
    # Without an id, another user created the configuration, so it counts as adopted and is never deleted.
    assert existed_before(remote, record) is (is_adopted or not identifier)
