from datetime import UTC, datetime

import pytest

from purpleflea_operator.api.observability_status import ObservabilityStatus, State
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
    remembered,
)
from purpleflea_operator.controllers.observability.decisions.status import (
    VALID,
    ConditionValue,
    PassResult,
    SyncState,
    news,
    next_status,
)
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
LATER = datetime(2026, 1, 1, 13, tzinfo=UTC)
REJECTED = ConditionValue(status="False", reason="Rejected", message="no")


def entries(*states):
    return ObjectRegistry(
        ObjectRecord(
            kind=ObjectKind.MONITOR,
            key=f"m{number}",
            state=state,
            id=str(number),
            change="query" if state is State.EDITED else "",
            last_error="400: bad" if state is State.FAILED else "",
        )
        for number, state in enumerate(states)
    )


def status(memory, *, current=None, now=NOON, **standing):
    usual = {"generation": 3, "wanted": len(list(memory)), "keys": VALID}
    return next_status(current or {}, memory, SyncState(**{**usual, **standing}), now)


def verdicts(found):
    return {item["type"]: (item["status"], item["reason"]) for item in found["conditions"]}


@pytest.mark.parametrize(
    ("states", "synced", "ready", "degraded"),
    [
        ([State.IN_SYNC], ("True", "InSync"), "True", "False"),
        ([State.IN_SYNC, State.WAITING], ("True", "InSync"), "True", "False"),
        ([State.CREATING], ("False", "Progressing"), "False", "False"),
        ([State.EDITED], ("False", "Edited"), "True", "False"),
        ([State.PLANNED], ("False", "Planned"), "True", "False"),
        ([State.IN_SYNC, *[State.FAILED] * 5], ("False", "ObjectsFailed"), "False", "True"),
    ],
)
def test_the_states_of_the_objects_make_the_conditions(states, synced, ready, degraded):
    found = verdicts(status(entries(*states)))
    assert found["Synced"] == synced
    assert (found["Ready"][0], found["Degraded"][0]) == (ready, degraded)


def test_messages_name_some_objects_and_count_the_rest():
    found = {
        item["type"]: item["message"] for item in status(entries(*[State.FAILED] * 5))["conditions"]
    }
    assert found["Degraded"].count("400: bad") == 3
    assert found["Degraded"].endswith("; and 2 more")
    assert found["Synced"].endswith("monitor/m2 and 2 more")
    edited = {item["type"]: item["message"] for item in status(entries(State.EDITED))["conditions"]}
    assert edited["Synced"].endswith("monitor/m0 (query)")


@pytest.mark.parametrize(
    ("reason", "degraded"), [("Unreachable", "True"), ("RateLimited", "False")]
)
def test_an_outage_degrades_and_a_rate_limit_does_not(reason, degraded):
    halt = ConditionValue(status="False", reason=reason, message="503")
    found = verdicts(status(entries(State.IN_SYNC), halt=halt))
    assert found["Synced"] == ("False", reason)
    assert found["Degraded"][0] == degraded
    assert found["Ready"][0] == "False"


def test_rejected_keys_are_the_first_thing_to_say():
    halt = ConditionValue(status="False", reason="KeysInvalid", message="no")
    found = verdicts(status(entries(), keys=REJECTED, halt=halt))
    assert found["Ready"] == ("False", "Rejected")


def test_keys_that_were_not_checked_are_as_before():
    assert verdicts(status(entries(), keys=None))["KeysValid"] == ("Unknown", "NotChecked")
    assert verdicts(status(entries(), keys=None))["Ready"][0] == "False"
    before = status(entries(), keys=REJECTED)
    assert verdicts(status(entries(), current=before, keys=None))["KeysValid"][1] == "Rejected"


def test_nothing_changes_in_the_status_while_nothing_changes():
    before = status(entries(State.IN_SYNC))
    assert status(entries(State.IN_SYNC), current=before, now=LATER) == before
    turned = status(entries(State.FAILED), current=before, now=LATER)
    times = {item["type"]: item["lastTransitionTime"] for item in turned["conditions"]}
    assert (times["KeysValid"], times["Synced"]) == ("2026-01-01T12:00:00Z", "2026-01-01T13:00:00Z")


def test_what_was_wanted_is_kept_where_the_spec_cannot_be_read():
    before = status(entries(State.IN_SYNC, State.IN_SYNC))
    assert status(entries(), current=before, wanted=0)["wanted"] == 2


