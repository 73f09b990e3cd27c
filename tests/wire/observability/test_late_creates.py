"""A create without an answer may take effect late. The operator waits for it and never creates a duplicate."""

import pytest

from purpleflea_operator.datadog.client.errors import Unreachable
from support.observability_scenario import Killed

OBJECTS = 35


def is_whole(scenario):
    """Return True if every object exists exactly once."""
    organisation = scenario.datadog.organisation
    counts = (len(organisation.monitors), len(organisation.dashboards), len(organisation.notebooks))
    return counts == (11, 1, 1) and scenario.status["inSync"] == OBJECTS


class DyingClient:
    """Client that kills the operator when a create has no answer."""

    def __init__(self, client):
        self._client = client

    def __getattr__(self, name):
        return getattr(self._client, name)

    async def create(self, kind, body):
        try:
            return await self._client.create(kind, body)
        except Unreachable:
            raise Killed from None


def dashboards_sent(scenario):
    return [one for one in scenario.datadog.request_log.writes() if one.path == "/api/v1/dashboard"]


async def test_a_create_of_an_interrupted_pass_is_not_repeated_before_ten_seconds(
    scenario, failing_reconcile
):
    """After a timeout of the pass or a change of the leader, the create may still take effect."""
    scenario.put()
    sent = {"kind": "status", "status": 503, "method": "POST", "path_prefix": "/api/v1/dashboard"}
    scenario.datadog.fail({**sent, "times": 1})
    scenario.wrap_client = DyingClient
    with pytest.raises(Killed):
        await scenario.reconcile()
    scenario.wrap_client = lambda client: client
    posted = len(dashboards_sent(scenario))
    assert await failing_reconcile() == 10
    assert await failing_reconcile() == 10
    assert len(dashboards_sent(scenario)) == posted
    assert scenario.condition("Synced")["reason"] == "Progressing"
    scenario.pass_time(10)
    await scenario.reconcile()
    assert len(dashboards_sent(scenario)) == posted + 1
    assert is_whole(scenario)


async def test_a_create_that_takes_effect_late_causes_no_duplicate(
    scenario, failing_reconcile, call_api
):
    scenario.put()
    lost = {"kind": "reset", "method": "POST", "path_prefix": "/api/v1/dashboard", "times": 1}
    scenario.datadog.fail(lost)
    await failing_reconcile()
    scenario.pass_time(9)
    await failing_reconcile()
    body = dashboards_sent(scenario)[0].body
    assert (await call_api("POST", "/api/v1/dashboard", body))[0] == 200
    scenario.pass_time(1)
    await scenario.reconcile()
    assert is_whole(scenario)


async def test_a_create_that_was_rate_limited_is_retried_after_the_reset(
    scenario, failing_reconcile
):
    scenario.put()
    limit = {"kind": "rate_limit", "method": "POST", "path_prefix": "/api/v1/dashboard"}
    scenario.datadog.fail({**limit, "reset_s": 3, "times": 1})
    assert await failing_reconcile() == 3
    scenario.pass_time(3)
    await scenario.reconcile()
    assert is_whole(scenario)
