"""A downtime mutes the groups in its scope of the monitors with its tags, until it ends."""

import pytest

from purpleflea_sandbox.datadog.api.organisation import iso
from support.fleet_scenario import Scenario


@pytest.fixture
async def scenario(repository):
    scenario_ = Scenario.of(repository / "observability")
    await scenario_.minutes(4)
    return scenario_


def mute(scenario, scope, *, minutes, tag="monitor:heartbeat", types=("expired",)):
    scenario.organisation.downtimes["d"] = {
        "monitor_identifier": {"monitor_tags": [tag]},
        "scope": scope,
        "schedule": {"end": iso(scenario.now + minutes * 60)},
        "notify_end_types": list(types),
        "notify_end_states": ["alert", "no data"],
        "canceled": None,
    }


@pytest.mark.parametrize(
    ("scope", "tag", "notified"),
    [
        ("agent_id:momentum-1", "monitor:heartbeat", False),
        ("agent_id:(momentum-0 OR momentum-1)", "monitor:heartbeat", False),
        ("*", "monitor:heartbeat", False),
        ("agent_id:momentum-0", "monitor:heartbeat", True),
        ("agent_id:momentum-1", "monitor:drawdown", True),
        ("env:production", "monitor:heartbeat", True),
    ],
)
async def test_a_downtime_mutes_its_groups_and_no_others(scenario, scope, tag, notified):
    mute(scenario, scope, minutes=120, tag=tag)
    scenario.agents["momentum-1"].is_alive = False
    await scenario.minutes(10)
    assert scenario.not_ok() == {"heartbeat/momentum-1": "Alert"}
    assert bool(scenario.notified("heartbeat")) is notified


@pytest.mark.parametrize(
    ("types", "returns_after", "notified"),
    [
        (("expired",), None, [("momentum-1", "Alert")]),
        ((), None, []),
        (("expired",), 12, []),
    ],
)
async def test_a_replaced_pod_that_is_still_silent_alerts_when_its_downtime_expires(
    scenario, types, returns_after, notified
):
    mute(scenario, "agent_id:momentum-1", minutes=15, types=types)
    scenario.agents["momentum-1"].is_alive = False
    await scenario.minutes(returns_after or 14)
    assert scenario.notified("heartbeat") == []
    scenario.agents["momentum-1"].is_alive = returns_after is not None
    await scenario.minutes(4)
    assert scenario.notified("heartbeat") == notified


async def test_a_canceled_downtime_does_not_mute(scenario):
    mute(scenario, "*", minutes=120)
    scenario.organisation.downtimes["d"]["canceled"] = iso(scenario.now)
    scenario.agents["momentum-1"].is_alive = False
    await scenario.minutes(6)
    assert scenario.notified("heartbeat") == [("momentum-1", "Alert")]
