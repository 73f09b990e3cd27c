"""The operator is killed after each answer from the cluster or Datadog, and the end state is always the same.

The number of answers is not fixed. A pass without a kill counts them.
"""

from collections import Counter

import pytest

from purpleflea_operator.datadog.definitions.objects import ObjectKind
from support.observability_scenario import KIND, NAME, NS, AnswerLimit, Killed, Scenario

SPEC = {"features": {"logIndex": True}}
CHANGED = {
    "features": {"logIndex": True, "notebook": False, "anomalies": True},
    "thresholds": {"drawdown": {"critical": 25}, "errorRate": {"critical": 7}},
    "objective": {"target": 98},
}


def content(scenario):
    """Return the objects in Datadog without ids and times."""
    organisation = scenario.datadog.organisation
    return {
        "monitors": sorted(
            (one.definition["name"], str(one.definition["options"]["thresholds"]))
            for one in organisation.monitors.values()
            if "thresholds" in one.definition["options"]
        ),
        "composites": len(organisation.monitors),
        "slos": [slo["target_threshold"] for slo in organisation.slos.values()],
        "dashboards": [str(one["template_variables"]) for one in organisation.dashboards.values()],
        "notebooks": len(organisation.notebooks),
        "pipelines": len(organisation.logs.pipelines),
        "indexes": list(organisation.logs.indexes),
        "metrics": sorted(organisation.metric_tags),
        "rules": sorted(rule["attributes"]["name"] for rule in organisation.scanner.rules.values()),
        "groups": len(organisation.scanner.groups),
    }


def records_without_ids(scenario):
    """Return the records of the status without ids."""
    return sorted(
        (item["kind"], item["key"], item["state"], "adopted" in item)
        for item in scenario.status["objects"]
    )


def ids_are_recorded(scenario):
    """Return True if the status has the id of every object in Datadog."""
    organisation = scenario.datadog.organisation
    by_kind = Counter(item["kind"] for item in scenario.status["objects"])
    known = {item["id"] for item in scenario.status["objects"]}
    assert by_kind[ObjectKind.MONITOR] == len(organisation.monitors)
    held = [*organisation.monitors, *organisation.slos, *organisation.dashboards]
    held += [*organisation.logs.pipelines, *organisation.scanner.rules, *organisation.notebooks]
    return {str(one) for one in held} <= known


async def created(scenario):
    scenario.put(**SPEC)


async def updated(scenario):
    scenario.put(**SPEC)
    await scenario.reconcile()
    scenario.put(**CHANGED)


async def deleted(scenario):
    scenario.put(**SPEC)
    await scenario.reconcile()
    scenario.server.delete(KIND, NS, NAME)


async def killed_after(prepare, answers, check):
    """Prepare, kill one operator after a number of answers, complete the sync with another one, and check."""
    async with Scenario() as scenario:
        scenario.report_metrics()
        await prepare(scenario)
        limit = AnswerLimit(answers)
        was_killed = False
        try:
            await scenario.reconcile(limit=limit)
        except Killed:
            was_killed = True
        await scenario.reconcile_until_done()
        check(scenario)
        return was_killed, limit.received


async def with_every_kill(prepare, check):
    """Check the end state after a kill at every answer. Return the number of answers."""
    was_killed, answers = await killed_after(prepare, None, check)
    assert not was_killed
    for number in range(1, answers + 1):
        was_killed, _ = await killed_after(prepare, number, check)
        assert was_killed
    return answers


async def reference(prepare):
    expected = {}

    def keep(scenario):
        expected.update(
            content=content(scenario),
            records_without_ids=records_without_ids(scenario) if scenario.resource else None,
        )

    await killed_after(prepare, None, keep)
    return expected


@pytest.mark.timeout(400)
@pytest.mark.parametrize("prepare", [created, updated])
async def test_the_end_state_is_the_same_after_a_kill_at_any_answer_of_a_pass(prepare):
    expected = await reference(prepare)

    def check(scenario):
        assert content(scenario) == expected["content"]
        assert records_without_ids(scenario) == expected["records_without_ids"]
        assert ids_are_recorded(scenario)

    answers = await with_every_kill(prepare, check)
    assert answers > 20


@pytest.mark.timeout(400)
async def test_nothing_is_left_after_a_kill_at_any_answer_of_a_removal():
    def check(scenario):
        organisation = scenario.datadog.organisation
        assert scenario.resource is None
        assert (organisation.monitors, organisation.slos, organisation.dashboards) == ({}, {}, {})
        assert (organisation.notebooks, organisation.metric_tags) == ({}, {})
        assert (organisation.logs.pipelines, list(organisation.logs.indexes)) == ({}, ["main"])
        assert (organisation.scanner.groups, organisation.scanner.rules) == ({}, {})

    assert await with_every_kill(deleted, check) > 40


@pytest.mark.timeout(400)
async def test_nothing_is_left_if_the_resource_is_deleted_after_a_kill_while_creating():
    """The resource is deleted before a second operator has recorded the objects that the first one created."""

    async def halfway(scenario, answers):
        await created(scenario)
        try:
            await scenario.reconcile(limit=AnswerLimit(answers))
        except Killed:
            scenario.server.delete(KIND, NS, NAME)
            scenario.pass_time(30)

    for answers in range(1, 90, 2):
        async with Scenario() as scenario:
            scenario.report_metrics()
            await halfway(scenario, answers)
            if scenario.resource is not None:
                await scenario.reconcile()
            assert scenario.resource is None, answers
            organisation = scenario.datadog.organisation
            held = (organisation.monitors, organisation.metric_tags, organisation.scanner.rules)
            assert held == ({}, {}, {}), answers
            assert list(organisation.logs.indexes) == ["main"], answers
