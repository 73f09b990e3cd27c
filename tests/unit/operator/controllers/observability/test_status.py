from datetime import UTC, datetime

import pytest

from purpleflea_operator.api.observability_status import ObjectState, ObservabilityStatus
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
    registry_from_status,
)
from purpleflea_operator.controllers.observability.decisions.status import (
    VALID,
    ConditionValue,
    PassResult,
    SyncState,
    events,
    next_status,
)
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 1, 1, 13, tzinfo=UTC)
REJECTED = ConditionValue(status="False", reason="Rejected", message="no")


def records(*states):
    return ObjectRegistry(
        ObjectRecord(
            kind=ObjectKind.MONITOR,
            key=f"m{number}",
            state=state,
            id=str(number),
            change="query" if state is ObjectState.EDITED else "",
            last_error="400: bad" if state is ObjectState.FAILED else "",
        )
        for number, state in enumerate(states)
    )


def status(registry, *, current=None, now=NOON, **fields):
    usual = {"generation": 3, "wanted": len(list(registry)), "keys": VALID}
    return next_status(current or {}, registry, SyncState(**{**usual, **fields}), now)


def values(current):
    return {item["type"]: (item["status"], item["reason"]) for item in current["conditions"]}


@pytest.mark.parametrize(
    ("states", "synced", "ready", "degraded"),
    [
        ([ObjectState.IN_SYNC], ("True", "InSync"), "True", "False"),
        ([ObjectState.IN_SYNC, ObjectState.WAITING], ("True", "InSync"), "True", "False"),
        ([ObjectState.CREATING], ("False", "Progressing"), "False", "False"),
        ([ObjectState.EDITED], ("False", "Edited"), "True", "False"),
        ([ObjectState.PLANNED], ("False", "Planned"), "True", "False"),
        (
            [ObjectState.IN_SYNC, *[ObjectState.FAILED] * 5],
            ("False", "ObjectsFailed"),
            "False",
            "True",
        ),
    ],
)
def test_the_conditions_follow_from_the_states_of_the_objects(states, synced, ready, degraded):
    conditions = values(status(records(*states)))
    assert conditions["Synced"] == synced
    assert (conditions["Ready"][0], conditions["Degraded"][0]) == (ready, degraded)


def test_messages_name_the_first_objects_and_count_the_others():
    messages = {
        item["type"]: item["message"]
        for item in status(records(*[ObjectState.FAILED] * 5))["conditions"]
    }
    assert messages["Degraded"].count("400: bad") == 3
    assert messages["Degraded"].endswith("; and 2 more")
    assert messages["Synced"].endswith("monitor/m2 and 2 more")
    edited = {
        item["type"]: item["message"] for item in status(records(ObjectState.EDITED))["conditions"]
    }
    assert edited["Synced"].endswith("monitor/m0 (query)")


@pytest.mark.parametrize(
    ("reason", "degraded"), [("Unreachable", "True"), ("RateLimited", "False")]
)
def test_an_outage_degrades_and_a_rate_limit_does_not(reason, degraded):
    interruption = ConditionValue(status="False", reason=reason, message="503")
    conditions = values(status(records(ObjectState.IN_SYNC), interruption=interruption))
    assert conditions["Synced"] == ("False", reason)
    assert conditions["Degraded"][0] == degraded
    assert conditions["Ready"][0] == "False"


def test_ready_reports_rejected_keys_first():
    interruption = ConditionValue(status="False", reason="KeysInvalid", message="no")
    conditions = values(status(records(), keys=REJECTED, interruption=interruption))
    assert conditions["Ready"] == ("False", "Rejected")


def test_keys_that_were_not_checked_keep_their_condition():
    assert values(status(records(), keys=None))["KeysValid"] == ("Unknown", "NotChecked")
    assert values(status(records(), keys=None))["Ready"][0] == "False"
    before = status(records(), keys=REJECTED)
    assert values(status(records(), current=before, keys=None))["KeysValid"][1] == "Rejected"


def test_the_status_changes_only_if_the_state_changes():
    before = status(records(ObjectState.IN_SYNC))
    assert status(records(ObjectState.IN_SYNC), current=before, now=LATER) == before
    changed = status(records(ObjectState.FAILED), current=before, now=LATER)
    times = {item["type"]: item["lastTransitionTime"] for item in changed["conditions"]}
    assert (times["KeysValid"], times["Synced"]) == ("2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z")


def test_the_number_of_wanted_objects_is_kept_if_the_spec_is_invalid():
    before = status(records(ObjectState.IN_SYNC, ObjectState.IN_SYNC))
    assert status(records(), current=before, wanted=0)["wanted"] == 2


