"""Deployments in Datadog: one DORA deployment and one event per version, also after failed requests."""

import pytest

from purpleflea_contract import kubernetes
from purpleflea_operator.controllers.observability.decisions.version_rollouts import RolloutIndex
from purpleflea_operator.controllers.observability.deployment_reporter import NoFleet
from purpleflea_operator.kube import errors, resources
from support.builders import an_agent
from support.datadog_api import DatadogApi
from support.observability_scenario import NAME, NS, AnswerLimit, Killed, a_resource, a_secret

KIND = resources.OBSERVABILITY.kind
IMAGE = "registry.invalid/agent"


class Fleet:
    """Fleet of one agent."""

    def __init__(self):
        self.version, self.is_ready = "1.0.0", True

    def versions(self, *, env, service):
        index = RolloutIndex()
        index.upsert(self._stateful_set())
        return index.view(env=env, service=service)

    def _stateful_set(self):
        labels = {
            kubernetes.DD_LABEL_ENV: "production",
            kubernetes.DD_LABEL_SERVICE: "purpleflea-trading-agent",
            kubernetes.DD_LABEL_VERSION: self.version,
        }
        counts = dict.fromkeys(("replicas", "updatedReplicas"), 1)
        return {
            "metadata": {"namespace": NS, "name": "momentum", "uid": "uid", "generation": 1},
            "spec": {"replicas": 1, "template": {"metadata": {"labels": labels}}},
            "status": {"observedGeneration": 1, "readyReplicas": int(self.is_ready), **counts},
        }

    def pods(self, agent):
        assert agent == f"{NS}/momentum"
        return ()

    def absences(self, *, env, service, now):
        return NoFleet().absences(env=env, service=service, now=now)


@pytest.fixture
def fleet(scenario):
    scenario.fleet = Fleet()
    return scenario.fleet


def reported(scenario):
    """Return the versions of deployments and the titles of events."""
    organisation = scenario.datadog.organisation
    versions = [one["version"] for one in organisation.deployments.values()]
    return versions, [event["title"] for event in organisation.data.events]


def title(version):
    return f"purpleflea-trading-agent {version} is deployed to production"


async def test_a_running_version_is_reported_once(scenario, fleet):
    scenario.put()
    for _ in range(3):
        await scenario.reconcile()
    assert reported(scenario) == (["1.0.0"], [title("1.0.0")])
    (mark,) = scenario.status["deployments"]
    assert (mark["version"], mark["state"]) == ("1.0.0", "Marked")
    assert mark["id"] in scenario.datadog.organisation.deployments
    assert scenario.events()["DeploymentMarked"] == "purpleflea-trading-agent 1.0.0 in production"


async def test_a_new_version_and_a_returning_one_are_reported_when_they_run(scenario, fleet):
    scenario.put()
    await scenario.reconcile()
    for version in ("2.0.0", "1.0.0"):
        scenario.pass_time(60)
        fleet.version, fleet.is_ready = version, False
        await scenario.reconcile()
        count = len(reported(scenario)[0])
        fleet.is_ready = True
        await scenario.reconcile()
        assert len(reported(scenario)[0]) == count + 1
    assert reported(scenario) == (
        ["1.0.0", "2.0.0", "1.0.0"],
        [title("1.0.0"), title("2.0.0"), title("1.0.0")],
    )
    marks = [(mark["version"], mark["state"]) for mark in scenario.status["deployments"]]
    assert marks == [("2.0.0", "Gone"), ("1.0.0", "Marked")]


async def test_a_pod_that_fails_and_returns_is_not_a_deployment(scenario, fleet):
    scenario.put()
    await scenario.reconcile()
    for is_ready in (False, True):
        fleet.is_ready = is_ready
        await scenario.reconcile()
    assert len(reported(scenario)[0]) == 1


@pytest.mark.parametrize("spec", [{"features": {"deployments": False}}, {"mode": "Plan"}])
async def test_nothing_is_reported_without_the_feature_or_in_mode_plan(scenario, fleet, spec):
    scenario.put(**spec)
    await scenario.reconcile()
    assert reported(scenario) == ([], [])
    assert "deployments" not in scenario.status


async def test_after_a_lost_status_nothing_is_reported_again_even_if_pods_restarted(
    scenario, fleet
):
    scenario.put()
    await scenario.reconcile()
    scenario.pass_time(3600)
    scenario.server.put({**scenario.resource, "status": {}})
    await scenario.reconcile()
    assert reported(scenario) == (["1.0.0"], [title("1.0.0")])


