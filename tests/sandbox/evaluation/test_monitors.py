import json

import pytest

from purpleflea_sandbox.datadog.evaluation import messages
from purpleflea_sandbox.datadog.evaluation.states import GroupState, Status, Transition


def monitor(number, query, kind="query alert", message="", **options):
    return {
        "id": number,
        "name": f"monitor {number}",
        "type": kind,
        "query": query,
        "message": message,
        "tags": ["team:trading"],
        "options": {"new_group_delay": 0, **options},
    }


def drawdown(number=1, **options):
    return monitor(
        number,
        "max(last_5m):max:drawdown{*} by {agent_id} > 15",
        message="{{#is_alert}}{{agent_id.name}} at {{value}} % @webhook-desk{{/is_alert}}"
        "{{#is_recovery}}fine{{/is_recovery}}",
        **options,
    )


def states(monitoring, number):
    return {
        messages.scope(group): one.status
        for group, one in monitoring.state(str(number)).groups.items()
    }


async def test_only_the_agent_that_is_meant_alerts_and_it_recovers(world):
    world.monitors = [drawdown(thresholds={"critical": 15, "critical_recovery": 8})]
    monitoring = world.monitoring()
    world.gauge("drawdown", 20, "agent_id:a")
    world.gauge("drawdown", 2, "agent_id:b")
    await monitoring.once()
    assert states(monitoring, 1) == {"agent_id:a": Status.ALERT, "agent_id:b": Status.OK}

    world.now += 600
    world.gauge("drawdown", 9, "agent_id:a")
    await monitoring.once()
    assert states(monitoring, 1)["agent_id:a"] is Status.ALERT

    world.now += 600
    world.gauge("drawdown", 7, "agent_id:a")
    await monitoring.once()
    assert states(monitoring, 1)["agent_id:a"] is Status.OK
    assert [note.text for note in monitoring.notifications] == ["a at 20 % @webhook-desk", "fine"]


async def test_an_evaluation_delay_looks_at_the_past(world):
    world.monitors = [drawdown(evaluation_delay=60)]
    monitoring = world.monitoring()
    world.gauge("drawdown", 20, "agent_id:a")
    await monitoring.once()
    assert states(monitoring, 1) == {}
    world.now += 60
    await monitoring.once()
    assert states(monitoring, 1) == {"agent_id:a": Status.ALERT}


@pytest.mark.parametrize(
    ("query", "left", "right", "status"),
    [
        ("1 && 2", 20, 20, Status.ALERT),
        ("1 && 2", 20, 9, Status.WARN),
        ("1 && 2", 20, 1, Status.OK),
        ("1 || 2", 9, 1, Status.WARN),
        ("1 || 2", 20, 9, Status.ALERT),
        ("1 && !2", 20, 1, Status.ALERT),
        ("1 && !2", 20, 9, Status.OK),
        ("(1 || 2) && 1", 9, 20, Status.WARN),
    ],
)
async def test_a_composite_is_made_of_its_members_states(world, query, left, right, status):
    warned = {"thresholds": {"critical": 15, "warning": 8}}
    second = drawdown(2, **warned) | {"query": "max(last_5m):max:other{*} by {agent_id} > 15"}
    world.monitors = [monitor(3, query, "composite"), drawdown(1, **warned), second]
    monitoring = world.monitoring()
    world.gauge("drawdown", left, "agent_id:a")
    world.gauge("other", right, "agent_id:a")
    world.gauge("drawdown", 99, "agent_id:only-here")
    await monitoring.once()
    assert states(monitoring, 3) == {"agent_id:a": status}


async def test_a_member_without_groups_meets_every_group(world):
    simple = monitor(2, "sum(last_5m):sum:calls{*}.as_count() > 5")
    world.monitors = [drawdown(), simple, monitor(3, "1 && 2", "composite")]
    monitoring = world.monitoring()
    world.gauge("drawdown", 20, "agent_id:a")
    world.count("calls", 9)
    await monitoring.once()
    assert states(monitoring, 3) == {"agent_id:a": Status.ALERT}


async def test_what_cannot_be_evaluated_says_why_and_stops_nobody(world):
    world.monitors = [
        monitor(1, "top(max:a{*}) > 1"),
        monitor(2, "1 && 9", "composite"),
        monitor(3, "burn", "rum alert"),
        drawdown(4),
    ]
    world.gauge("drawdown", 20, "agent_id:a")
    monitoring = world.monitoring()
    await monitoring.once()
    refusals = [monitoring.state(one).refusal for one in "1234"]
    assert "unreadable query" in refusals[0]
    assert refusals[1] == "there is no monitor 9"
    assert "rum alert" in refusals[2]
    assert refusals[3] == ""
    assert monitoring.state("4").status is Status.ALERT


async def test_a_monitor_that_is_deleted_has_no_state_any_more(world):
    world.monitors = [drawdown(1), drawdown(2)]
    monitoring = world.monitoring()
    await monitoring.once()
    world.monitors = world.monitors[1:]
    await monitoring.once()
    assert list(monitoring.states) == ["2"]


async def test_a_group_without_data_for_a_day_is_forgotten(world):
    world.monitors = [drawdown()]
    monitoring = world.monitoring()
    world.gauge("drawdown", 20, "agent_id:a")
    await monitoring.once()
    world.now += 86_399
    await monitoring.once()
    assert states(monitoring, 1) == {"agent_id:a": Status.ALERT}
    world.now += 1
    await monitoring.once()
    assert states(monitoring, 1) == {}


