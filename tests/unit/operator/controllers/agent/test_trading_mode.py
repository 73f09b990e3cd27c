"""From the wish to halt or stop to the proof, over frozen worlds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_contract import kubernetes
from purpleflea_contract.control import Acknowledgement, Mode
from purpleflea_operator.controllers.agent.conditions import summary
from purpleflea_operator.controllers.agent.conditions.trading_active import trading_active
from purpleflea_operator.controllers.agent.decisions import status, trading_mode
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    CONTROL_ANNOTATION,
    TradingObservation,
)
from purpleflea_operator.controllers.agent.decisions.rollout import effective_agent
from purpleflea_operator.controllers.agent.decisions.trading_mode import trading_of
from purpleflea_operator.controllers.agent.decisions.transitions import transitions
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from support.builders import a_pod, an_agent
from support.observed_states import a_stateful_set, observed_state

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMES = ["momentum-0", "momentum-1", "momentum-2"]


def in_mode(mode, *, pods=None, replicas=3, stateful_set=True, at=NOW, words=None, **trading):
    """An agent with three pods in a trading mode; `words` are its acknowledgements by name of the pod."""
    said = {f"uid-{name}": word for name, word in (words or {}).items()}
    return observed_state(
        spec={"trading": {"mode": mode}, "pod": {"terminationGracePeriodSeconds": 30}},
        stateful_set=a_stateful_set(replicas) if stateful_set else None,
        pods=[a_pod(name) for name in NAMES] if pods is None else pods,
        now=at,
        trading=TradingObservation(**{"since": NOW, "words": said, **trading}),
    )


def a_word(mode, *, at_rest=True, undone=None):
    return Acknowledgement(mode=mode, at_rest=at_rest, left_undone=undone)


def all_say(word, *names):
    return dict.fromkeys(names or NAMES, word)


def outcome(observed):
    found = trading_active(observed)
    return found.status, found.reason


BEFORE = datetime(2025, 12, 31, tzinfo=UTC)
"""Before the pods were made."""
CRASHED = a_pod(ready=False, waiting="CrashLoopBackOff", restarts=3)
RESTING = a_word(Mode.HALTED)
STOPPED = a_word(Mode.STOPPED)


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (in_mode("Active", since=BEFORE), ("True", "Active")),
        (in_mode("Active"), ("Unknown", "Resuming")),
        (in_mode("Active", words=all_say(a_word(Mode.ACTIVE))), ("True", "Active")),
        (in_mode("Halted", pods=[CRASHED]), ("Unknown", "Halting")),
        (in_mode("Active", pods=[]), ("True", "Active")),
        (in_mode("Halted"), ("Unknown", "Halting")),
        (in_mode("Halted", words=all_say(RESTING, *NAMES[:2])), ("Unknown", "Halting")),
        (in_mode("Halted", words=all_say(a_word(Mode.ACTIVE, at_rest=False))), ("Unknown", "Halting")),
        (in_mode("Halted", words=all_say(a_word(Mode.HALTED, at_rest=False))), ("Unknown", "Halting")),
        (in_mode("Halted", words=all_say(RESTING)), ("False", "Halted")),
        (in_mode("Halted", pods=[]), ("False", "Halted")),
        (in_mode("Stopped"), ("Unknown", "Stopping")),
        (in_mode("Stopped", words=all_say(STOPPED)), ("False", "Stopped")),
        (in_mode("Stopped", words=all_say(a_word(Mode.STOPPED, undone="x"))), ("False", "StoppedIncomplete")),
    ],
)  # fmt: skip
def test_true_and_false_are_proven_by_every_agent_that_runs(observed, expected):
    assert outcome(observed) == expected


def test_a_pod_that_has_not_started_will_read_the_mode_and_is_not_waited_for():
    starting = a_pod("momentum-0", ready=False, waiting="ContainerCreating")
    assert outcome(in_mode("Halted", pods=[starting])) == ("False", "Halted")


def test_a_pod_that_is_ending_somewhere_may_still_trade():
    assert outcome(in_mode("Halted", pods=[a_pod(deleting=True)])) == ("Unknown", "Halting")


def test_agents_that_were_told_to_go_on_have_to_say_that_they_do():
    told = [a_pod(name, annotations={CONTROL_ANNOTATION: "Halted"}) for name in NAMES]
    observed = in_mode("Active", pods=told, words=all_say(RESTING, "momentum-1"))
    assert outcome(observed) == ("Unknown", "Resuming")
    active = a_word(Mode.ACTIVE, at_rest=False)
    assert outcome(in_mode("Active", pods=told, words=all_say(active))) == ("True", "Active")


def test_the_message_says_who_when_why_and_whose_word_is_missing():
    observed = in_mode(
        "Halted", words=all_say(RESTING, *NAMES[:2]), changed_by="kubectl-edit", why="fire"
    )
    assert trading_active(observed).message == (
        "Halted by kubectl-edit at 2026-01-01T12:00:00Z (fire); 2/3 agents have acknowledged it, missing: momentum-2"
    )


def test_of_many_missing_agents_the_first_are_named():
    many = [a_pod(f"momentum-{number}") for number in range(8)]
    text = trading_active(in_mode("Halted", pods=many, since=None)).message
    assert text.startswith("Halted; 0/8 agents have acknowledged it, missing: momentum-0, ")
    assert text.endswith("momentum-4 and 3 more")


def test_an_invalid_spec_says_nothing_of_the_mode():
    observed = replace(in_mode("Active"), agent=None, invalid="spec.x: no")
    assert outcome(observed) == ("Unknown", "SpecInvalid")
    assert trading_mode.concerned(observed) == []
    assert not trading_mode.may_be_ended(observed)
    assert trading_mode.stop_deadline(observed) is None


def replicas_of(observed):
    return effective_agent(observed, observed.agent).spec.replicas


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (in_mode("Active"), 3),
        (in_mode("Halted", words=all_say(RESTING)), 3),
        (in_mode("Stopped"), 3),
        (in_mode("Stopped", words=all_say(STOPPED, *NAMES[:2])), 3),
        (in_mode("Stopped", words=all_say(STOPPED)), 0),
        (in_mode("Stopped", at=NOW + timedelta(seconds=29)), 3),
        (in_mode("Stopped", at=NOW + timedelta(seconds=30)), 0),
        (in_mode("Stopped", at=None), 3),
        (in_mode("Stopped", replicas=0), 0),
        (in_mode("Stopped", pods=[], stateful_set=False), 0),
        (in_mode("Stopped", stateful_set=False), 3),
        (in_mode("Stopped", since=None), 3),
    ],
)
def test_stopped_agents_are_ended_at_rest_or_when_their_time_is_up(observed, expected):
    assert replicas_of(observed) == expected


def test_the_time_for_coming_to_rest_counts_from_when_the_order_was_passed_on():
    at, delivered = NOW + timedelta(seconds=45), NOW + timedelta(seconds=40)
    assert replicas_of(in_mode("Stopped", at=at, delivered=delivered)) == 3
    assert replicas_of(in_mode("Stopped", at=at, delivered=NOW - timedelta(hours=1))) == 0


def test_an_agent_that_crashes_is_given_its_time_and_then_named():
    crashed = {"pods": [CRASHED], "delivered": NOW}
    assert replicas_of(in_mode("Stopped", **crashed)) == 3
    late = in_mode("Stopped", at=NOW + timedelta(seconds=30), **crashed)
    assert replicas_of(late) == 0
    assert trading_mode.undone(late) == ("momentum-0: did not say that it is at rest",)


def test_an_order_to_stop_in_an_invalid_spec_is_proven_like_any_other():
    halted = replace(in_mode("Active", words=all_say(RESTING)), agent=None, stop_order=Mode.HALTED)
    assert outcome(halted) == ("False", "Halted")
    stopped = replace(
        in_mode("Active", words=all_say(STOPPED)), agent=None, stop_order=Mode.STOPPED
    )
    assert outcome(stopped) == ("False", "Stopped")
    assert trading_mode.stop_deadline(stopped) is None
    assert status.next_status({}, halted, (), name="m", now=NOW)["trading"]["mode"] == "Halted"


def test_pods_of_strange_names_do_not_count_while_the_workload_is_made_anew():
    observed = in_mode(
        "Active", pods=[a_pod("momentum-x"), a_pod("momentum-1")], stateful_set=False
    )
    assert trading_mode.live_replicas(observed) == 2


def test_what_stopped_agents_left_undone_is_kept_after_they_are_gone():
    left = a_word(Mode.STOPPED, undone="open positions: BTC-USD")
    running = in_mode("Stopped", words={**all_say(STOPPED), "momentum-1": left})
    first = status.next_status({}, running, (), name="momentum", now=NOW)
    assert first["trading"]["undone"] == ["momentum-1: open positions: BTC-USD"]
    gone = in_mode("Stopped", pods=[], replicas=0, undone=first["trading"]["undone"])
    assert outcome(gone) == ("False", "StoppedIncomplete")
    assert (
        status.next_status(first, gone, (), name="momentum", now=NOW)["trading"]["undone"]
        == (first["trading"]["undone"])
    )


def test_what_was_undone_and_then_done_is_forgotten():
    observed = in_mode("Stopped", words=all_say(STOPPED), undone=["momentum-1: open positions"])
    assert trading_mode.undone(observed) == ()


def test_an_agent_that_still_has_time_has_left_nothing_undone():
    assert trading_mode.undone(in_mode("Stopped", words=all_say(STOPPED, "momentum-0"))) == ()


def test_an_agent_that_says_nothing_in_time_is_named():
    late = in_mode("Stopped", at=NOW + timedelta(minutes=1), words=all_say(STOPPED, *NAMES[:2]))
    assert trading_mode.undone(late) == ("momentum-2: did not say that it is at rest",)


def test_the_status_counts_the_agents_that_have_acknowledged():
    observed = in_mode("Halted", words=all_say(RESTING, *NAMES[:2]), changed_by="helm", why="fire")
    found = status.next_status({}, observed, (), name="momentum", now=NOW)["trading"]
    assert found == {
        "mode": "Halted",
        "since": "2026-01-01T12:00:00Z",
        "changedBy": "helm",
        "reason": "fire",
        "running": 3,
        "acknowledged": 2,
    }


def test_an_invalid_spec_keeps_what_was_known_of_the_mode():
    observed = replace(in_mode("Halted"), agent=None)
    known = {"trading": {"mode": "Halted", "since": "2026-01-01T00:00:00Z"}}
    assert status.next_status(known, observed, (), name="m", now=NOW)["trading"] == known["trading"]
    assert "trading" not in status.next_status({}, observed, (), name="m", now=NOW)


def test_halting_is_an_event_and_so_is_going_on():
    def written(observed, before):
        return status.next_status(before, observed, summary.findings(observed), name="m", now=NOW)

    active = written(in_mode("Active", since=BEFORE), {})
    halting = written(in_mode("Halted"), active)
    halted = written(in_mode("Halted", words=all_say(RESTING)), halting)
    told = [(item.type, item.reason) for item in transitions(halting, halted)]
    assert told == [("Warning", "TradingActiveHalted")]
    assert [item.reason for item in transitions(halted, active)] == ["TradingActiveActive"]


def an_entry(manager, time, fields):
    return {"manager": manager, "time": time, "fieldsV1": fields}


MODE = {"f:spec": {"f:trading": {"f:mode": {}}}}


def a_resource(entries=(), trading=None, annotations=None):
    """An agent as the cache gives it back."""
    resource = an_agent(trading={"mode": "Halted"})
    resource["metadata"] |= {"managedFields": list(entries), "annotations": annotations or {}}
    if trading:
        resource["status"] = {"trading": trading}
    cache = ObjectCache()
    cache.put(resource)
    return cache.agent(NamespacedName("trading", "momentum"))


def test_the_newest_field_manager_of_the_mode_set_it():
    resource = a_resource(
        [
            an_entry("helm", "2026-01-01T10:00:00Z", MODE),
            an_entry("kubectl-patch", "2026-01-01T11:00:00Z", MODE),
            an_entry("scaler", "2026-01-01T11:30:00Z", {"f:spec": {"f:replicas": {}}}),
        ],
        annotations={kubernetes.ANNOTATION_REASON: "fire"},
    )
    found = trading_of(resource, Mode.HALTED, NOW)
    assert (found.changed_by, found.why) == ("kubectl-patch", "fire")
    assert found.since == datetime(2026, 1, 1, 11, tzinfo=UTC)


def test_nobody_is_named_for_a_mode_that_nobody_wrote():
    found = trading_of(a_resource(), Mode.ACTIVE, NOW)
    created = datetime(2026, 1, 1, tzinfo=UTC)
    assert (found.changed_by, found.since) == ("", created)
    changed = a_resource(trading={"mode": "Halted", "since": "2026-01-01T09:00:00Z"})
    assert trading_of(changed, Mode.ACTIVE, NOW).since == NOW
    assert trading_of(a_resource(), None, NOW).since is None


def test_who_set_a_mode_stays_while_the_same_manager_writes_other_things():
    known = {
        "mode": "Halted",
        "since": "2026-01-01T09:00:00Z",
        "changedBy": "helm",
        "undone": ["x: y"],
    }
    later = an_entry("helm", "2026-01-01T11:00:00Z", MODE)
    found = trading_of(a_resource([later], trading=known), Mode.HALTED, NOW)
    assert found.since == datetime(2026, 1, 1, 9, tzinfo=UTC)
    assert (found.changed_by, found.undone) == ("helm", ("x: y",))


def test_a_manager_whose_clock_is_ahead_gives_nobody_more_time():
    ahead = an_entry("helm", "2026-01-01T13:00:00Z", MODE)
    assert trading_of(a_resource([ahead]), Mode.HALTED, NOW).since == NOW
