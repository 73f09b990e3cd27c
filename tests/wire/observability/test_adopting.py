"""What was there before us gets a mark that says so: no crash and no lost status makes it ours to delete."""

import pytest

from purpleflea_operator.datadog.client.errors import Duplicate
from purpleflea_operator.datadog.definitions.objects import ObjectKind
from support.observability_trial import KIND, NAME, NS, Killed, Life, Trial


class Unlisted:
    """An organisation that shows one monitor in no list, and takes ours for the same."""

    def __init__(self, organisation, hidden, name):
        self._organisation = organisation
        self._hidden = hidden
        self._name = name

    def __getattr__(self, name):
        return getattr(self._organisation, name)

    async def create(self, kind, body):
        if kind is ObjectKind.MONITOR and body["name"].endswith(self._name):
            raise Duplicate("Duplicate of an existing monitor", self._hidden)
        return await self._organisation.create(kind, body)


async def a_twin(trial, name="high drawdown", **spec):
    """A monitor of a stranger that is like ours; the status has forgotten everything."""
    trial.put(**spec)
    await trial.look()
    monitors = trial.datadog.organisation.monitors.values()
    found = next(one for one in monitors if one.definition["name"].endswith(name))
    found.definition["tags"] = ["team:trading"]
    forget(trial)
    trial.seen_through = lambda organisation: Unlisted(organisation, str(found.id), name)
    return found


def forget(trial):
    trial.server.put({**trial.resource, "status": {}})


def see_all(trial):
    trial.seen_through = lambda organisation: organisation


async def left_after_the_end(trial):
    see_all(trial)
    trial.server.delete(KIND, NS, NAME)
    await trial.look()
    assert trial.resource is None
    return list(trial.datadog.organisation.monitors)


async def test_an_adopted_monitor_says_so_itself(trial):
    twin = await a_twin(trial)
    trial.datadog.request_log.clear()
    await trial.look()
    assert [(one.method, one.path) for one in trial.datadog.request_log.writes()] == [
        ("PUT", f"/api/v1/monitor/{twin.id}")
    ]
    assert "purpleflea-adopted:true" in twin.tags
    trial.datadog.request_log.clear()
    await trial.look()
    assert trial.datadog.request_log.writes() == []


@pytest.mark.timeout(300)
async def test_killed_anywhere_while_adopting_the_stranger_keeps_the_monitor():
    life, number = Life(None), 0
    while number <= life.seen:
        async with Trial() as trial:
            trial.report_metrics()
            twin = await a_twin(trial)
            counted = Life(number or None)
            try:
                await trial.look(life=counted)
            except Killed:
                await trial.settle()
            life = life if number else counted
            assert trial.entry("drawdown")["adopted"] is True, number
            assert await left_after_the_end(trial) == [twin.id], number
        number += 1
    assert number > 10


async def test_with_the_status_lost_after_an_adoption_the_stranger_keeps_the_monitor(trial):
    twin = await a_twin(trial)
    await trial.look()
    see_all(trial)
    forget(trial)
    await trial.look()
    assert trial.entry("drawdown")["adopted"] is True
    forget(trial)
    assert await left_after_the_end(trial) == [twin.id]


async def test_an_edited_adopted_monitor_is_restored_and_stays_the_strangers(trial):
    twin = await a_twin(trial)
    await trial.look()
    see_all(trial)
    twin.definition["tags"] = [tag for tag in twin.tags if "adopted" not in tag]
    await trial.look()
    assert "purpleflea-adopted:true" in twin.tags
    twin.definition["message"] = "my own words"
    forget(trial)
    await trial.look()
    assert twin.definition["message"] != "my own words"
    assert await left_after_the_end(trial) == [twin.id]


@pytest.mark.parametrize("mode", ["Manage", "Plan"])
async def test_left_out_again_an_adopted_monitor_stays_however_often_is_looked(trial, mode):
    twin = await a_twin(trial, "unusual loss", features={"anomalies": True})
    await trial.look()
    see_all(trial)
    trial.put(mode=mode, features={"anomalies": False})
    for _ in range(3):
        await trial.look()
        entry = trial.entry("pnl-anomaly")
        assert (entry["state"], entry["adopted"]) == ("Left", True)
    assert twin.id in trial.datadog.organisation.monitors
    trial.put(mode="Manage", features={"anomalies": True})
    await trial.look()
    assert trial.entry("pnl-anomaly")["state"] == "InSync"
    assert await left_after_the_end(trial) == [twin.id]


async def test_an_adopted_monitor_that_its_owner_removed_is_forgotten_with_its_feature(trial):
    twin = await a_twin(trial, "unusual loss", features={"anomalies": True})
    await trial.look()
    see_all(trial)
    del trial.datadog.organisation.monitors[twin.id]
    trial.put(features={"anomalies": False})
    await trial.look()
    assert "pnl-anomaly" not in {item["key"] for item in trial.status["objects"]}
