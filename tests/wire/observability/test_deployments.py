"""Deployments in Datadog: one DORA deployment and one event per version, whatever goes wrong on the way."""

import pytest

from purpleflea_contract import kubernetes
from purpleflea_operator.kube import errors, resources
from support.builders import an_agent
from support.datadog_api import DatadogApi
from support.observability_trial import NAME, NS, Killed, Life, a_resource, a_secret

KIND = resources.OBSERVABILITY.kind
IMAGE = "registry.invalid/agent"


class Fleet:
    """Agents as the cache would show them."""

    def __init__(self):
        self.version, self.is_ready = "1.0.0", True

    def stateful_sets(self):
        labels = {
            kubernetes.DD_LABEL_ENV: "production",
            kubernetes.DD_LABEL_SERVICE: "purpleflea-trading-agent",
            kubernetes.DD_LABEL_VERSION: self.version,
        }
        counts = dict.fromkeys(("replicas", "updatedReplicas"), 1)
        yield {
            "metadata": {"namespace": NS, "name": "momentum", "generation": 1},
            "spec": {"replicas": 1, "template": {"metadata": {"labels": labels}}},
            "status": {"observedGeneration": 1, "readyReplicas": int(self.is_ready), **counts},
        }

    def pods(self, agent):
        assert agent == f"{NS}/momentum"
        return ()


@pytest.fixture
def fleet(trial):
    trial.fleet = Fleet()
    return trial.fleet


def told(trial):
    """Versions of deployments, and titles of events."""
    organisation = trial.datadog.organisation
    versions = [one["version"] for one in organisation.deployments.values()]
    return versions, [event["title"] for event in organisation.data.events]


def title(version):
    return f"purpleflea-trading-agent {version} is deployed to production"


async def test_a_version_that_runs_is_told_once(trial, fleet):
    trial.put()
    for _ in range(3):
        await trial.look()
    assert told(trial) == (["1.0.0"], [title("1.0.0")])
    (mark,) = trial.status["deployments"]
    assert (mark["version"], mark["state"]) == ("1.0.0", "Marked")
    assert mark["id"] in trial.datadog.organisation.deployments
    assert trial.events()["DeploymentMarked"] == "purpleflea-trading-agent 1.0.0 in production"


async def test_a_new_version_is_told_when_it_runs_and_an_old_one_that_comes_back_as_well(
    trial, fleet
):
    trial.put()
    await trial.look()
    for version in ("2.0.0", "1.0.0"):
        trial.pass_time(60)
        fleet.version, fleet.is_ready = version, False
        await trial.look()
        count = len(told(trial)[0])
        fleet.is_ready = True
        await trial.look()
        assert len(told(trial)[0]) == count + 1
    assert told(trial) == (
        ["1.0.0", "2.0.0", "1.0.0"],
        [title("1.0.0"), title("2.0.0"), title("1.0.0")],
    )
    marks = [(mark["version"], mark["state"]) for mark in trial.status["deployments"]]
    assert marks == [("2.0.0", "Gone"), ("1.0.0", "Marked")]


async def test_a_pod_that_dies_and_comes_back_is_no_deployment(trial, fleet):
    trial.put()
    await trial.look()
    for is_ready in (False, True):
        fleet.is_ready = is_ready
        await trial.look()
    assert len(told(trial)[0]) == 1


@pytest.mark.parametrize("spec", [{"features": {"deployments": False}}, {"mode": "Plan"}])
async def test_where_it_is_not_wanted_nothing_is_told(trial, fleet, spec):
    trial.put(**spec)
    await trial.look()
    assert told(trial) == ([], [])
    assert "deployments" not in trial.status


async def test_with_the_status_lost_nothing_is_told_again_even_if_pods_came_back_meanwhile(
    trial, fleet
):
    trial.put()
    await trial.look()
    trial.pass_time(3600)
    trial.server.put({**trial.resource, "status": {}})
    await trial.look()
    assert told(trial) == (["1.0.0"], [title("1.0.0")])