def test_a_status_is_what_the_crd_takes():
    many = ObjectRegistry(
        ObjectRecord(
            kind=ObjectKind.MONITOR,
            key=f"m{n}",
            state=State.FAILED,
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
    found = ObservabilityStatus.model_validate(status(many), extra="forbid")
    assert len(found.objects) == 128


def test_the_memory_is_what_the_status_says():
    memory = entries(State.EDITED, State.FAILED, State.IN_SYNC)
    shown = status(memory)
    assert list(remembered(shown)) == list(memory)
    memory.arrange(
        [Reference(kind=ObjectKind.MONITOR, key="m2"), Reference(kind=ObjectKind.SLO, key="m2")]
    )
    assert [entry.key for entry in memory] == ["m2", "m0", "m1"]
    memory.drop(Reference(kind=ObjectKind.MONITOR, key="m2"))
    memory.drop(Reference(kind=ObjectKind.MONITOR, key="m2"))
    assert memory.get(Reference(kind=ObjectKind.MONITOR, key="m2")) is None


@pytest.mark.parametrize(
    "item", [{}, {"kind": "monitor"}, {"kind": "x", "key": "k", "state": "InSync"}]
)
def test_what_cannot_be_read_in_a_status_is_left_out(item):
    assert list(remembered({"objects": [item]})) == []


def reasons(current, wanted, outcome=None):
    return [(turn.type, turn.reason) for turn in news(current, wanted, outcome)]


def test_events_tell_of_turns_only():
    good, bad = status(entries(State.IN_SYNC)), status(entries(State.FAILED))
    assert reasons({}, good) == [("Normal", "SyncedInSync")]
    assert reasons(good, good) == []
    assert reasons(good, bad) == [("Warning", "DegradedObjectsFailed")]
    assert reasons(bad, good) == [("Normal", "DegradedAsExpected"), ("Normal", "SyncedInSync")]


def test_events_tell_of_rejected_keys_and_their_return():
    good = status(entries(State.IN_SYNC))
    halt = ConditionValue(status="False", reason="KeysInvalid", message="no")
    bad = status(entries(State.IN_SYNC), keys=REJECTED, halt=halt)
    assert ("Warning", "KeysValidRejected") in reasons(good, bad)
    assert ("Normal", "KeysValidValid") in reasons(bad, good)


def test_what_is_on_its_way_is_no_news():
    assert reasons({}, status(entries(State.CREATING))) == []
    halt = ConditionValue(status="False", reason="RateLimited", message="429")
    assert reasons(status(entries(State.IN_SYNC)), status(entries(), halt=halt)) == []
    assert reasons({}, status(entries(State.CREATING), keys=None)) == []


def test_edits_and_objects_made_again_are_told_by_name():
    good = status(entries(State.IN_SYNC))
    outcome = PassResult(restored=["monitor/a (query)"], remade=["slo/b"])
    found = news(good, good, outcome)
    assert [turn.reason for turn in found] == ["EditsReverted", "ObjectsRemade"]
    assert found[0].message.endswith("monitor/a (query)")
    assert list(news(good, good, PassResult())) == []


def test_removals_and_what_is_left_are_told_by_name():
    good = status(entries(State.IN_SYNC))
    names = [f"monitor/m{number}" for number in range(20)]
    found = news(good, good, PassResult(removed=names, left=["monitor/x"], vanished=["slo/b"]))
    assert [(turn.type, turn.reason) for turn in found] == [
        ("Warning", "AllObjectsGone"),
        ("Normal", "ObjectsRemoved"),
        ("Warning", "ObjectsLeft"),
    ]
    assert found[1].message.endswith("monitor/m11 and 8 more")


def test_copies_are_named_and_are_no_fault():
    found = status(entries(State.IN_SYNC), copies=("monitor/m0 (7)",))
    assert verdicts(found)["Synced"] == ("True", "InSync")
    (message,) = (one["message"] for one in found["conditions"] if one["type"] == "Synced")
    assert message.endswith("copies made by hand: monitor/m0 (7).")


def test_since_when_a_removal_is_tried_stays_in_the_status():
    moment = "2026-01-01T12:00:00Z"
    assert status(entries(), removal_since=moment)["removalStartedAt"] == moment
    assert "removalStartedAt" not in status(entries())