async def test_a_dead_agent_is_no_data_for_its_heartbeat_and_zero_for_its_errors(world):
    world.monitors = [
        monitor(
            1,
            "sum(last_5m):sum:beats{*} by {agent_id}.as_count() < 1",
            notify_no_data=True,
            no_data_timeframe=10,
        ),
        monitor(2, "sum(last_5m):sum:drops{*} by {agent_id}.as_count() > 10"),
    ]
    monitoring = world.monitoring()
    world.count("beats", 1, "agent_id:a")
    world.count("drops", 20, "agent_id:a")
    await monitoring.once()
    assert [monitoring.state(one).status for one in "12"] == [Status.OK, Status.ALERT]
    world.now += 599
    await monitoring.once()
    assert [monitoring.state(one).status for one in "12"] == [Status.OK, Status.OK]
    world.now += 1
    await monitoring.once()
    assert [monitoring.state(one).status for one in "12"] == [Status.NO_DATA, Status.OK]


async def test_another_query_starts_from_nothing(world):
    world.monitors = [drawdown(thresholds={"critical": 15, "critical_recovery": 1})]
    monitoring = world.monitoring()
    world.gauge("drawdown", 20, "agent_id:a")
    await monitoring.once()
    world.monitors = [world.monitors[0] | {"query": "max(last_5m):max:drawdown{*} > 50"}]
    await monitoring.once()
    assert states(monitoring, 1) == {"*": Status.OK}


async def test_every_monitor_of_this_project_is_evaluated(world, generated):
    """References are resolved as the operator resolves them: to ids."""
    definitions = [json.loads(path.read_text()) for path in sorted(generated.glob("monitors/*"))
                   if path.is_file()]  # fmt: skip
    by_name = {path.stem: number for number, path in enumerate(
        sorted(path for path in generated.glob("monitors/*") if path.is_file()))}  # fmt: skip
    references = [
        json.loads(path.read_text()) for path in sorted(generated.glob("monitors/by-reference/*"))
    ]
    for one in references:
        for name, number in by_name.items():
            one["query"] = one["query"].replace(f"<monitor:{name}>", str(number))
        one["query"] = one["query"].replace("<slo:api-success>", "slo")
    world.objectives["slo"] = json.loads((generated / "slo.json").read_text())
    world.monitors = [
        {**one, "id": number} for number, one in enumerate((*definitions, *references))
    ]
    monitoring = world.monitoring()
    await monitoring.once()
    assert len(monitoring.states) == len(world.monitors) > 10
    assert {one.refusal for one in monitoring.states.values()} == {""}


STATE = GroupState(status=Status.ALERT, value=12.34567, first_seen=0, last_data=0, changed=0)
GROUP = (("agent_id", "a"),)


@pytest.mark.parametrize(
    ("text", "turn", "expected"),
    [
        ("{{#is_alert}}A{{/is_alert}}{{#is_recovery}}R{{/is_recovery}}", "OK A", "A"),
        ("{{#is_alert}}A{{/is_alert}}{{#is_recovery}}R{{/is_recovery}}", "A OK", "R"),
        ("{{#is_warning}}W{{#is_alert_to_warning}}down{{/is_alert_to_warning}}{{/is_warning}}", "A W", "Wdown"),
        ("{{^is_alert}}calm{{/is_alert}}", "OK A", ""),
        ("{{^is_alert}}calm{{/is_alert}}", "OK W", "calm"),
        ("{{#is_renotify}}again{{/is_renotify}}", "A A", "again"),
        ("{{#is_no_data}}N{{/is_no_data}}", "OK N", "N"),
        ("{{#is_no_data_recovery}}back{{/is_no_data_recovery}}", "N OK", "back"),
        ("{{#is_no_data_to_alert}}x{{/is_no_data_to_alert}}", "N A", "x"),
        ("{{value}} of {{threshold}} by {{agent_id.name}} {{ agent_id }} {{no}}!", "OK A", "12.346 of 15 by a a !"),
    ],
)  # fmt: skip
def test_a_message_says_what_is_meant_for_the_turn(text, turn, expected):
    words = {"OK": Status.OK, "W": Status.WARN, "A": Status.ALERT, "N": Status.NO_DATA}
    before, after = (words[word] for word in turn.split())
    assert messages.rendered(text, Transition(before, after), GROUP, STATE, 15.0) == expected


@pytest.mark.parametrize(
    ("text", "handles"),
    [
        ("to @slack-a and @pagerduty-b. Bye", ["slack-a", "pagerduty-b"]),
        ("@a@example.com, @webhook-x @webhook-x", ["a@example.com", "webhook-x"]),
        ("mail b@example.com", []),
    ],
)
def test_the_handles_of_a_message_are_found(text, handles):
    assert messages.handles(text) == handles


async def test_without_any_log_a_log_monitor_is_fine_and_without_any_metric_there_is_no_data(world):
    logs = 'logs("service:s").index("*").rollup("count").by("agent_id").last("10m") > 5'
    world.monitors = [drawdown(1), monitor(2, logs, "log alert")]
    monitoring = world.monitoring()
    await monitoring.once()
    assert [monitoring.state(one).status for one in "12"] == [Status.NO_DATA, Status.OK]
