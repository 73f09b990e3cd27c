"""The status of a halt: counts, times, conditions and Events."""

from datetime import UTC, datetime

import pytest

from purpleflea_contract.control import Mode
from purpleflea_operator.controllers.halt.decisions import status
from purpleflea_operator.controllers.halt.decisions.halt import halt
from purpleflea_operator.controllers.halt.decisions.progress import (
    AgentProgress,
    HaltProgress,
    HaltTally,
)
from purpleflea_operator.controllers.halt.decisions.status import AcknowledgedAt, Effect
from purpleflea_operator.kube.object_cache import NamespacedName
from support.builders import a_halt

NOW = datetime(2026, 1, 2, tzinfo=UTC)
LATER = datetime(2026, 1, 2, 0, 1, tzinfo=UTC)
SYSTEM = "purpleflea-system"


def reported(progress=None, current=None, *, namespace="trading", now=NOW, spec=None, **effect):
    found = halt(a_halt(namespace=namespace, **(spec or {})), operator_namespace=SYSTEM)
    shown = Effect(progress=progress or HaltProgress(), operator_namespace=SYSTEM, **effect)
    return status.next_status(current or {}, found, shown, now=now)


def reasons(found):
    return {item["type"]: (item["status"], item["reason"]) for item in found["conditions"]}


def messages(found):
    return {item["type"]: item["message"] for item in found["conditions"]}


OPEN = ("trading/a-0: has not acknowledged Halted",)
NONE = HaltProgress()
WAITING = HaltProgress(matched=1, running=2, acknowledged=1, drained=1, open=OPEN)
ACKNOWLEDGED = HaltProgress(matched=1, running=2, acknowledged=2, drained=1, open=OPEN)
DRAINED = HaltProgress(matched=1, running=2, acknowledged=2, drained=2)
IDLE = HaltProgress(matched=1)
UNWRITTEN = HaltProgress(matched=1, unwritten=1, open=OPEN)


@pytest.mark.parametrize(
    ("progress", "expired", "halted", "draining"),
    [
        (NONE, False, ("False", "NothingSelected"), ("False", "NothingSelected")),
        (WAITING, False, ("Unknown", "Halting"), ("True", "Draining")),
        (UNWRITTEN, False, ("Unknown", "Halting"), ("True", "Draining")),
        (ACKNOWLEDGED, False, ("True", "Halted"), ("True", "Draining")),
        (DRAINED, False, ("True", "Halted"), ("False", "Drained")),
        (IDLE, False, ("True", "Halted"), ("False", "Drained")),
        (WAITING, True, ("False", "Expired"), ("False", "Expired")),
    ],
)
def test_the_conditions_follow_from_the_acknowledgements(progress, expired, halted, draining):
    found = reported(progress, is_expired=expired)
    assert reasons(found) == {
        "Accepted": ("True", "Accepted"),
        "Halted": halted,
        "Draining": draining,
    }
    assert status.is_expired(found) is expired


def test_messages_name_the_agents_that_are_waited_for():
    assert "1/2 agents" in messages(reported(WAITING))["Halted"]
    assert "trading/a-0" in messages(reported(WAITING))["Halted"]
    assert "trading/a-0" in messages(reported(ACKNOWLEDGED))["Draining"]
    many = HaltProgress(matched=9, running=9, open=tuple(f"trading/a-{n}: x" for n in range(9)))
    assert messages(reported(many))["Draining"].endswith("trading/a-4: x; and more")
    assert messages(reported(IDLE))["Halted"] == "no selected agent is running"


def test_a_problem_or_a_limited_scope_is_reported():
    invalid = reported(spec={"level": "Freeze"})
    assert reasons(invalid)["Accepted"] == ("False", "Invalid")
    assert "spec.level" in messages(invalid)["Accepted"]
    limited = reported(spec={"selector": {"scope": "Cluster"}})
    assert reasons(limited)["Accepted"] == ("False", "ScopeLimited")
    assert SYSTEM in messages(limited)["Accepted"]
    found = halt(a_halt(selector={"scope": "Cluster"}), operator_namespace="")
    unknown = status.next_status({}, found, Effect(progress=NONE), now=NOW)
    assert "unknown" in messages(unknown)["Accepted"]


def test_times_of_acknowledgements_change_only_if_more_agents_acknowledge():
    first = reported(WAITING, times=AcknowledgedAt(first=NOW, last=NOW))
    assert first["firstAcknowledgedAt"] == first["lastAcknowledgedAt"] == "2026-01-02T00:00:00Z"
    again = AcknowledgedAt(first=LATER, last=LATER)
    restarted = reported(WAITING, first, times=again)
    assert restarted == first
    more = reported(DRAINED, first, times=again)
    assert more["firstAcknowledgedAt"] == "2026-01-02T00:00:00Z"
    assert more["lastAcknowledgedAt"] == "2026-01-02T00:01:00Z"
    without_first = AcknowledgedAt(last=LATER)
    assert reported(WAITING, times=without_first)["firstAcknowledgedAt"] == "2026-01-02T00:01:00Z"


