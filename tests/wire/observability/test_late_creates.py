"""A create without an answer may take effect late: it is waited for, whoever sent it, and never doubled."""

import pytest

from purpleflea_operator.datadog.client.errors import Unreachable
from support.observability_trial import Killed

OBJECTS = 35


def is_whole(trial):
    """Whether everything is there exactly once."""
    organisation = trial.datadog.organisation
    held = (len(organisation.monitors), len(organisation.dashboards), len(organisation.notebooks))
    return held == (11, 1, 1) and trial.status["inSync"] == OBJECTS


class Dying:
    """An organisation whose operator ends when the dashboard had no answer."""

    def __init__(self, organisation):
        self._organisation = organisation

    def __getattr__(self, name):
        return getattr(self._organisation, name)

    async def create(self, kind, body):
        try:
            return await self._organisation.create(kind, body)
        except Unreachable:
            raise Killed from None


def dashboards_sent(trial):
    return [one for one in trial.datadog.request_log.writes() if one.path == "/api/v1/dashboard"]


async def test_a_pass_that_is_cut_off_in_a_create_waits_before_it_makes_it_again(trial, again):
    """As after its time limit, or when another replica takes over: the create may be on its way still."""
    trial.put()
    sent = {"kind": "status", "status": 503, "method": "POST", "path_prefix": "/api/v1/dashboard"}
    trial.datadog.fail({**sent, "times": 1})
    trial.seen_through = Dying
    with pytest.raises(Killed):
        await trial.look()
    trial.seen_through = lambda organisation: organisation
    posted = len(dashboards_sent(trial))
    assert await again() == 10
    assert await again() == 10
    assert len(dashboards_sent(trial)) == posted
    assert trial.condition("Synced")["reason"] == "Progressing"
    trial.pass_time(10)
    await trial.look()
    assert len(dashboards_sent(trial)) == posted + 1
    assert is_whole(trial)


async def test_a_create_that_takes_effect_late_makes_no_double(trial, again, ask):
    trial.put()
    lost = {"kind": "reset", "method": "POST", "path_prefix": "/api/v1/dashboard", "times": 1}
    trial.datadog.fail(lost)
    await again()
    trial.pass_time(9)
    await again()
    body = dashboards_sent(trial)[0].body
    assert (await ask("POST", "/api/v1/dashboard", body))[0] == 200
    trial.pass_time(1)
    await trial.look()
    assert is_whole(trial)


async def test_a_create_that_a_limit_refused_is_tried_again_as_soon_as_it_may(trial, again):
    trial.put()
    limit = {"kind": "rate_limit", "method": "POST", "path_prefix": "/api/v1/dashboard"}
    trial.datadog.fail({**limit, "reset_s": 3, "times": 1})
    assert await again() == 3
    trial.pass_time(3)
    await trial.look()
    assert is_whole(trial)
