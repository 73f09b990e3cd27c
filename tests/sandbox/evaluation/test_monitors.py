import json

import pytest

from purpleflea_sandbox.datadog.evaluation import messages
from purpleflea_sandbox.datadog.evaluation.states import Status, Transition


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


def states(monitor_runner, number):
    return {
        messages.scope(group): item.status
        for group, item in monitor_runner.state(str(number)).groups.items()
    }


async def test_only_the_affected_agent_alerts_and_recovers(received):
    received.monitors = [drawdown(thresholds={"critical": 15, "critical_recovery": 8})]
    monitor_runner = received.monitor_runner()
    received.gauge("drawdown", 20, "agent_id:a")
    received.gauge("drawdown", 2, "agent_id:b")
    await monitor_runner.once()
    assert states(monitor_runner, 1) == {"agent_id:a": Status.ALERT, "agent_id:b": Status.OK}

    received.now += 600
    received.gauge("drawdown", 9, "agent_id:a")
    await monitor_runner.once()
    assert states(monitor_runner, 1)["agent_id:a"] is Status.ALERT

    received.now += 600
    received.gauge("drawdown", 7, "agent_id:a")
    await monitor_runner.once()
    assert states(monitor_runner, 1)["agent_id:a"] is Status.OK
    assert [notification.text for notification in monitor_runner.notifications] == [
        "a at 20 % @webhook-desk",
        "fine",
    ]


async def test_evaluation_delay_shifts_the_window_into_the_past(received):
    received.monitors = [drawdown(evaluation_delay=60)]
    monitor_runner = received.monitor_runner()
    received.gauge("drawdown", 20, "agent_id:a")
    await monitor_runner.once()
    assert states(monitor_runner, 1) == {}
    received.now += 60
    await monitor_runner.once()
    assert states(monitor_runner, 1) == {"agent_id:a": Status.ALERT}


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
async def test_composite_combines_the_states_of_its_members(received, query, left, right, status):
    warned = {"thresholds": {"critical": 15, "warning": 8}}
    second = drawdown(2, **warned) | {"query": "max(last_5m):max:other{*} by {agent_id} > 15"}
    received.monitors = [monitor(3, query, "composite"), drawdown(1, **warned), second]
    monitor_runner = received.monitor_runner()
    received.gauge("drawdown", left, "agent_id:a")
    received.gauge("other", right, "agent_id:a")
    received.gauge("drawdown", 99, "agent_id:only-here")
    await monitor_runner.once()
    assert states(monitor_runner, 3) == {"agent_id:a": status}


async def test_member_without_groups_is_combined_with_every_group(received):
    simple = monitor(2, "sum(last_5m):sum:calls{*}.as_count() > 5")
    received.monitors = [drawdown(), simple, monitor(3, "1 && 2", "composite")]
    monitor_runner = received.monitor_runner()
    received.gauge("drawdown", 20, "agent_id:a")
    received.count("calls", 9)
    await monitor_runner.once()
    assert states(monitor_runner, 3) == {"agent_id:a": Status.ALERT}


async def test_unsupported_monitor_has_a_reason_and_others_are_evaluated(received):
    received.monitors = [
        monitor(1, "top(max:a{*}) > 1"),
        monitor(2, "1 && 9", "composite"),
        monitor(3, "burn", "rum alert"),
        drawdown(4),
    ]
    received.gauge("drawdown", 20, "agent_id:a")
    monitor_runner = received.monitor_runner()
    await monitor_runner.once()
    refusals = [monitor_runner.state(item).refusal for item in "1234"]
    assert "unreadable query" in refusals[0]
    assert refusals[1] == "missing monitors: 9"
    assert "rum alert" in refusals[2]
    assert refusals[3] == ""
    assert monitor_runner.state("4").status is Status.ALERT


async def test_deleted_monitor_has_no_state(received):
    received.monitors = [drawdown(1), drawdown(2)]
    monitor_runner = received.monitor_runner()
    await monitor_runner.once()
    received.monitors = received.monitors[1:]
    await monitor_runner.once()
    assert list(monitor_runner.states) == ["2"]


async def test_a_group_without_data_for_a_day_is_removed(received):
    received.monitors = [drawdown()]
    monitor_runner = received.monitor_runner()
    received.gauge("drawdown", 20, "agent_id:a")
    await monitor_runner.once()
    received.now += 86_399
    await monitor_runner.once()
    assert states(monitor_runner, 1) == {"agent_id:a": Status.ALERT}
    received.now += 1
    await monitor_runner.once()
    assert states(monitor_runner, 1) == {}


