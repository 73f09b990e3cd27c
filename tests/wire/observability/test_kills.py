"""The operator is killed after each answer it gets, of cluster and Datadog alike: the end state is always the same.

The answers are not listed anywhere: a run that is not killed counts them.
"""

from collections import Counter

import pytest

from purpleflea_operator.datadog.definitions.objects import ObjectKind
from support.observability_trial import KIND, NAME, NS, Killed, Life, Trial

SPEC = {"features": {"logIndex": True}}
CHANGED = {
    "features": {"logIndex": True, "notebook": False, "anomalies": True},
    "thresholds": {"drawdown": {"critical": 25}, "errorRate": {"critical": 7}},
    "objective": {"target": 98},
}


def content(trial):
    """What Datadog holds, without ids and times, and how the status speaks of it."""
    organisation = trial.datadog.organisation
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


def told(trial):
    """The status without ids."""
    return sorted(
        (item["kind"], item["key"], item["state"], "adopted" in item)
        for item in trial.status["objects"]
    )


def ids_are_true(trial):
    """Whether the status has the id of every object that Datadog holds."""
    organisation = trial.datadog.organisation
    by_kind = Counter(item["kind"] for item in trial.status["objects"])
    known = {item["id"] for item in trial.status["objects"]}
    assert by_kind[ObjectKind.MONITOR] == len(organisation.monitors)
    held = [*organisation.monitors, *organisation.slos, *organisation.dashboards]
    held += [*organisation.logs.pipelines, *organisation.scanner.rules, *organisation.notebooks]
    return {str(one) for one in held} <= known


async def created(trial):
    trial.put(**SPEC)


async def updated(trial):
    trial.put(**SPEC)
    await trial.look()
    trial.put(**CHANGED)


async def deleted(trial):
    trial.put(**SPEC)
    await trial.look()
    trial.server.delete(KIND, NS, NAME)


async def killed_after(prepare, answers, judge):
    """Prepare, let one operator die after so many answers, another do the rest; then judge."""
    async with Trial() as trial:
        trial.report_metrics()
        await prepare(trial)
        life = Life(answers)
        died = False
        try:
            await trial.look(life=life)
        except Killed:
            died = True
        await trial.settle()
        judge(trial)
        return died, life.seen


async def every_kill(prepare, judge):
    """Judge the end state after a kill at every answer; returns how many there were."""
    died, answers = await killed_after(prepare, None, judge)
    assert not died
    for number in range(1, answers + 1):
        died, _ = await killed_after(prepare, number, judge)
        assert died
    return answers


async def reference(prepare):
    found = {}

    def keep(trial):
        found.update(content=content(trial), told=told(trial) if trial.resource else None)

    await killed_after(prepare, None, keep)
    return found


@pytest.mark.timeout(400)
@pytest.mark.parametrize("prepare", [created, updated])
async def test_killed_after_any_answer_of_a_run_the_end_state_is_the_same(prepare):
    expected = await reference(prepare)

    def judge(trial):
        assert content(trial) == expected["content"]
        assert told(trial) == expected["told"]
        assert ids_are_true(trial)

    answers = await every_kill(prepare, judge)
    assert answers > 20


@pytest.mark.timeout(400)
async def test_killed_after_any_answer_of_a_removal_nothing_is_left():
    def judge(trial):
        organisation = trial.datadog.organisation
        assert trial.resource is None
        assert (organisation.monitors, organisation.slos, organisation.dashboards) == ({}, {}, {})
        assert (organisation.notebooks, organisation.metric_tags) == ({}, {})
        assert (organisation.logs.pipelines, list(organisation.logs.indexes)) == ({}, ["main"])
        assert (organisation.scanner.groups, organisation.scanner.rules) == ({}, {})

    assert await every_kill(deleted, judge) > 40


@pytest.mark.timeout(400)
async def test_killed_while_making_and_then_deleted_nothing_is_left():
    """The resource is deleted before another operator sees what the first one made."""

    async def halfway(trial, answers):
        await created(trial)
        try:
            await trial.look(life=Life(answers))
        except Killed:
            trial.server.delete(KIND, NS, NAME)
            trial.pass_time(30)

    for answers in range(1, 90, 2):
        async with Trial() as trial:
            trial.report_metrics()
            await halfway(trial, answers)
            if trial.resource is not None:
                await trial.look()
            assert trial.resource is None, answers
            organisation = trial.datadog.organisation
            held = (organisation.monitors, organisation.metric_tags, organisation.scanner.rules)
            assert held == ({}, {}, {}), answers
            assert list(organisation.logs.indexes) == ["main"], answers
