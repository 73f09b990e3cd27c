from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.api.observability_status import State
from purpleflea_operator.controllers.observability.decisions import pending_creates
from purpleflea_operator.controllers.observability.decisions.desired import goal
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.controllers.observability.observation import Observation
from purpleflea_operator.datadog.client.errors import Forbidden
from purpleflea_operator.datadog.client.models import Inventory, RemoteObject
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)
GOAL = goal(
    ObservabilitySpec.model_validate(
        {"keysSecretRef": {"name": "keys"}, "features": {"logIndex": True}}
    ),
    "uid-1",
)
DRAWDOWN = Reference(kind=ObjectKind.MONITOR, key="drawdown")


def a_sight(*, found=(), **fields):
    missing = dict.fromkeys(item.definition.reference for item in GOAL.wanted)
    shown = {item: RemoteObject(kind=item.kind, id="7", body={}) for item in found}
    return Observation(found={**missing, **shown}, **fields)


def an_open(**fields):
    return ObjectRecord(kind=DRAWDOWN.kind, key=DRAWDOWN.key, state=State.CREATING, **fields)


def announced(memory, sight, now=NOON):
    news, waiting = pending_creates.record_intent(memory, GOAL, sight, now)
    return news, waiting, memory.get(DRAWDOWN)


def test_what_is_missing_is_written_down_before_it_is_made():
    news, waiting, entry = announced(ObjectRegistry(), a_sight())
    assert (news, waiting, entry) == (True, frozenset(), an_open())


def test_what_is_there_or_cannot_be_known_or_made_is_not_written_down():
    hidden = Inventory(hidden=dict.fromkeys(ObjectKind, Forbidden("403")))
    for sight in (
        a_sight(found=[item.definition.reference for item in GOAL.wanted]),
        a_sight(survey=hidden),
        a_sight(resting={item.definition.reference for item in GOAL.wanted}),
        a_sight(barred=dict.fromkeys((i.definition.reference for i in GOAL.wanted), Forbidden(""))),
    ):
        memory = ObjectRegistry()
        assert announced(memory, sight) == (False, frozenset(), None)
        assert list(memory) == []


def test_metrics_that_have_not_reported_and_the_order_of_indexes_are_not_made():
    memory = ObjectRegistry()
    announced(memory, a_sight(survey=Inventory(reporting=frozenset({"agent.heartbeat"}))))
    kinds = [entry.kind for entry in memory]
    assert kinds.count(ObjectKind.METRIC_TAGS) == 1
    assert ObjectKind.LOG_INDEX_ORDER not in kinds


@pytest.mark.parametrize("since", ["", "yesterday", "2026-01-01T12:00:00"])
def test_a_create_of_which_nothing_is_known_is_waited_for_from_now_on(since):
    _, waiting, entry = announced(ObjectRegistry([an_open(since=since)]), a_sight())
    assert waiting == {DRAWDOWN}
    assert entry == an_open(since="2026-01-01T12:00:00+00:00")


def test_a_create_is_made_again_when_ten_seconds_have_shown_nothing_and_not_before():
    entry = pending_creates.dated(an_open(), NOON)
    assert pending_creates.dated(entry, NOON + timedelta(hours=1)) == entry
    early = announced(ObjectRegistry([entry]), a_sight(), NOON + timedelta(seconds=9))
    assert early[1:] == (frozenset({DRAWDOWN}), entry)
    late = announced(ObjectRegistry([entry]), a_sight(), NOON + timedelta(seconds=10))
    assert late[1:] == (frozenset(), an_open())


def test_what_a_pass_did_not_come_to_is_not_waited_for():
    waits = ObjectRecord(kind=ObjectKind.SLO, key="api-success", state=State.CREATING)
    lost = pending_creates.dated(
        ObjectRecord(kind=ObjectKind.DASHBOARD, key="fleet", state=State.CREATING), NOON
    )
    made = ObjectRecord(kind=ObjectKind.NOTEBOOK, key="weekly-report", state=State.IN_SYNC, id="1")
    memory = ObjectRegistry([an_open(), waits, lost, made])
    pending_creates.discard_intent(memory, frozenset({waits.reference}))
    states = {entry.key: entry.state for entry in memory}
    assert states == {
        "drawdown": State.WAITING,
        "api-success": State.CREATING,
        "fleet": State.CREATING,
        "weekly-report": State.IN_SYNC,
    }