async def test_stopped_agent_is_no_data_for_heartbeat_and_zero_for_errors(received):
    received.monitors = [
        monitor(
            1,
            "sum(last_5m):sum:beats{*} by {agent_id}.as_count() < 1",
            notify_no_data=True,
            no_data_timeframe=10,
        ),
        monitor(2, "sum(last_5m):sum:drops{*} by {agent_id}.as_count() > 10"),
    ]
    monitor_runner = received.monitor_runner()
    received.count("beats", 1, "agent_id:a")
    received.count("drops", 20, "agent_id:a")
    await monitor_runner.once()
    assert [monitor_runner.state(item).status for item in "12"] == [Status.OK, Status.ALERT]
    received.now += 599
    await monitor_runner.once()
    assert [monitor_runner.state(item).status for item in "12"] == [Status.OK, Status.OK]
    received.now += 1
    await monitor_runner.once()
    assert [monitor_runner.state(item).status for item in "12"] == [Status.NO_DATA, Status.OK]


async def test_a_changed_query_starts_with_an_empty_state(received):
    received.monitors = [drawdown(thresholds={"critical": 15, "critical_recovery": 1})]
    monitor_runner = received.monitor_runner()
    received.gauge("drawdown", 20, "agent_id:a")
    await monitor_runner.once()
    received.monitors = [received.monitors[0] | {"query": "max(last_5m):max:drawdown{*} > 50"}]
    await monitor_runner.once()
    assert states(monitor_runner, 1) == {"*": Status.OK}


async def test_every_monitor_of_this_project_is_evaluated(received, generated):
    """Replace references by ids, as the operator does."""
    definitions = [json.loads(path.read_text()) for path in sorted(generated.glob("monitors/*"))
                   if path.is_file()]  # fmt: skip
    by_name = {path.stem: number for number, path in enumerate(
        sorted(path for path in generated.glob("monitors/*") if path.is_file()))}  # fmt: skip
    references = [
        json.loads(path.read_text()) for path in sorted(generated.glob("monitors/by-reference/*"))
    ]
    for item in references:
        for name, number in by_name.items():
            item["query"] = item["query"].replace(f"<monitor:{name}>", str(number))
        item["query"] = item["query"].replace("<slo:api-success>", "slo")
    received.objectives["slo"] = json.loads((generated / "slo.json").read_text())
    received.monitors = [
        {**item, "id": number} for number, item in enumerate((*definitions, *references))
    ]
    monitor_runner = received.monitor_runner()
    await monitor_runner.once()
    assert len(monitor_runner.states) == len(received.monitors) > 10
    assert {item.refusal for item in monitor_runner.states.values()} == {""}


VALUES = {"value": 12.34567, "threshold": 15.0, "a.value": 7.0, "b.value": None}
GROUP = (("agent_id", "a"),)


@pytest.mark.parametrize(
    ("text", "transition", "expected"),
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
        ("{{a.value}} and {{b.value}}.", "OK A", "7 and ."),
    ],
)  # fmt: skip
def test_message_contains_the_blocks_of_the_transition(text, transition, expected):
    names = {"OK": Status.OK, "W": Status.WARN, "A": Status.ALERT, "N": Status.NO_DATA}
    before, after = (names[name] for name in transition.split())
    assert messages.render(text, Transition(before, after), GROUP, VALUES) == expected


@pytest.mark.parametrize(
    ("text", "handles"),
    [
        ("to @slack-a and @pagerduty-b. Bye", ["slack-a", "pagerduty-b"]),
        ("@a@example.com, @webhook-x @webhook-x", ["a@example.com", "webhook-x"]),
        ("mail b@example.com", []),
    ],
)
def test_handles_of_a_message_are_parsed(text, handles):
    assert messages.handles(text) == handles


async def test_log_monitor_without_logs_is_ok_and_metric_monitor_without_data_is_no_data(
    received,
):
    logs = 'logs("service:s").index("*").rollup("count").by("agent_id").last("10m") > 5'
    received.monitors = [drawdown(1), monitor(2, logs, "log alert")]
    monitor_runner = received.monitor_runner()
    await monitor_runner.once()
    assert [monitor_runner.state(item).status for item in "12"] == [Status.NO_DATA, Status.OK]
