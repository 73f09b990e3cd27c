"""Downtimes of the heartbeat monitor: set with the intent, ended with it, bounded in time, and never two for one."""

from datetime import datetime, timedelta

import pytest

from purpleflea_contract import kubernetes
from purpleflea_operator.controllers.observability.decisions.absences import AbsenceIndex
from purpleflea_operator.controllers.observability.decisions.version_rollouts import RolloutIndex
from purpleflea_operator.controllers.observability.deployment_reporter import CachedFleet
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.object_cache import ObjectCache
from support.builders import an_agent
from support.observability_scenario import NAME, NS, AnswerLimit, Killed

PATH = "/api/v2/downtime"


class Fleet(CachedFleet):
    """Fleet whose agents the test changes."""

    def __init__(self, scenario):
        super().__init__(RolloutIndex(), ObjectCache())
        self._scenario = scenario
        self.replaced = []

    def pods(self, agent):
        return self.replaced

    def put(
        self,
        name="momentum",
        *,
        replicas=2,
        mode="Active",
        since=None,
        rolling=False,
        env="production",
        **status,
    ):
        agent = an_agent(name, uid=name)
        now = self._scenario.now
        agent["metadata"] |= {
            "namespace": NS,
            "creationTimestamp": (now - timedelta(days=9)).isoformat(),
        }
        agent["spec"] |= {
            "replicas": replicas,
            "datadog": {"env": env, "service": "purpleflea-trading-agent"},
        }
        reason = "RollingOut" if rolling else "Complete"
        agent["status"] = {
            "trading": {"mode": mode, "since": (since or now).isoformat()},
            "conditions": [{"type": "Progressing", "status": "True", "reason": reason}],
            **status,
        }
        return self.absence_index.upsert(agent, now)

    def delete(self, name="momentum"):
        return self.absence_index.delete(f"{NS}/{name}", self._scenario.now)

    def restart_operator(self):
        """Lose the state that is only in the memory of the operator."""
        self.absence_index = AbsenceIndex()


@pytest.fixture
async def fleet(scenario):
    scenario.fleet = Fleet(scenario)
    scenario.put()
    await scenario.reconcile_until_done()
    return scenario.fleet


def active(scenario):
    """Return the scopes of the active downtimes, and their ends in minutes from now."""
    found = []
    for item in scenario.datadog.organisation.downtimes.values():
        end = item["schedule"]["end"]
        minutes = (datetime.fromisoformat(end) - scenario.now).total_seconds() / 60
        if not item["canceled"] and minutes > 0:
            found.append((item["scope"], minutes))
    return sorted(found)


def requests(scenario):
    return [
        item.method
        for item in scenario.datadog.organisation.request_log.entries
        if item.path.startswith(PATH)
    ]


async def test_agents_that_run_cost_no_request(scenario, fleet):
    fleet.put()
    for _ in range(3):
        await scenario.reconcile()
    assert requests(scenario) == []
    assert "silencedUntil" not in scenario.status


@pytest.mark.parametrize(
    ("change", "scope"),
    [
        (lambda fleet: fleet.put(mode="Stopped"), "agent_id:(momentum-0 OR momentum-1)"),
        (lambda fleet: fleet.delete(), "agent_id:(momentum-0 OR momentum-1)"),
        (lambda fleet: fleet.put(replicas=1), "agent_id:momentum-1"),
        (lambda fleet: fleet.put(replicas=0), "agent_id:(momentum-0 OR momentum-1)"),
    ],
    ids=["stopped", "deleted", "scaled down", "scaled to zero"],
)
async def test_an_intent_costs_one_list_and_one_create_and_then_one_list_per_pass(
    scenario, fleet, change, scope
):
    fleet.put()
    await scenario.reconcile()
    assert change(fleet)
    await scenario.reconcile()
    assert active(scenario) == [(scope, 25 * 60)]
    assert requests(scenario) == ["GET", "POST"]
    await scenario.reconcile()
    assert requests(scenario) == ["GET", "POST", "GET"]
    (downtime,) = scenario.datadog.organisation.downtimes.values()
    tags = downtime["monitor_identifier"]["monitor_tags"]
    assert tags == ["purpleflea-uid:pfo-uid", "purpleflea-object:heartbeat"]
    muted = [
        monitor.definition["name"]
        for monitor in scenario.datadog.organisation.monitors.values()
        if set(tags) <= set(monitor.tags)
    ]
    assert muted == ["Purple Flea agent: no heartbeat"]


