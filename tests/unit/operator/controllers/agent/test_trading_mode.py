"""The trading mode from the request to its confirmation."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from kubectl_purpleflea.decisions import control_files
from purpleflea_contract import kubernetes
from purpleflea_contract.control import Acknowledgement, Mode
from purpleflea_operator.controllers.agent.decisions import status, trading_mode
from purpleflea_operator.controllers.agent.decisions.conditions import summary
from purpleflea_operator.controllers.agent.decisions.conditions.progressing import progressing
from purpleflea_operator.controllers.agent.decisions.conditions.trading_active import trading_active
from purpleflea_operator.controllers.agent.decisions.halt_progress import agent_progress
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    CONTROL_ANNOTATION,
    TradingObservation,
)
from purpleflea_operator.controllers.agent.decisions.observed_state import pod as as_pod
from purpleflea_operator.controllers.agent.decisions.rollout import effective_agent
from purpleflea_operator.controllers.agent.decisions.starting_pods import may_have_mounted
from purpleflea_operator.controllers.agent.decisions.trading_mode import trading_observation
from purpleflea_operator.controllers.agent.decisions.transitions import transitions
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from support.builders import a_pod, an_agent
from support.observed_states import a_stateful_set, observed_state

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
NAMES = ["momentum-0", "momentum-1", "momentum-2"]


def in_mode(mode, *, pods=None, replicas=3, stateful_set=True, at=NOW, responses=None, **trading):
    """An agent with three pods in a trading mode; `responses` are its acknowledgements by name of the pod."""
    by_uid = {f"uid-{name}": item for name, item in (responses or {}).items()}
    return observed_state(
        spec={"trading": {"mode": mode}, "pod": {"terminationGracePeriodSeconds": 30}},
        stateful_set=a_stateful_set(replicas) if stateful_set else None,
        pods=[a_pod(name) for name in NAMES] if pods is None else pods,
        now=at,
        trading=TradingObservation(**{"since": NOW, "acknowledgements": by_uid, **trading}),
    )


def a_response(mode, *, at_rest=True, undone=None):
    return Acknowledgement(mode=mode, at_rest=at_rest, left_undone=undone)


def from_all(response, *names):
    """Return the same response for each of these pods, by default for all."""
    return dict.fromkeys(names or NAMES, response)


def outcome(observed):
    found = trading_active(observed)
    return found.status, found.reason


BEFORE = datetime(2025, 12, 31, tzinfo=UTC)
"""A time before the pods were created."""
CRASHED = a_pod(ready=False, waiting="CrashLoopBackOff", restarts=3)
DRAINED = a_response(Mode.HALTED)
STOPPED = a_response(Mode.STOPPED)


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (in_mode("Active", since=BEFORE), ("True", "Active")),
        (in_mode("Active"), ("Unknown", "Resuming")),
        (in_mode("Active", responses=from_all(a_response(Mode.ACTIVE))), ("True", "Active")),
        (in_mode("Halted", pods=[CRASHED]), ("Unknown", "Halting")),
        (in_mode("Active", pods=[]), ("True", "Active")),
        (in_mode("Halted"), ("Unknown", "Halting")),
        (in_mode("Halted", responses=from_all(DRAINED, *NAMES[:2])), ("Unknown", "Halting")),
        (in_mode("Halted", responses=from_all(a_response(Mode.ACTIVE, at_rest=False))), ("Unknown", "Halting")),
        (in_mode("Halted", responses=from_all(a_response(Mode.HALTED, at_rest=False))), ("Unknown", "Halting")),
        (in_mode("Halted", responses=from_all(DRAINED)), ("False", "Halted")),
        (in_mode("Halted", pods=[]), ("Unknown", "Halting")),
        (in_mode("Halted", pods=[], confirmed=NAMES), ("False", "Halted")),
        (in_mode("Stopped"), ("Unknown", "Stopping")),
        (in_mode("Stopped", responses=from_all(STOPPED)), ("False", "Stopped")),
        (in_mode("Stopped", responses=from_all(a_response(Mode.STOPPED, undone="x"))), ("False", "StoppedIncomplete")),
    ],
)  # fmt: skip
def test_true_and_false_need_the_acknowledgement_of_every_pod(observed, expected):
    assert outcome(observed) == expected


def test_a_pod_that_has_not_started_need_not_acknowledge():
    starting = a_pod("momentum-0", ready=False, waiting="ContainerCreating")
    found = in_mode("Halted", pods=[starting], replicas=1, confirmed=["momentum-0"])
    assert outcome(found) == ("False", "Halted")


PULLING = {"ready": False, "waiting": "ImagePullBackOff"}


@pytest.mark.parametrize(
    ("mode", "changes", "phase", "mounted", "is_open"),
    [
        ("Halted", PULLING, "Pending", "uid-momentum-0", True),
        ("Stopped", PULLING, "Pending", "uid-momentum-0", True),
        ("Halted", {**PULLING, "deleting": True}, "Pending", "uid-momentum-0", True),
        ("Halted", {**PULLING, "waiting": "PodInitializing"}, "Pending", "uid-momentum-0", True),
        ("Active", PULLING, "Pending", "uid-momentum-0", False),
        # It was created after the mode was written, or was on no node then.
        ("Halted", PULLING, "Pending", "uid-earlier", False),
        ("Halted", PULLING, "Pending", "", False),
        # The kubelet refused it, or its node was shut down.
        ("Halted", PULLING, "Failed", "uid-momentum-0", False),
        ("Halted", PULLING, "Succeeded", "uid-momentum-0", False),
    ],
)
def test_a_pod_that_may_start_with_an_earlier_control_file_keeps_a_halt_open(
    mode, changes, phase, mounted, is_open
):
    starting = a_pod("momentum-0", **changes)
    starting["status"]["phase"] = phase
    found = in_mode(
        mode,
        pods=[starting],
        replicas=1,
        confirmed=["momentum-0"],
        mounted={"momentum-0": mounted},
    )
    progress = agent_progress(found, {})
    assert outcome(found)[0] == ("Unknown" if is_open else "True" if mode == "Active" else "False")
    assert (progress.running, progress.acknowledged, progress.drained) == (int(is_open), 0, 0)
    state = f"momentum-0: has not started ({changes['waiting']})"
    expected = f"{state}, and may start with an earlier control file; wait, or delete the pod"
    assert progress.open == ((expected,) if is_open else ())
    assert (expected in trading_active(found).message) is is_open
    # A stop deletes it, and an agent that resumes may trade.
    assert trading_mode.is_proven(found)


def test_the_plugin_and_the_operator_agree_on_pods_that_may_start_with_an_earlier_file():
    for phase in ("Pending", "Running", "Failed", "Succeeded"):
        for waiting in ("", "ContainerCreating", "ImagePullBackOff", "CrashLoopBackOff"):
            for node in ("", "node-1"):
                for restarts in (0, 1):
                    pod = a_pod(node=node, waiting=waiting, restarts=restarts)
                    pod["status"]["phase"] = phase
                    case = (phase, waiting, node, restarts)
                    found = may_have_mounted(as_pod(pod))
                    assert found is control_files.is_starting(pod), case


def test_a_terminating_pod_may_still_trade():
    assert outcome(in_mode("Halted", pods=[a_pod(deleting=True)])) == ("Unknown", "Halting")


def test_pods_that_were_halted_must_acknowledge_the_active_mode():
    halted = [a_pod(name, annotations={CONTROL_ANNOTATION: "Halted"}) for name in NAMES]
    observed = in_mode("Active", pods=halted, responses=from_all(DRAINED, "momentum-1"))
    assert outcome(observed) == ("Unknown", "Resuming")
    active = a_response(Mode.ACTIVE, at_rest=False)
    assert outcome(in_mode("Active", pods=halted, responses=from_all(active))) == ("True", "Active")


def test_the_message_has_author_time_reason_and_missing_acknowledgements():
    observed = in_mode(
        "Halted", responses=from_all(DRAINED, *NAMES[:2]), changed_by="kubectl-edit", reason="fire"
    )
    assert trading_active(observed).message == (
        "Halted by kubectl-edit at 2026-01-01T12:00:00Z (fire); 2/3 agents have acknowledged it, waiting for momentum-2"
    )


def test_only_the_first_of_many_missing_acknowledgements_are_named():
    many = [a_pod(f"momentum-{number}") for number in range(8)]
    text = trading_active(in_mode("Halted", pods=many, since=None)).message
    assert text.startswith("Halted; 0/8 agents have acknowledged it, waiting for momentum-0, ")
    assert text.endswith("momentum-4 and 3 more")


def test_the_mode_of_an_invalid_spec_is_unknown():
    observed = replace(in_mode("Active"), agent=None, invalid="spec.x: no")
    assert outcome(observed) == ("Unknown", "SpecInvalid")
    assert trading_mode.pods_to_acknowledge(observed) == []
    assert not trading_mode.may_scale_to_zero(observed)
    assert trading_mode.stop_deadline(observed) is None


def replicas_of(observed):
    return effective_agent(observed, observed.agent).spec.replicas


@pytest.mark.parametrize(
    ("mode", "live", "unread", "expected"),
    [
        ("Active", 2, "refused", 2),
        ("Active", 3, "refused", 3),
        ("Active", 5, "refused", 3),
        ("Active", 0, "refused", 0),
        ("Active", None, "refused", 3),
        ("Active", 2, "", 3),
        ("Halted", 2, "refused", 3),
    ],
)
def test_trading_agents_do_not_grow_while_a_halt_may_be_unread(mode, live, unread, expected):
    stateful_set = None if live is None else a_stateful_set(replicas=live)
    observed = replace(
        in_mode(mode, pods=()),
        children={} if live is None else {("StatefulSet", "momentum"): stateful_set},
        unread_halts=unread,
    )
    assert replicas_of(observed) == expected
    found = progressing(observed)
    assert (found.reason == "HaltsUnread") is (expected < 3)
    if expected < 3:
        assert f"no more than {expected} agents are started" in found.message
        assert "refused" in found.message


CONFIG_MAP = {("ConfigMap", "momentum"): {"kind": "ConfigMap"}}


@pytest.mark.parametrize(
    ("children", "pods", "unread", "expected"),
    [
        ({}, [], "refused", 3),
        (CONFIG_MAP, [], "refused", 0),
        (CONFIG_MAP, [a_pod("momentum-0")], "refused", 1),
        (CONFIG_MAP, [a_pod("momentum-1")], "refused", 2),
        ({}, [a_pod("momentum-0")], "refused", 1),
        (CONFIG_MAP, [a_pod("momentum-0")], "", 3),
    ],
    ids=[
        "new",
        "created before without a StatefulSet",
        "recreated",
        "recreated with a gap",
        "recreated without a ConfigMap",
        "halts are read",
    ],
)
def test_an_agent_whose_statefulset_is_recreated_does_not_grow_while_a_halt_may_be_unread(
    children, pods, unread, expected
):
    observed = replace(
        in_mode("Active", pods=pods, stateful_set=False), children=children, unread_halts=unread
    )
    assert replicas_of(observed) == expected


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        (in_mode("Active"), 3),
        (in_mode("Halted", responses=from_all(DRAINED)), 3),
        (in_mode("Stopped"), 3),
        (in_mode("Stopped", responses=from_all(STOPPED, *NAMES[:2])), 3),
        (in_mode("Stopped", responses=from_all(STOPPED)), 0),
        (in_mode("Stopped", at=NOW + timedelta(seconds=29)), 3),
        (in_mode("Stopped", at=NOW + timedelta(seconds=30)), 0),
        (in_mode("Stopped", at=None), 3),
        (in_mode("Stopped", replicas=0), 0),
        (in_mode("Stopped", pods=[], stateful_set=False), 0),
        (in_mode("Stopped", stateful_set=False), 3),
        (in_mode("Stopped", since=None), 3),
    ],
)
def test_stopped_agents_are_scaled_to_zero_when_drained_or_overdue(observed, expected):
    assert replicas_of(observed) == expected


def test_the_grace_period_starts_when_the_mode_was_delivered():
    at, delivered = NOW + timedelta(seconds=45), NOW + timedelta(seconds=40)
    assert replicas_of(in_mode("Stopped", at=at, delivered_at=delivered)) == 3
    assert replicas_of(in_mode("Stopped", at=at, delivered_at=NOW - timedelta(hours=1))) == 0


def test_a_crashed_pod_has_its_grace_period_and_is_then_reported():
    crashed = {"pods": [CRASHED], "delivered_at": NOW}
    assert replicas_of(in_mode("Stopped", **crashed)) == 3
    late = in_mode("Stopped", at=NOW + timedelta(seconds=30), **crashed)
    assert replicas_of(late) == 0
    assert trading_mode.incomplete(late) == (
        "momentum-0: did not report that it is drained before its grace period ended",
    )


def test_a_request_to_stop_in_an_invalid_spec_is_confirmed_like_any_other():
    halted = replace(
        in_mode("Active", responses=from_all(DRAINED)), agent=None, stop_mode=Mode.HALTED
    )
    assert outcome(halted) == ("False", "Halted")
    stopped = replace(
        in_mode("Active", responses=from_all(STOPPED)), agent=None, stop_mode=Mode.STOPPED
    )
    assert outcome(stopped) == ("False", "Stopped")
    assert trading_mode.stop_deadline(stopped) is None
    assert status.next_status({}, halted, (), name="m", now=NOW)["trading"]["mode"] == "Halted"


def test_pods_without_an_ordinal_do_not_count_while_the_workload_is_recreated():
    observed = in_mode(
        "Active", pods=[a_pod("momentum-x"), a_pod("momentum-1")], stateful_set=False
    )
    assert trading_mode.live_replicas(observed) == 2


def test_incomplete_work_is_kept_after_the_pods_are_deleted():
    left = a_response(Mode.STOPPED, undone="open positions: BTC-USD")
    running = in_mode("Stopped", responses={**from_all(STOPPED), "momentum-1": left})
    first = status.next_status({}, running, (), name="momentum", now=NOW)
    assert first["trading"]["undone"] == ["momentum-1: open positions: BTC-USD"]
    gone = in_mode("Stopped", pods=[], replicas=0, incomplete=first["trading"]["undone"])
    assert outcome(gone) == ("False", "StoppedIncomplete")
    assert (
        status.next_status(first, gone, (), name="momentum", now=NOW)["trading"]["undone"]
        == (first["trading"]["undone"])
    )


def test_incomplete_work_that_was_completed_later_is_removed():
    observed = in_mode(
        "Stopped", responses=from_all(STOPPED), incomplete=["momentum-1: open positions"]
    )
    assert trading_mode.incomplete(observed) == ()


def test_work_is_not_incomplete_before_the_grace_period_ends():
    assert (
        trading_mode.incomplete(in_mode("Stopped", responses=from_all(STOPPED, "momentum-0"))) == ()
    )


def test_a_pod_without_an_acknowledgement_in_time_is_reported():
    late = in_mode(
        "Stopped", at=NOW + timedelta(minutes=1), responses=from_all(STOPPED, *NAMES[:2])
    )
    assert trading_mode.incomplete(late) == (
        "momentum-2: did not report that it is drained before its grace period ended",
    )


def test_the_status_counts_the_agents_that_have_acknowledged():
    observed = in_mode(
        "Halted", responses=from_all(DRAINED, *NAMES[:2]), changed_by="helm", reason="fire"
    )
    found = status.next_status({}, observed, (), name="momentum", now=NOW)["trading"]
    assert found == {
        "mode": "Halted",
        "since": "2026-01-01T12:00:00Z",
        "changedBy": "helm",
        "reason": "fire",
        "running": 3,
        "acknowledged": 2,
    }


def test_an_invalid_spec_keeps_the_mode_in_the_status():
    observed = replace(in_mode("Halted"), agent=None)
    known = {"trading": {"mode": "Halted", "since": "2026-01-01T00:00:00Z"}}
    assert status.next_status(known, observed, (), name="m", now=NOW)["trading"] == known["trading"]
    assert "trading" not in status.next_status({}, observed, (), name="m", now=NOW)


def test_halting_and_resuming_cause_events():
    def written(observed, before):
        return status.next_status(before, observed, summary.findings(observed), name="m", now=NOW)

    active = written(in_mode("Active", since=BEFORE), {})
    halting = written(in_mode("Halted"), active)
    halted = written(in_mode("Halted", responses=from_all(DRAINED)), halting)
    events = [(item.type, item.reason) for item in transitions(halting, halted)]
    assert events == [("Warning", "TradingActiveHalted")]
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
    found = trading_observation(resource, Mode.HALTED, NOW)
    assert (found.changed_by, found.reason) == ("kubectl-patch", "fire")
    assert found.since == datetime(2026, 1, 1, 11, tzinfo=UTC)


def test_a_mode_without_a_field_manager_has_no_author():
    found = trading_observation(a_resource(), Mode.ACTIVE, NOW)
    created = datetime(2026, 1, 1, tzinfo=UTC)
    assert (found.changed_by, found.since) == ("", created)
    changed = a_resource(trading={"mode": "Halted", "since": "2026-01-01T09:00:00Z"})
    assert trading_observation(changed, Mode.ACTIVE, NOW).since == NOW
    assert trading_observation(a_resource(), None, NOW).since is None


def test_the_author_of_a_mode_stays_if_the_same_manager_writes_other_fields():
    known = {
        "mode": "Halted",
        "since": "2026-01-01T09:00:00Z",
        "changedBy": "helm",
        "undone": ["x: y"],
    }
    later = an_entry("helm", "2026-01-01T11:00:00Z", MODE)
    found = trading_observation(a_resource([later], trading=known), Mode.HALTED, NOW)
    assert found.since == datetime(2026, 1, 1, 9, tzinfo=UTC)
    assert (found.changed_by, found.incomplete) == ("helm", ("x: y",))


def test_a_field_manager_with_a_fast_clock_does_not_extend_the_grace_period():
    ahead = an_entry("helm", "2026-01-01T13:00:00Z", MODE)
    assert trading_observation(a_resource([ahead]), Mode.HALTED, NOW).since == NOW