async def test_a_recreated_resource_reports_nothing_again(scenario, fleet):
    scenario.put()
    await scenario.reconcile()
    scenario.server.delete(KIND, NS, NAME)
    await scenario.reconcile()
    scenario.put(uid="second-uid")
    await scenario.reconcile()
    assert reported(scenario) == (["1.0.0"], [title("1.0.0")])
    assert scenario.status["deployments"][0]["state"] == "Marked"


async def test_each_version_is_reported_once_after_a_kill_at_any_answer(scenario, fleet):
    scenario.put()
    await scenario.reconcile()
    counted = AnswerLimit(None)
    fleet.version = "1.0.1"
    await scenario.reconcile(limit=counted)
    for answers in range(1, counted.received + 1):
        fleet.version = f"2.0.{answers}"
        with pytest.raises(Killed):
            await scenario.reconcile(limit=AnswerLimit(answers))
        await scenario.reconcile()
        versions, titles = reported(scenario)
        assert versions.count(fleet.version) == 1
        assert titles.count(title(fleet.version)) == 1


@pytest.mark.parametrize("path", ["/api/v2/dora/deployment", "/api/v1/events"])
@pytest.mark.parametrize("kind", ["timeout_after_commit", "status_after_commit", "status", "reset"])
async def test_failed_requests_neither_duplicate_nor_lose_a_deployment(
    scenario, fleet, failing_reconcile, path, kind
):
    scenario.put()
    scenario.datadog.fail(
        {"kind": kind, "method": "POST", "path_prefix": path, "times": 1, "ms": 10}
    )
    await failing_reconcile()
    await scenario.reconcile()
    assert reported(scenario) == (["1.0.0"], [title("1.0.0")])


async def test_a_refusal_is_shown_and_retried_while_other_objects_stay_in_sync(scenario, fleet):
    scenario.put()
    fault = {"kind": "status", "status": 403, "path_prefix": "/api/v2/dora"}
    scenario.datadog.fail(fault)
    for _ in range(2):
        await scenario.reconcile()
    (mark,) = scenario.status["deployments"]
    assert (mark["state"], mark["lastError"]) == ("Pending", "403: A fault was injected")
    assert scenario.condition("Ready")["status"] == "True"
    assert scenario.events()["DeploymentNotMarked"].startswith("1.0.0: 403")
    scenario.datadog.fail()
    await scenario.reconcile()
    assert reported(scenario) == (["1.0.0"], [title("1.0.0")])
    assert "lastError" not in scenario.status["deployments"][0]


async def test_events_are_posted_even_if_they_may_not_be_read(scenario, fleet, failing_reconcile):
    scenario.put()
    scenario.datadog.fail(
        {"kind": "status", "method": "POST", "path_prefix": "/api/v1/events", "times": 1},
        {"kind": "status", "status": 403, "method": "GET", "path_prefix": "/api/v1/events"},
    )
    await failing_reconcile()
    await scenario.reconcile()
    assert reported(scenario) == (["1.0.0"], [title("1.0.0")])


async def test_a_rate_limit_delays_the_deployment_until_its_reset(scenario, fleet):
    scenario.put()
    limit = {"kind": "rate_limit", "reset_s": 9, "times": 1, "path_prefix": "/api/v2/dora"}
    scenario.datadog.fail(limit)
    with pytest.raises(errors.Throttled) as caught:
        await scenario.reconcile()
    assert caught.value.retry_after_s == 9
    await scenario.reconcile()
    assert reported(scenario)[0] == ["1.0.0"]


def test_the_running_operator_reports_each_version_of_a_fleet_once(server, an_operator):
    with DatadogApi() as datadog:
        server.put(a_secret())
        server.put(a_resource(datadog.url))
        names = ("one", "two", "three")

        def versions():
            return [one["version"] for one in datadog.organisation.deployments.values()]

        def marked():
            status = server.get(KIND, NS, NAME).get("status", {})
            return [(mark["version"], mark["state"]) for mark in status.get("deployments") or ()]

        for name in names:
            image, pod = {"repository": IMAGE, "tag": "1.0.0"}, {"minReadySeconds": 0}
            server.put(an_agent(name, uid=f"uid-{name}", replicas=2, image=image, pod=pod))
        with an_operator(datadog_urls=(datadog.url,)):
            server.wait_until(lambda: ("1.0.0", "Marked") in marked())
            for name in names:
                server.patch("PurpleFleaAgent", NS, name, {"spec": {"image": {"tag": "2.0.0"}}})
            server.wait_until(lambda: ("2.0.0", "Marked") in marked(), timeout=30)
        assert versions() == ["1.0.0", "2.0.0"]
        assert len(datadog.organisation.data.events) == 2