def test_the_transition_time_and_the_creator_stay():
    manifest = a_halt()
    manifest["metadata"]["managedFields"] = [
        {"manager": "kubectl", "time": "2026-01-01T00:00:00Z", "fieldsV1": {"f:spec": {}}}
    ]
    found = halt(manifest, operator_namespace=SYSTEM)
    before = status.next_status({}, found, Effect(progress=WAITING), now=NOW)
    assert before["createdBy"] == "kubectl"
    after = reported(DRAINED, before, now=LATER)
    assert after["createdBy"] == "kubectl"
    times = {item["type"]: item["lastTransitionTime"] for item in after["conditions"]}
    assert times["Accepted"] == "2026-01-02T00:00:00Z"
    assert times["Halted"] == "2026-01-02T00:01:00Z"
    assert "open" not in after


@pytest.mark.parametrize(
    ("before", "after", "expected"),
    [
        (None, WAITING, [("Warning", "HaltedHalting")]),
        (None, NONE, [("Warning", "HaltedNothingSelected")]),
        (WAITING, ACKNOWLEDGED, [("Normal", "HaltedHalted")]),
        (ACKNOWLEDGED, DRAINED, []),
        (WAITING, WAITING, []),
    ],
)
def test_events_report_the_transitions_of_halted(before, after, expected):
    current = {} if before is None else reported(before)
    found = status.events(current, reported(after, current))
    assert [(item.type, item.reason) for item in found] == expected


def test_an_event_reports_a_halt_that_is_not_accepted():
    found = status.events({}, reported(DRAINED, spec={"level": "Freeze"}))
    assert [item.reason for item in found] == ["AcceptedInvalid", "HaltedHalted"]


def progress_of(mode, **agents):
    tally = HaltTally(mode)
    for name, item in agents.items():
        tally.put(NamespacedName("trading", name), item)
    return tally.progress()


def test_the_progress_is_the_sum_over_the_agents():
    done = AgentProgress(mode=Mode.STOPPED, running=2, acknowledged=2, drained=2)
    busy = AgentProgress(
        mode=Mode.HALTED,
        running=3,
        acknowledged=2,
        drained=1,
        is_complete=False,
        open=("b-1: is not drained", "b-2: is not drained"),
    )
    found = progress_of(Mode.HALTED, a=done, b=busy)
    assert (found.matched, found.running, found.acknowledged, found.drained) == (2, 5, 4, 3)
    assert found.open == ("trading/b-1: is not drained", "trading/b-2: is not drained")
    assert not found.is_complete
    assert not found.is_acknowledged


@pytest.mark.parametrize(
    "agent",
    [
        None,
        AgentProgress(mode=None),
        AgentProgress(mode=Mode.ACTIVE, running=1),
        AgentProgress(mode=Mode.HALTED),
        AgentProgress(mode=Mode.STOPPED, is_written=False),
    ],
)
def test_an_agent_without_the_mode_of_the_halt_is_not_halted(agent):
    found = progress_of(Mode.STOPPED, a=agent)
    assert (found.unwritten, found.is_acknowledged, found.is_drained) == (1, False, False)
    assert found.open == ("trading/a: the mode is not written yet",)


def test_the_list_of_open_agents_is_bounded():
    busy = AgentProgress(mode=Mode.HALTED, running=1, open=("a-0: " + "x" * 300,))
    for item in (busy, None):
        found = progress_of(Mode.HALTED, **{f"a{n}": item for n in range(20)})
        assert len(found.open) == 10
        assert max(map(len, found.open)) <= 253


def test_acknowledgements_from_before_the_halt_count_from_its_first_report():
    """Agents that another halt already halted acknowledge nothing again."""
    first = reported(DRAINED)
    assert first["firstAcknowledgedAt"] == first["lastAcknowledgedAt"] == "2026-01-02T00:00:00Z"
    assert reported(DRAINED, first, now=LATER) == first


@pytest.mark.parametrize("progress", [NONE, WAITING, ACKNOWLEDGED, DRAINED, UNWRITTEN])
def test_a_restarted_operator_keeps_the_times_of_the_status(progress):
    first = reported(DRAINED, times=AcknowledgedAt(first=NOW, last=LATER))
    again = reported(progress, first, now=datetime(2026, 1, 3, tzinfo=UTC))
    keys = ("firstAcknowledgedAt", "lastAcknowledgedAt")
    assert [again[key] for key in keys] == [first[key] for key in keys]


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, [None, None]),
        (2, ["2026-01-02T00:00:00Z", "2026-01-02T00:01:00Z"]),
    ],
)
def test_agents_that_ended_before_the_status_was_written_have_acknowledged(count, expected):
    times = AcknowledgedAt(first=NOW, last=LATER, count=count) if count else AcknowledgedAt()
    found = reported(IDLE, times=times, now=datetime(2026, 1, 3, tzinfo=UTC))
    assert [found.get("firstAcknowledgedAt"), found.get("lastAcknowledgedAt")] == expected


def test_further_acknowledgements_of_ended_agents_move_only_the_last_time():
    first = reported(WAITING, times=AcknowledgedAt(first=NOW, last=NOW, count=1))
    again = reported(IDLE, first, times=AcknowledgedAt(first=LATER, last=LATER, count=2))
    assert again["firstAcknowledgedAt"] == "2026-01-02T00:00:00Z"
    assert again["lastAcknowledgedAt"] == "2026-01-02T00:01:00Z"
