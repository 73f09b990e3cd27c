"""A warm standby takes over: it serves a halt when it acquires the lease, and has written nothing before."""

import pytest

from support.simulation.matrix import (
    halt_after_takeover,
    modes_after_takeover_with_an_expired_halt,
    writes_of_a_standby,
)
from support.simulation.outdated import (
    AGENTS,
    HALTS,
    Failing,
    end_halt,
    modes_after_failing_lists,
    nothing,
    progress_after_takeover,
    replicas_after_recreation,
    set_spec,
    stop_by_halt,
    takeover_with_outdated_caches,
    without_halts,
)


@pytest.mark.parametrize("slow_lists", [False, True], ids=["", "lists hang"])
@pytest.mark.parametrize(("is_killed", "limit_s"), [(True, 11.0), (False, 1.3)])
def test_a_halt_is_served_as_soon_as_the_lease_is_acquired(is_killed, limit_s, slow_lists):
    served = halt_after_takeover(is_killed=is_killed, slow_lists=slow_lists)
    assert served.halt_s < limit_s
    assert served.halt_s - served.acquired_s <= 0.3
    assert served.writes[0] == "patch configmaps"


def test_a_standby_writes_nothing_whatever_happens_to_its_watches():
    assert writes_of_a_standby() == []


def test_a_halt_that_expired_before_the_takeover_does_not_halt_again():
    assert modes_after_takeover_with_an_expired_halt() == []


ALL = ("list", "get", "watch")


@pytest.mark.parametrize("verbs", [("list",), ("list", "get"), ALL], ids="-".join)
@pytest.mark.parametrize("status", [403, 404])
def test_a_standby_that_may_not_list_agents_changes_nothing_and_another_replica_leads(
    status, verbs
):
    failing = Failing(AGENTS, verbs, status=status)
    outcome = takeover_with_outdated_caches(nothing, set_spec("Halted", 4), AGENTS, failing)
    assert set(outcome.modes) == {"Halted"}
    assert set(outcome.replicas) == {4}
    assert outcome.former_leads


@pytest.mark.parametrize("resource", ["pods", "configmaps", "statefulsets", "networkpolicies"])
def test_a_standby_that_may_not_list_a_needed_kind_does_not_lead(resource):
    failing = Failing(resource, ALL, status=403)
    outcome = takeover_with_outdated_caches(nothing, set_spec("Halted", 4), AGENTS, failing)
    assert set(outcome.modes) == {"Halted"}
    assert set(outcome.replicas) == {4}
    assert outcome.former_leads


@pytest.mark.parametrize(
    ("failing", "final_mode"),
    [
        (Failing(HALTS, late_s=3), "Active"),
        (Failing(HALTS, late_s=15), "Active"),
        (Failing(HALTS, status=503, times=4), "Active"),
        (Failing(HALTS, status=403, times=4), "Active"),
        (Failing(HALTS, ALL, status=403), "Halted"),
        (Failing(HALTS, ALL, status=404), "Halted"),
    ],
)
def test_a_stop_that_may_have_ended_only_halts(failing, final_mode):
    outcome = takeover_with_outdated_caches(stop_by_halt, end_halt, HALTS, failing, after_s=120)
    assert set(outcome.modes) <= {"Active", "Halted"}
    assert set(outcome.replicas) == {2}
    assert outcome.final_mode == final_mode


def test_a_stop_in_an_outdated_spec_only_halts():
    outcome = takeover_with_outdated_caches(
        set_spec("Stopped"),
        set_spec("Active"),
        AGENTS,
        Failing(AGENTS, ("get",), status=503),
        Failing(AGENTS, late_s=3),
    )
    assert set(outcome.modes) == {"Active", "Halted"}
    assert set(outcome.replicas) == {2}
    assert outcome.final_mode == "Active"


@pytest.mark.parametrize("failing", [Failing(HALTS, late_s=3), Failing(HALTS, ALL, status=403)])
def test_a_halt_that_is_not_confirmed_replaces_no_stop_that_the_standby_has_not_received(failing):
    outcome = takeover_with_outdated_caches(nothing, stop_by_halt, "configmaps", failing)
    assert set(outcome.modes) == {"Stopped-flatten"}
    assert set(outcome.replicas) == {0}


@pytest.mark.parametrize("status", [403, 404])
@pytest.mark.parametrize("verbs", [("list",), ALL], ids="-".join)
def test_an_outdated_halt_never_weakens_a_stop(verbs, status):
    outcome = takeover_with_outdated_caches(
        set_spec("Halted"), stop_by_halt, HALTS, Failing(HALTS, verbs, status=status)
    )
    assert set(outcome.modes) == {"Stopped-flatten"}
    assert set(outcome.replicas) == {0}


@pytest.mark.parametrize(
    "failing",
    [
        Failing(HALTS, status=403, times=2),
        Failing("nodes", status=500),
        Failing("csidrivers", status=503),
        Failing("namespaces", status=429),
        Failing("daemonsets", status=500),
        Failing("purplefleaobservabilities", status=500),
        Failing("purplefleaobservabilities", status=403),
    ],
)
def test_a_list_that_fails_after_a_takeover_delays_no_agent(failing):
    assert modes_after_failing_lists(failing) == ("Active", "Active")


@pytest.mark.parametrize(
    "failing",
    [
        Failing(HALTS, status=500),
        Failing(HALTS, ALL, status=503),
        Failing(HALTS, ALL, status=429),
        Failing(HALTS, ALL, status=403),
        Failing(HALTS, ALL, status=404),
        Failing(HALTS, ALL, late_s=1e4),
    ],
    ids=str,
)
@pytest.mark.parametrize("is_takeover", [True, False], ids=["takeover", "start"])
def test_passes_run_without_the_halts_and_no_further_agent_trades(failing, is_takeover):
    found = without_halts(failing, is_takeover=is_takeover)
    assert found.existing == ("Active", 2)
    assert found.fresh == "Halted"
    assert found.scaled_down == 1
    assert found.halt_s < 3
    assert found.late_halt_s < 30
    assert found.later == ("Active", 4)


@pytest.mark.parametrize("status", [403, 404, 500])
def test_an_agent_whose_statefulset_is_recreated_without_the_halts_does_not_grow(status):
    assert replicas_after_recreation(Failing(HALTS, ALL, status=status)) == ("Active", 1)


def test_a_new_leader_does_not_report_a_halt_from_the_pods_that_it_had_as_a_standby():
    found = progress_after_takeover()
    assert {draining for _, _, draining in found} == {"True"}
    assert found[-1][0] == 4
