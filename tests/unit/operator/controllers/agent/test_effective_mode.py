"""The mode that applies to an agent: its spec, its halts, and halts that have ended."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from purpleflea_contract.control import Acknowledgement, Control, Mode, strongest
from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.agent_memory import AgentMemories
from purpleflea_operator.controllers.agent.decisions import (
    control,
    effective_mode,
    status_throttle,
    trading_mode,
)
from purpleflea_operator.controllers.agent.decisions.conditions.trading_active import trading_active
from purpleflea_operator.controllers.agent.decisions.conditions.workload_available import (
    workload_available,
)
from purpleflea_operator.controllers.agent.decisions.halt_progress import agent_progress
from purpleflea_operator.controllers.agent.decisions.observed_state import (
    CONTROL_ANNOTATION,
    TradingObservation,
    pod,
)
from purpleflea_operator.controllers.agent.decisions.plan import nudges
from purpleflea_operator.controllers.agent.decisions.remembered import NOTHING, Remembered
from purpleflea_operator.controllers.agent.decisions.status import next_status, with_trading
from purpleflea_operator.controllers.agent.mode_acknowledgements import ModeAcknowledgements
from purpleflea_operator.controllers.agent.restart_budget import RestartBudget
from purpleflea_operator.controllers.halt.decisions.halt import Halt, halt
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.manifests import config_map
from purpleflea_operator.manifests.metadata import with_desired_hash
from support.builders import a_halt, a_pod, an_agent
from support.observed_states import a_stateful_set, agent_value, observed_state

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HALTED, STOPPED, ACTIVE = (Control(mode=item) for item in (Mode.HALTED, Mode.STOPPED, Mode.ACTIVE))
FLATTEN = Control(mode=Mode.STOPPED, flatten=True)


class Halts:
    """The halts of all agents."""

    def __init__(self, *found: Halt, known: bool = True, unread: str = "") -> None:
        self._found = found
        self._known = known and not unread
        self._unread = unread

    def of(self, namespace: str, name: str, labels: Mapping[str, str]) -> tuple[Halt, ...]:
        return tuple(item for item in self._found if item.selector.selects(namespace, name, labels))

    def are_known(self, namespace: str) -> bool:
        return self._known

    def unread_reason(self, namespace: str) -> str:
        return self._unread


def made(name="incident", **spec):
    return halt(a_halt(name, **spec), operator_namespace="system")


HALT, STOP = made(), made("stop", level="Stop")
FLAT = made("flat", level="Stop", flatten=True)
NONE = Halts()


def a_config_map(live, *, halted=True):
    agent = replace(agent_value(), control=live, is_halted=halted)
    item = with_desired_hash(config_map.config_map(agent))
    return {**item, "metadata": {**item["metadata"], "uid": "cm", "resourceVersion": "7"}}


def state(resource=None, *manifests, halts=NONE, remembered=NOTHING):
    cache = ObjectCache()
    for item in manifests:
        cache.put(item)
    chosen = resource or an_agent()
    return control.control_state(chosen, cache, now=NOW, remembered=remembered, halts=halts)


def remembered(*responses, mode=Mode.HALTED, control=None, **more):
    """The memory after pods momentum-0, ... have given these responses."""
    found = {f"uid-momentum-{number}": item for number, item in enumerate(responses)}
    return Remembered(
        control=control or Control(mode=mode),
        delivered_at=NOW,
        acknowledgements=found,
        attempts=dict.fromkeys(found, 1),
        **more,
    )


DRAINED = Acknowledgement(mode=Mode.HALTED, at_rest=True)
BUSY = Acknowledgement(mode=Mode.HALTED, at_rest=False)
INVALID = {"spec": {"strategy": "Not Valid"}}


def spec_of(mode):
    return {**an_agent(trading={"mode": mode})}


def test_modes_are_compared_by_strength():
    assert strongest(Mode.ACTIVE, None, Mode.STOPPED, Mode.HALTED) is Mode.STOPPED
    assert strongest(None) is None


@pytest.mark.parametrize(
    ("mode", "halts", "expected"),
    [
        ("Active", (), ACTIVE),
        ("Active", (HALT,), HALTED),
        ("Active", (HALT, STOP), STOPPED),
        ("Active", (STOP, FLAT), FLATTEN),
        ("Halted", (STOP,), STOPPED),
        ("Stopped", (HALT,), STOPPED),
        ("Stopped", (), STOPPED),
    ],
)
def test_the_strongest_of_spec_and_halts_applies(mode, halts, expected):
    found = state(spec_of(mode), halts=Halts(*halts))
    assert trading_mode.desired_control(found) == expected
    assert trading_mode.is_halted(found) is bool(halts)


@pytest.mark.parametrize(
    ("halts", "expected"), [((), None), ((HALT,), Mode.HALTED), ((STOP,), Mode.STOPPED)]
)
def test_a_halt_applies_to_an_invalid_spec(halts, expected):
    assert trading_mode.desired_mode(state({**an_agent(), **INVALID}, halts=Halts(*halts))) is (
        expected
    )


def test_a_halt_of_another_agent_does_not_apply():
    other = made(selector={"names": ["other"]})
    assert trading_mode.desired_mode(state(halts=Halts(other))) is Mode.ACTIVE


@pytest.mark.parametrize("spec", [{}, INVALID], ids=["valid", "invalid"])
def test_the_config_map_has_the_mode_and_records_the_halt(spec):
    live = a_config_map(ACTIVE, halted=False)
    found = state({**an_agent(), **spec}, live, halts=Halts(FLAT))
    (write,) = control.control_actions(found)
    assert config_map.control_of(write.manifest) == FLATTEN
    assert config_map.is_halted(write.manifest)
    stored = {**write.manifest, "metadata": {**write.manifest["metadata"], "resourceVersion": "8"}}
    assert control.control_actions(state({**an_agent(), **spec}, stored, halts=Halts(FLAT))) == ()


def test_a_control_file_without_flatten_is_as_before():
    assert config_map.control_text(HALTED) == '{"mode":"Halted","generation":0}'
    assert config_map.control_text(FLATTEN) == '{"mode":"Stopped","generation":0,"flatten":true}'


@pytest.mark.parametrize(
    "live", [{}, {"data": None}, {"data": {"control.json": 5}}, {"data": {"control.json": "{}"}}]
)
def test_a_control_file_that_cannot_be_read_is_none(live):
    assert config_map.control_of(live) is None


@pytest.mark.parametrize(
    ("live", "mode", "held"),
    [
        (a_config_map(HALTED), "Active", HALTED),
        (a_config_map(FLATTEN), "Active", FLATTEN),
        (a_config_map(STOPPED), "Halted", STOPPED),
        (a_config_map(HALTED, halted=False), "Active", None),
        (a_config_map(HALTED), "Halted", None),
        (a_config_map(HALTED), "Stopped", None),
        (a_config_map(ACTIVE), "Active", None),
        ({**a_config_map(HALTED), "data": {}}, "Active", None),
    ],
)
def test_a_halt_that_ended_is_kept_while_a_pod_has_not_drained(live, mode, held):
    assert state(spec_of(mode), live, a_pod()).held == held


def test_a_halt_that_ended_while_the_spec_is_invalid_changes_nothing():
    found = state({**an_agent(), **INVALID}, a_config_map(HALTED), a_pod())
    assert (found.held, trading_mode.desired_mode(found)) == (None, None)


@pytest.mark.parametrize(
    ("memory", "known", "is_held"),
    [
        (remembered(BUSY), True, True),
        (remembered(DRAINED), True, False),
        (remembered(DRAINED), False, True),
        (remembered(BUSY, ended_for_s=timings.HALT_RESUME_LIMIT_S - 1), True, True),
        (remembered(BUSY, ended_for_s=timings.HALT_RESUME_LIMIT_S), True, False),
        (remembered(BUSY, ended_for_s=timings.HALT_RESUME_LIMIT_S), False, True),
        (remembered(mode=Mode.ACTIVE, may_resume=True), True, False),
        (remembered(mode=Mode.ACTIVE), True, True),
    ],
)
def test_an_agent_resumes_when_it_is_drained_or_after_a_limit_if_the_halts_are_known(
    memory, known, is_held
):
    halts = Halts(known=known)
    found = state(an_agent(), a_config_map(HALTED), a_pod(), halts=halts, remembered=memory)
    assert (found.held is not None) is is_held
    assert trading_mode.desired_mode(found) is (Mode.HALTED if is_held else Mode.ACTIVE)


def test_an_agent_without_pods_resumes_at_once():
    assert state(an_agent(), a_config_map(HALTED)).held is None


def message(found):
    return trading_active(found).message


def test_trading_active_names_the_halts_and_their_reason():
    one = state(halts=Halts(HALT))
    assert message(one).startswith(
        "Halted by PurpleFleaHalt trading/incident at 2026-01-01T00:00:00Z (the exchange is down)"
    )
    two = state(halts=Halts(HALT, made("second"), STOP))
    assert message(two).startswith("Stopped by PurpleFleaHalt trading/stop at")
    both = state(halts=Halts(HALT, made("second")))
    assert "PurpleFleaHalt trading/incident and 1 more at" in message(both)
    kept = state(an_agent(), a_config_map(HALTED), a_pod())
    assert message(kept).startswith("Halted until it is drained")


def test_a_weaker_halt_than_the_spec_is_not_named():
    found = state(spec_of("Stopped"), halts=Halts(HALT))
    assert "PurpleFleaHalt" not in message(found)
    assert found.trading.halts == ()


def test_the_status_lists_the_halts():
    found = state(halts=Halts(HALT, made("second")))
    status = next_status({}, found, [], name="momentum", now=NOW)
    assert status["trading"]["halts"] == ["trading/incident", "trading/second"]
    assert status["trading"]["changedBy"] == "PurpleFleaHalt trading/incident"
    without = next_status({}, state(), [], name="momentum", now=NOW)
    assert "halts" not in without["trading"]


def test_the_mode_of_the_spec_applies_since_the_end_of_the_halt():
    resource = an_agent()
    resource["status"] = {
        "trading": {"mode": "Halted", "since": "2026-01-01T00:00:00Z", "halts": ["trading/x"]}
    }
    resource["metadata"]["managedFields"] = [{"manager": "kubectl", "time": "2025-01-01T00:00:00Z"}]
    assert state(resource).trading.since == NOW
    resource["spec"]["trading"] = {"mode": "Halted"}
    assert state(resource).trading.since == datetime(2025, 1, 1, tzinfo=UTC)


def test_work_that_stopped_pods_left_stays_while_a_halt_stops_them():
    resource = an_agent()
    resource["status"] = {"trading": {"mode": "Stopped", "undone": ["momentum-0: open positions"]}}
    assert state(resource, halts=Halts(STOP)).trading.incomplete == ("momentum-0: open positions",)
    assert state(resource, halts=Halts(HALT)).trading.incomplete == ()


def test_a_workload_without_pods_names_the_halt():
    found = observed_state(stateful_set=a_stateful_set(0), halts=(STOP,))
    assert workload_available(found).message == "PurpleFleaHalt trading/stop stops the agents"


def test_flatten_is_sent_to_pods_that_are_already_stopped():
    pods = [a_pod(annotations={CONTROL_ANNOTATION: value}) for value in ("Stopped.2",)]
    found = observed_state(halts=(FLAT,), pods=pods)
    assert [item.nudge for item in nudges(found)] == ["Stopped-flatten"]
    pods = [a_pod(annotations={CONTROL_ANNOTATION: "Stopped-flatten.3"})]
    assert nudges(observed_state(halts=(FLAT,), pods=pods)) == []


@pytest.mark.parametrize(("flattened", "expected"), [(None, False), (False, True), (True, True)])
def test_an_agent_must_report_the_result_of_flatten(flattened, expected):
    response = Acknowledgement(mode=Mode.STOPPED, at_rest=True, flattened=flattened)
    memory = remembered(response, control=FLATTEN)
    found = state(an_agent(), a_pod(), halts=Halts(FLAT), remembered=memory)
    assert trading_mode.has_acknowledged(found, found.pods[0]) is expected


@pytest.mark.parametrize(
    ("halts", "config_maps", "expected"),
    [
        ((HALT,), [a_config_map(ACTIVE)], True),
        ((HALT,), [a_config_map(HALTED)], False),
        ((FLAT,), [a_config_map(STOPPED)], True),
        ((FLAT,), [a_config_map(FLATTEN)], False),
        ((), [a_config_map(HALTED)], True),
    ],
)
def test_an_agent_is_queued_if_its_halts_request_another_mode(halts, config_maps, expected):
    assert control.mode_differs(an_agent(), config_maps, Halts(*halts)) is expected


def progress(found, asked=("uid-momentum-0", "uid-momentum-1")):
    return agent_progress(found, asked)


def test_the_progress_of_an_agent_counts_its_pods():
    live, pods = (
        a_config_map(HALTED),
        (a_pod("momentum-0"), a_pod("momentum-1"), a_pod("momentum-2")),
    )
    memory = remembered(DRAINED, BUSY)
    found = progress(state(an_agent(), live, *pods, halts=Halts(HALT), remembered=memory))
    assert (found.mode, found.running, found.acknowledged, found.drained) == (Mode.HALTED, 3, 2, 1)
    assert found.open == (
        "momentum-1: is not drained",
        "momentum-2: has not acknowledged Halted",
    )
    assert (found.is_written, found.is_complete) == (True, False)


def test_the_progress_has_the_work_that_agents_report():
    left = Acknowledgement(mode=Mode.STOPPED, at_rest=True, left_undone="open positions: BTC-USD")
    memory = remembered(left, mode=Mode.STOPPED)
    resource = an_agent()
    resource["status"] = {
        "trading": {"mode": "Stopped", "undone": ["momentum-0: x", "momentum-7: resting orders"]}
    }
    found = progress(state(resource, a_pod(), halts=Halts(STOP), remembered=memory))
    assert found.open == ("momentum-0: open positions: BTC-USD", "momentum-7: resting orders")
    assert found.drained == found.running == 1


@pytest.mark.parametrize(
    ("manifests", "expected"),
    [
        ((), True),
        ((a_config_map(HALTED),), True),
        ((a_config_map(ACTIVE),), False),
        (({**a_config_map(HALTED), "data": {}},), False),
    ],
)
def test_the_progress_reports_whether_new_pods_start_with_the_mode(manifests, expected):
    assert progress(state(an_agent(), *manifests, halts=Halts(HALT))).is_written is expected


def test_an_active_agent_has_no_progress():
    assert progress(state(an_agent(), a_pod())).mode is Mode.ACTIVE
    assert progress(state({**an_agent(), **INVALID}, a_pod())).mode is None


@pytest.mark.parametrize(
    ("mode", "asked", "expected"),
    [
        ("Halted", (), True),
        ("Halted", ("uid-momentum-0",), False),
        ("Active", (), False),
    ],
)
def test_a_status_waits_for_the_first_request_if_it_reports_the_mode_already(mode, asked, expected):
    found = state(an_agent(), a_pod(), halts=Halts(HALT))
    current = {"trading": {"mode": mode}}
    pending = status_throttle.acknowledgements_are_pending(current, found, asked)
    assert pending is expected
    invalid = state({**an_agent(), **INVALID}, a_pod())
    assert not status_throttle.acknowledgements_are_pending(current, invalid, asked)


def test_only_the_mode_of_an_agent_that_is_being_deleted_is_reported():
    ready = {"type": "Ready", "status": "True", "reason": "Ready", "message": "x"}
    trading = {"type": "TradingActive", "status": "True", "reason": "Active", "message": "x"}
    current = {
        "replicas": 2,
        "conditions": [
            {**item, "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1}
            for item in (ready, trading)
        ],
    }
    found = state(an_agent(), a_pod(), halts=Halts(HALT))
    after = with_trading(current, found, trading_active(found), now=NOW)
    assert after["conditions"][0] == current["conditions"][0]
    assert after["conditions"][1]["reason"] == "Halting"
    assert (after["replicas"], after["trading"]["mode"]) == (2, "Halted")
    active = state(an_agent(), a_pod())
    assert with_trading(current, active, trading_active(active), now=NOW) == current
    resumed = with_trading(after, active, trading_active(active), now=NOW)
    assert resumed["trading"]["mode"] == "Active"
    unreadable = state({**an_agent(), **INVALID}, a_pod())
    assert with_trading(current, unreadable, trading_active(unreadable), now=NOW) == current


@pytest.mark.parametrize(
    ("live", "halts", "version"),
    [(a_config_map(ACTIVE, halted=False), (HALT,), None), (a_config_map(HALTED), (), "7")],
    ids=["halt", "resume"],
)
def test_only_the_write_that_resumes_names_the_version_that_it_replaces(live, halts, version):
    (write,) = control.control_actions(state(an_agent(), live, halts=Halts(*halts)))
    assert write.manifest["metadata"].get("resourceVersion") == version
    assert write.manifest["metadata"]["uid"] == "cm"


@pytest.mark.parametrize(
    ("live", "halts", "mark"),
    [
        (a_config_map(HALTED), (), "false"),
        (a_config_map(ACTIVE, halted=False), (HALT,), "true"),
        (a_config_map(HALTED, halted=False), (), None),
    ],
    ids=["halt ends", "halt", "spec resumes"],
)
def test_the_write_that_ends_a_halt_overwrites_its_mark(live, halts, mark):
    (write,) = control.control_actions(state(an_agent(), live, halts=Halts(*halts)))
    assert write.manifest["metadata"]["annotations"].get("purpleflea.com/halted") == mark


def test_the_decision_to_resume_survives_until_the_config_map_has_the_mode():
    clock = [100.0]
    memory = AgentMemories(lambda: clock[0], RestartBudget(print, clock=lambda: clock[0])).of(
        NamespacedName("trading", "momentum"), "agent-uid"
    )
    requests = ModeAcknowledgements(None, print, clock=lambda: clock[0])

    def observed(live):
        known = memory.snapshot(NOW, clock[0])
        found = state(an_agent(), live, a_pod(), remembered=known)
        requests.update(memory, found)
        return trading_mode.desired_mode(found)

    halted, active = a_config_map(HALTED), a_config_map(ACTIVE, halted=False)
    assert observed(halted) is Mode.HALTED
    memory.mode_requests.responses["uid-momentum-0"] = DRAINED
    # The first observation drops the acknowledgement, because the mode is another one.
    assert [observed(halted) for _ in range(3)] == [Mode.ACTIVE] * 3
    assert observed(active) is Mode.ACTIVE
    assert not memory.may_resume
    # A later halt is held again, and its limit counts from its own end.
    assert observed(halted) is Mode.HALTED
    clock[0] += timings.HALT_RESUME_LIMIT_S
    assert [observed(halted) for _ in range(3)] == [Mode.ACTIVE] * 3


@pytest.mark.parametrize(
    ("nudges_of_pods", "expected"),
    [
        (["Halted", ""], HALTED),
        (["Halted", "Stopped-2"], STOPPED),
        (["Active", ""], None),
        ([], None),
    ],
)
def test_if_the_config_map_was_deleted_the_pods_have_the_mode_of_the_last_halt(
    nudges_of_pods, expected
):
    pods = tuple(
        replace(pod(a_pod(f"momentum-{number}")), last_nudge=value)
        for number, value in enumerate(nudges_of_pods)
    )
    observed = replace(observed_state(), children={}, pods=pods)
    assert effective_mode.held_control(observed) == expected


UNREAD = "the API server refuses the list of the purplefleahalts (HTTP 403); grant list and watch"


@pytest.mark.parametrize(
    ("resource", "manifests", "expected"),
    [
        (an_agent(), (), HALTED),
        (an_agent(), (a_pod(node=""),), HALTED),
        (an_agent(), (a_pod(),), ACTIVE),
        (an_agent(), (a_pod(annotations={CONTROL_ANNOTATION: "Stopped"}),), STOPPED),
        (an_agent(), (a_config_map(ACTIVE, halted=False), a_pod()), ACTIVE),
        (an_agent(), (a_config_map(HALTED, halted=False), a_pod()), HALTED),
        (an_agent(), (a_config_map(FLATTEN), a_pod()), FLATTEN),
        (spec_of("Halted"), (a_config_map(ACTIVE, halted=False), a_pod()), HALTED),
        (spec_of("Stopped"), (a_config_map(HALTED), a_pod()), STOPPED),
        (spec_of("Halted"), (), HALTED),
        ({**an_agent(), **INVALID}, (), None),
    ],
)
def test_no_agent_starts_to_trade_while_its_halts_cannot_be_read(resource, manifests, expected):
    """Agents that run keep their mode, and a stronger one applies."""
    memory = remembered(DRAINED, ended_for_s=timings.HALT_RESUME_LIMIT_S)
    found = state(resource, *manifests, halts=Halts(unread=UNREAD), remembered=memory)
    assert trading_mode.desired_control(found) == expected


def test_an_agent_that_does_not_start_to_trade_names_the_cause_and_the_remedy():
    found = state(halts=Halts(unread=UNREAD))
    assert message(found) == (
        f"Halted, because PurpleFleaHalts that may apply cannot be read: {UNREAD}; no agent is running"
    )
    assert trading_mode.is_halted(found)


def test_the_limit_of_an_ended_halt_does_not_start_while_halts_cannot_be_read():
    clock = [100.0]
    requests = ModeAcknowledgements(None, lambda key: None, clock=lambda: clock[0])
    memory = AgentMemories(lambda: 0.0, RestartBudget(lambda key: None, clock=lambda: 0.0)).of(
        NamespacedName("trading", "momentum"), "uid"
    )
    for halts, expected in ((Halts(unread=UNREAD), None), (Halts(known=False), 100.0)):
        requests.update(memory, state(an_agent(), a_config_map(HALTED), a_pod(), halts=halts))
        assert memory.halt_ended_s == expected


def test_flatten_is_kept_until_its_result_is_reported():
    """The halt with flatten ended, and one without it applies."""
    found = state(an_agent(), a_config_map(FLATTEN), a_pod(), halts=Halts(STOP))
    assert trading_mode.desired_control(found) == FLATTEN


@pytest.mark.parametrize(
    ("seen", "pods", "expected"),
    [
        ({"momentum-0": False, "momentum-1": False}, [a_pod()], {"momentum-1"}),
        ({"momentum-0": False, "momentum-1": True}, [a_pod()], set()),
        ({}, [], set()),
    ],
)
def test_a_pod_that_vanished_without_its_deletion_may_still_run(seen, pods, expected):
    found = observed_state(pods=pods, now=NOW)
    assert trading_mode.lost_pods(seen, found) == expected


def a_set(replicas=1, *, left=0, **spec):
    found = a_stateful_set(replicas)
    found["spec"] |= spec
    found["status"] = {"replicas": left}
    return found


WAITING = a_pod("momentum-0", waiting="ContainerCreating")
ENDED = a_pod("momentum-0", waiting="CrashLoopBackOff", restarts=2)


@pytest.mark.parametrize(
    ("stateful_set", "pods", "confirmed", "expected"),
    [
        # The cache is complete: every pod runs, so it is asked itself.
        (a_set(2), [a_pod("momentum-0"), a_pod("momentum-1")], (), ()),
        (a_set(1), [ENDED], (), ()),
        (a_set(0), [], (), ()),
        # The StatefulSet requests pods that were never reported.
        (a_set(1), [], (), ("momentum-0",)),
        (a_set(3), [a_pod("momentum-1")], (), ("momentum-0", "momentum-2")),
        (a_set(3), [a_pod("momentum-1")], ("momentum-0",), ("momentum-2",)),
        (a_set(1), [], ("momentum-0",), ()),
        # The last event of a pod can be the one before its start.
        (a_set(1), [WAITING], (), ("momentum-0",)),
        (a_set(1), [WAITING], ("momentum-0",), ()),
        (None, [WAITING], (), ("momentum-0",)),
        # The StatefulSet has not deleted all pods that it does not request any more.
        (a_set(0, left=2), [], (), ("momentum-0", "momentum-1")),
        (a_set(1, left=2), [a_pod()], (), ("momentum-1",)),
        # A user can change the first ordinal.
        (a_set(2, ordinals={"start": 5}), [a_pod("momentum-5")], (), ("momentum-6",)),
    ],
)
def test_a_pod_that_the_cache_does_not_show_to_run_is_read_before_a_proof(
    stateful_set, pods, confirmed, expected
):
    found = observed_state(
        spec={"trading": {"mode": "Halted"}},
        stateful_set=stateful_set,
        pods=pods,
        now=NOW,
        trading=TradingObservation(confirmed=confirmed),
    )
    assert trading_mode.unaccounted(found) == expected
    acknowledged = {
        f"uid-{pod['metadata']['name']}": Acknowledgement(mode=Mode.HALTED, at_rest=True)
        for pod in pods
    }
    trading = replace(found.trading, acknowledgements=acknowledged)
    assert trading_mode.is_proven(replace(found, trading=trading)) is (not expected)
    active = observed_state(stateful_set=stateful_set, pods=pods, now=NOW)
    assert trading_mode.unaccounted(active) == ()


def test_the_pods_of_a_stateful_set_that_is_recreated_are_read_before_a_proof():
    found = observed_state(spec={"trading": {"mode": "Halted"}}, pods=[], now=NOW)
    assert trading_mode.unaccounted(replace(found, recreated=a_set(1))) == ("momentum-0",)


def test_a_pod_that_may_still_run_prevents_each_proof():
    memory = remembered(DRAINED, unseen={"momentum-1": 7.0})
    found = state(spec_of("Halted"), a_config_map(HALTED), a_pod(), remembered=memory)
    assert trading_mode.unaccounted(found) == ("momentum-1",)
    finding = trading_active(found)
    assert (finding.status, finding.reason) == ("Unknown", "Halting")
    assert "1/2 agents have acknowledged it, waiting for momentum-1" in finding.message
    progress = agent_progress(found, ())
    assert (progress.running, progress.acknowledged, progress.is_complete) == (2, 1, False)
    assert progress.open == (
        "momentum-1: is read from the API server, because it may run unobserved",
    )
    current = {"trading": {"mode": "Halted"}}
    assert status_throttle.acknowledgements_are_pending(current, found, ("uid-momentum-0",))
    # After the halt, the agent is held until the pod is found.
    held = state(an_agent(), a_config_map(HALTED), a_pod(), remembered=memory)
    assert held.held == HALTED


def test_a_stopped_agent_keeps_its_pods_until_each_is_found():
    response = Acknowledgement(mode=Mode.STOPPED, at_rest=True)
    memory = remembered(response, mode=Mode.STOPPED, unseen={"momentum-1": 7.0})
    found = state(spec_of("Stopped"), a_config_map(STOPPED), a_pod(), remembered=memory)
    assert not trading_mode.may_scale_to_zero(found)
    assert trading_mode.may_scale_to_zero(
        state(
            spec_of("Stopped"),
            a_config_map(STOPPED),
            a_pod(),
            remembered=replace(memory, unseen={}),
        )
    )


def test_an_active_agent_needs_no_proof_of_pods_that_are_not_watched():
    memory = remembered(control=ACTIVE, unseen={"momentum-1": 7.0})
    found = state(an_agent(), a_config_map(ACTIVE, halted=False), a_pod(), remembered=memory)
    assert trading_mode.unaccounted(found) == ()
    assert trading_active(found).status == "True"


@pytest.mark.parametrize("found", [HALT, STOP, FLAT])
@pytest.mark.parametrize("live", [Control(mode=mode) for mode in Mode])
def test_a_stop_counts_as_a_halt_until_all_halts_are_read(found, live):
    """It changes Active to Halted, and it never weakens a mode."""
    unread = Halts(found, unread="not listed yet")
    halted = state(None, a_config_map(live, halted=False), halts=unread)
    expected = Control(mode=Mode.HALTED) if live.mode is Mode.ACTIVE else live
    assert trading_mode.desired_control(halted) == expected
    assert control.requested_control(an_agent(), unread) == Control(mode=Mode.HALTED)
    known = state(None, a_config_map(live, halted=False), halts=Halts(found))
    assert trading_mode.desired_control(known) == Control(mode=found.mode, flatten=found.flatten)