async def test_a_resource_that_is_made_anew_tells_nothing_again(trial, fleet):
    trial.put()
    await trial.look()
    trial.server.delete(KIND, NS, NAME)
    await trial.look()
    trial.put(uid="second-uid")
    await trial.look()
    assert told(trial) == (["1.0.0"], [title("1.0.0")])
    assert trial.status["deployments"][0]["state"] == "Marked"


async def test_an_operator_that_dies_anywhere_tells_each_version_once(trial, fleet):
    trial.put()
    await trial.look()
    before = Life(None)
    fleet.version = "1.0.1"
    await trial.look(life=before)
    for answers in range(1, before.seen + 1):
        fleet.version = f"2.0.{answers}"
        with pytest.raises(Killed):
            await trial.look(life=Life(answers))
        await trial.look()
        versions, titles = told(trial)
        assert versions.count(fleet.version) == 1
        assert titles.count(title(fleet.version)) == 1


@pytest.mark.parametrize("path", ["/api/v2/dora/deployment", "/api/v1/events"])
@pytest.mark.parametrize("kind", ["timeout_after_commit", "status_after_commit", "status", "reset"])
async def test_trouble_on_the_way_doubles_and_loses_nothing(trial, fleet, again, path, kind):
    trial.put()
    trial.datadog.fail({"kind": kind, "method": "POST", "path_prefix": path, "times": 1, "ms": 10})
    await again()
    await trial.look()
    assert told(trial) == (["1.0.0"], [title("1.0.0")])


async def test_a_refusal_is_shown_and_tried_again_and_everything_else_goes_on(trial, fleet):
    trial.put()
    fault = {"kind": "status", "status": 403, "path_prefix": "/api/v2/dora"}
    trial.datadog.fail(fault)
    for _ in range(2):
        await trial.look()
    (mark,) = trial.status["deployments"]
    assert (mark["state"], mark["lastError"]) == ("Pending", "403: A fault was injected")
    assert trial.condition("Ready")["status"] == "True"
    assert trial.events()["DeploymentNotMarked"].startswith("1.0.0: 403")
    trial.datadog.fail()
    await trial.look()
    assert told(trial) == (["1.0.0"], [title("1.0.0")])
    assert "lastError" not in trial.status["deployments"][0]


async def test_where_events_may_not_be_read_they_are_told_all_the_same(trial, fleet, again):
    trial.put()
    trial.datadog.fail(
        {"kind": "status", "method": "POST", "path_prefix": "/api/v1/events", "times": 1},
        {"kind": "status", "status": 403, "method": "GET", "path_prefix": "/api/v1/events"},
    )
    await again()
    await trial.look()
    assert told(trial) == (["1.0.0"], [title("1.0.0")])


async def test_a_limit_holds_the_marker_up_until_it_is_over(trial, fleet):
    trial.put()
    limit = {"kind": "rate_limit", "reset_s": 9, "times": 1, "path_prefix": "/api/v2/dora"}
    trial.datadog.fail(limit)
    with pytest.raises(errors.Throttled) as caught:
        await trial.look()
    assert caught.value.retry_after_s == 9
    await trial.look()
    assert told(trial)[0] == ["1.0.0"]


def test_the_running_operator_tells_each_version_of_a_fleet_once(server, an_operator):
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
            server.put(
                an_agent(
                    name, uid=f"uid-{name}", replicas=2, image={"repository": IMAGE, "tag": "1.0.0"}
                )
            )
        with an_operator(datadog_urls=(datadog.url,)):
            server.wait_until(lambda: ("1.0.0", "Marked") in marked())
            for name in names:
                server.patch("PurpleFleaAgent", NS, name, {"spec": {"image": {"tag": "2.0.0"}}})
            server.wait_until(lambda: ("2.0.0", "Marked") in marked())
        assert versions() == ["1.0.0", "2.0.0"]
        assert len(datadog.organisation.data.events) == 2