@pytest.mark.parametrize(
    "change",
    [
        lambda fleet: fleet.put(mode="Stopped"),
        lambda fleet: fleet.delete(),
        lambda fleet: fleet.put(replicas=0),
        lambda fleet: fleet.put(env="staging"),
    ],
    ids=["stopped", "deleted", "scaled to zero", "moved"],
)
async def test_agents_that_continue_to_run_are_not_muted_until_their_pods_end(
    scenario, fleet, change
):
    fleet.put()
    fleet.replaced = [a_pod(scenario, f"momentum-{n}", age_s=86_400, ready=True) for n in range(2)]
    assert change(fleet)
    for _ in range(2):
        await scenario.reconcile()
    assert requests(scenario) == []
    # One pod ends, and is recreated without the change.
    pod = fleet.replaced.pop()
    assert fleet.absence_index.delete_pod(f"{NS}/momentum")
    await scenario.reconcile()
    assert active(scenario) == [("agent_id:momentum-1", 25 * 60)]
    fleet.replaced.append(pod)
    assert fleet.absence_index.upsert_pod(pod, scenario.now)
    await scenario.reconcile()
    assert active(scenario) == []
    assert requests(scenario) == ["GET", "POST", "GET", "DELETE"]


async def test_the_downtime_ends_with_the_intent_and_then_nothing_is_requested(scenario, fleet):
    fleet.put(mode="Stopped")
    await scenario.reconcile()
    fleet.put()
    await scenario.reconcile()
    assert active(scenario) == []
    assert requests(scenario) == ["GET", "POST", "GET", "DELETE"]
    assert "silencedUntil" not in scenario.status
    await scenario.reconcile()
    assert len(requests(scenario)) == 4


async def test_an_agent_that_returns_is_removed_from_the_scope_of_the_others(scenario, fleet):
    for name in ("a", "b", "c"):
        fleet.put(name, replicas=1, mode="Stopped")
    await scenario.reconcile()
    fleet.put("b", replicas=1)
    await scenario.reconcile()
    assert [scope for scope, _ in active(scenario)] == ["agent_id:(a-0 OR c-0)"]
    fleet.put("a", replicas=1)
    await scenario.reconcile()
    assert [scope for scope, _ in active(scenario)] == ["agent_id:c-0"]


@pytest.mark.parametrize("returns", [True, False])
async def test_after_a_change_of_leader_only_a_downtime_without_a_cause_is_removed(
    scenario, fleet, returns
):
    fleet.put()
    fleet.delete()
    await scenario.reconcile()
    fleet.restart_operator()
    if returns:
        fleet.put()
    await scenario.reconcile()
    assert bool(active(scenario)) is not returns
    assert requests(scenario).count("POST") == 1


async def test_an_agent_stopped_for_longer_than_a_day_costs_no_request(scenario, fleet):
    fleet.put(mode="Stopped", since=scenario.now - timedelta(hours=24))
    await scenario.reconcile()
    assert requests(scenario) == []


async def test_an_expired_downtime_is_not_renewed(scenario, fleet):
    fleet.put(mode="Stopped")
    await scenario.reconcile()
    for _ in range(4):
        scenario.pass_time(12 * 3600)
        await scenario.reconcile()
    assert active(scenario) == []
    assert requests(scenario).count("POST") == 1
    assert "silencedUntil" not in scenario.status


async def test_a_create_without_an_answer_is_not_repeated(scenario, fleet, failing_reconcile):
    fleet.put(mode="Stopped")
    fault = {"kind": "status_after_commit", "method": "POST", "path_prefix": PATH, "times": 1}
    scenario.datadog.fail(fault)
    await failing_reconcile()
    assert len(active(scenario)) == 1
    await scenario.reconcile()
    assert len(active(scenario)) == 1
    assert requests(scenario).count("POST") == 1


async def test_a_create_that_took_effect_late_is_removed(scenario, fleet):
    fleet.put(mode="Stopped")
    await scenario.reconcile()
    downtimes = scenario.datadog.organisation.downtimes
    (first,) = downtimes.values()
    downtimes["late"] = dict(first)
    await scenario.reconcile()
    assert len(active(scenario)) == 1


async def test_an_operator_killed_at_any_answer_leaves_exactly_one_downtime(scenario, fleet):
    fleet.put(mode="Stopped")
    for answers in range(1, 40):
        limit = AnswerLimit(answers)
        try:
            await scenario.reconcile(limit=limit)
        except Killed:
            assert len(active(scenario)) <= 1
            continue
        break
    assert len(active(scenario)) == 1
    assert requests(scenario).count("POST") == 1
    fleet.put()
    await scenario.reconcile()
    assert active(scenario) == []


async def test_a_refusal_is_in_the_status_and_the_other_objects_stay_in_sync(scenario, fleet):
    scenario.datadog.fail({"kind": "status", "path_prefix": PATH, "status": 403})
    fleet.put(mode="Stopped")
    for _ in range(2):
        await scenario.reconcile()
    assert "403" in scenario.status["downtimeError"]
    assert scenario.condition("Synced")["status"] == "True"
    scenario.datadog.fail()
    await scenario.reconcile()
    assert "downtimeError" not in scenario.status
    assert len(active(scenario)) == 1


@pytest.mark.parametrize("spec", [{"features": {"downtimes": False}}, {"mode": "Plan"}])
async def test_nothing_is_muted_without_the_feature_or_in_mode_plan(scenario, fleet, spec):
    scenario.put(**spec)
    fleet.put(mode="Stopped")
    await scenario.reconcile()
    assert requests(scenario) == []