def test_a_full_status_is_valid_for_the_crd():
    many = ObjectRegistry(
        ObjectRecord(
            kind=ObjectKind.MONITOR,
            key=f"m{n}",
            state=ObjectState.FAILED,
            id="1",
            last_error="x" * 2000,
            change="y" * 2000,
            adopted=True,
            unlisted=True,
            since="2026-01-01T12:00:00+00:00",
            hash="h",
            version="v",
            link="l",
        )
        for n in range(200)
    )
    parsed = ObservabilityStatus.model_validate(status(many), extra="forbid")
    assert len(parsed.objects) == 128


def test_the_registry_is_restored_from_the_status():
    registry = records(ObjectState.EDITED, ObjectState.FAILED, ObjectState.IN_SYNC)
    shown = status(registry)
    assert list(registry_from_status(shown)) == list(registry)
    registry.sort(
        [Reference(kind=ObjectKind.MONITOR, key="m2"), Reference(kind=ObjectKind.SLO, key="m2")]
    )
    assert [record.key for record in registry] == ["m2", "m0", "m1"]
    assert next(record.name for record in registry) == "monitor/m2 (2)"
    registry.delete(Reference(kind=ObjectKind.MONITOR, key="m2"))
    registry.delete(Reference(kind=ObjectKind.MONITOR, key="m2"))
    assert registry.get(Reference(kind=ObjectKind.MONITOR, key="m2")) is None


@pytest.mark.parametrize(
    "item", [{}, {"kind": "monitor"}, {"kind": "x", "key": "k", "state": "InSync"}]
)
def test_unreadable_records_in_a_status_are_omitted(item):
    assert list(registry_from_status({"objects": [item]})) == []


def reasons(current, wanted, pass_result=None):
    return [(event.type, event.reason) for event in events(current, wanted, pass_result)]


def test_events_report_only_changes_of_conditions():
    good, bad = status(records(ObjectState.IN_SYNC)), status(records(ObjectState.FAILED))
    assert reasons({}, good) == [("Normal", "SyncedInSync")]
    assert reasons(good, good) == []
    assert reasons(good, bad) == [("Warning", "DegradedObjectsFailed")]
    assert reasons(bad, good) == [("Normal", "DegradedAsExpected"), ("Normal", "SyncedInSync")]


def test_events_report_rejected_and_accepted_keys():
    good = status(records(ObjectState.IN_SYNC))
    interruption = ConditionValue(status="False", reason="KeysInvalid", message="no")
    bad = status(records(ObjectState.IN_SYNC), keys=REJECTED, interruption=interruption)
    assert ("Warning", "KeysValidRejected") in reasons(good, bad)
    assert ("Normal", "KeysValidValid") in reasons(bad, good)


def test_temporary_states_cause_no_events():
    assert reasons({}, status(records(ObjectState.CREATING))) == []
    interruption = ConditionValue(status="False", reason="RateLimited", message="429")
    assert (
        reasons(status(records(ObjectState.IN_SYNC)), status(records(), interruption=interruption))
        == []
    )
    assert reasons({}, status(records(ObjectState.CREATING), keys=None)) == []


def test_reverted_and_recreated_objects_are_reported_by_name():
    good = status(records(ObjectState.IN_SYNC))
    pass_result = PassResult(reverted=["monitor/a (query)"], recreated=["slo/b"])
    posted = events(good, good, pass_result)
    assert [event.reason for event in posted] == ["EditsReverted", "ObjectsRemade"]
    assert posted[0].message.endswith("monitor/a (query)")
    assert list(events(good, good, PassResult())) == []


def test_removed_and_left_objects_are_reported_by_name():
    good = status(records(ObjectState.IN_SYNC))
    names = [f"monitor/m{number}" for number in range(20)]
    posted = events(good, good, PassResult(removed=names, left=["monitor/x"], missing=["slo/b"]))
    assert [(event.type, event.reason) for event in posted] == [
        ("Warning", "AllObjectsGone"),
        ("Normal", "ObjectsRemoved"),
        ("Warning", "ObjectsLeft"),
    ]
    assert posted[1].message.endswith("monitor/m11 and 8 more")


def test_copies_are_named_and_are_not_an_error():
    current = status(records(ObjectState.IN_SYNC), copies=("monitor/m0 (7)",))
    assert values(current)["Synced"] == ("True", "InSync")
    (message,) = (one["message"] for one in current["conditions"] if one["type"] == "Synced")
    assert message.endswith("because they are copies: monitor/m0 (7)")


def test_the_start_of_a_removal_is_in_the_status():
    moment = "2026-01-01T12:00:00Z"
    assert status(records(), removal_started_at=moment)["removalStartedAt"] == moment
    assert "removalStartedAt" not in status(records())