async def test_disabling_the_feature_ends_the_downtimes(scenario, fleet):
    fleet.put(mode="Stopped")
    await scenario.reconcile()
    scenario.put(features={"downtimes": False})
    await scenario.reconcile()
    assert active(scenario) == []


def a_pod(scenario, name, *, age_s, ready=False, ending=False):
    created = (scenario.now - timedelta(seconds=age_s)).isoformat()
    labels = {
        kubernetes.DD_LABEL_ENV: "production",
        kubernetes.DD_LABEL_SERVICE: "purpleflea-trading-agent",
    }
    metadata = {"name": name, "namespace": NS, "creationTimestamp": created, "labels": labels}
    if ending:
        metadata["deletionTimestamp"] = scenario.now.isoformat()
    conditions = [{"type": "Ready", "status": "True" if ready else "False"}]
    return {"metadata": metadata, "status": {"conditions": conditions}}


async def test_a_rollout_mutes_only_pods_that_are_being_replaced_and_for_a_quarter_of_an_hour(
    scenario, fleet
):
    fleet.put(replicas=4, rolling=True)
    fleet.replaced = [
        a_pod(scenario, "momentum-0", age_s=86_400, ready=True),
        a_pod(scenario, "momentum-1", age_s=86_400, ready=True, ending=True),
        a_pod(scenario, "momentum-2", age_s=30),
        a_pod(scenario, "momentum-3", age_s=3_600),  # not ready for an hour: this is a failure
    ]
    await scenario.reconcile()
    assert active(scenario) == [("agent_id:(momentum-1 OR momentum-2)", 15)]
    (downtime,) = scenario.datadog.organisation.downtimes.values()
    assert downtime["notify_end_types"] == ["expired"]
    fleet.replaced = [a_pod(scenario, f"momentum-{n}", age_s=60, ready=True) for n in range(4)]
    fleet.put(replicas=4)
    await scenario.reconcile()
    assert active(scenario) == []
    assert requests(scenario) == ["GET", "POST", "GET", "DELETE"]


async def test_a_rollout_that_fails_is_not_muted_again(scenario, fleet):
    created = scenario.now
    for _ in range(6):
        age_s = (scenario.now - created).total_seconds()
        fleet.replaced = [a_pod(scenario, "momentum-0", age_s=age_s)]
        fleet.put(rolling=True)
        await scenario.reconcile()
        scenario.pass_time(600)
    assert active(scenario) == []
    assert requests(scenario).count("POST") <= 2


async def test_the_first_pods_of_a_new_agent_cost_no_request(scenario, fleet):
    agent = an_agent("young", uid="young")
    agent["metadata"] |= {"namespace": NS, "creationTimestamp": scenario.now.isoformat()}
    agent["spec"]["datadog"] = {"env": "production", "service": "purpleflea-trading-agent"}
    agent["status"] = {"conditions": [{"type": "Progressing", "reason": "RollingOut"}]}
    fleet.absence_index.upsert(agent, scenario.now)
    fleet.replaced = [a_pod(scenario, "young-0", age_s=5)]
    await scenario.reconcile()
    assert requests(scenario) == []


async def test_a_stopped_fleet_is_muted_in_batches(scenario, fleet):
    for number in range(250):
        fleet.put(f"agent-{number:03}", replicas=1, mode="Stopped")
    await scenario.reconcile()
    assert requests(scenario) == ["GET", "POST", "POST", "POST"]
    for number in range(250):
        fleet.put(f"agent-{number:03}", replicas=1)
    await scenario.reconcile()
    assert active(scenario) == []
    assert requests(scenario).count("DELETE") == 3


async def test_downtimes_of_users_and_of_other_resources_are_not_touched(scenario, fleet):
    fleet.put(mode="Stopped")
    await scenario.reconcile()
    organisation = scenario.datadog.organisation
    (ours,) = organisation.downtimes.values()
    of_other = {"monitor_tags": ["purpleflea-uid:x", "purpleflea-object:heartbeat"]}
    foreign = {
        "of-user": {**ours, "monitor_identifier": {"monitor_id": 7}},
        "of-other": {**ours, "monitor_identifier": of_other},
        "odd-scope": {**ours, "scope": "env:production AND agent_id:momentum-0"},
    }
    organisation.downtimes.update(foreign)
    fleet.put()
    await scenario.reconcile()
    assert [bool(organisation.downtimes[key]["canceled"]) for key in foreign] == [False] * 3
    assert ours["canceled"]


async def test_the_removal_of_the_resource_ends_its_downtimes(scenario, fleet):
    fleet.put(mode="Stopped")
    await scenario.reconcile()
    scenario.server.delete("PurpleFleaObservability", NS, NAME)
    await scenario.reconcile_until_done()
    assert active(scenario) == []


async def test_a_rate_limit_delays_the_downtime(scenario, fleet):
    fleet.put(mode="Stopped")
    scenario.datadog.fail({"kind": "rate_limit", "path_prefix": PATH, "times": 1})
    with pytest.raises(errors.Throttled):
        await scenario.reconcile()
    await scenario.reconcile()
    assert len(active(scenario)) == 1
