import asyncio
import json
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp import web

from purpleflea_sandbox.datadog import servers
from purpleflea_sandbox.datadog.evaluation.monitors import Notification
from purpleflea_sandbox.datadog.evaluation.states import GroupState, Status, Transition
from purpleflea_sandbox.datadog.evaluation.webhooks import Webhooks, body

STATE = GroupState(status=Status.ALERT, value=20, first_seen=0, last_data=0, changed=0)


def note(*handles, turn=Transition(Status.OK, Status.ALERT)):  # noqa: B008 - a frozen value
    return Notification(
        monitor_id="7",
        name="high drawdown",
        group=(("agent_id", "a"),),
        turn=turn,
        state=STATE,
        text="a at 20 %",
        handles=handles,
        tags=("team:trading",),
        at=1000.0,
    )


@asynccontextmanager
async def receiving(*statuses):
    """A receiver that answers with these statuses, then with 200; yields its address and what it got."""
    got, answers = [], iter(statuses)

    async def take(request):
        got.append(await request.json())
        return web.Response(status=next(answers, 200))

    app = web.Application()
    app.router.add_post("/hook", take)
    async with servers.served(app, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}/hook", got


@asynccontextmanager
async def sending(addresses):
    hooks = Webhooks(lambda: addresses, delay_s=0)
    async with aiohttp.ClientSession() as session:
        task = asyncio.create_task(hooks.run(session))
        yield hooks
        async with asyncio.timeout(15):
            await hooks.drained()
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def test_a_webhook_that_a_message_names_is_called_once():
    async with receiving() as (url, got), sending({"desk": url}) as hooks:
        hooks.tell(note("slack-x", "webhook-desk", "webhook-nobody"))
        await hooks.drained()
    assert [one["alert_transition"] for one in got] == ["Triggered"]
    assert got[0]["alert_scope"] == "agent_id:a"
    assert got[0]["title"] == "[Triggered] high drawdown on agent_id:a"
    assert hooks.counts == {"sent": 1, "unknown": 1}


async def test_a_receiver_in_trouble_is_asked_again_and_one_that_refuses_is_not():
    async with receiving(503, 500, 200, 404) as (url, got), sending({"desk": url}) as hooks:
        hooks.tell(note("webhook-desk"))
        hooks.tell(note("webhook-desk"))
        await hooks.drained()
    assert len(got) == 4
    assert hooks.counts == {"sent": 1, "failed": 1}


async def test_nobody_there_is_a_failure_that_stops_nothing():
    async with (
        receiving() as (url, got),
        sending({"gone": "http://127.0.0.1:1", "desk": url}) as hooks,
    ):
        hooks.tell(note("webhook-gone"))
        hooks.tell(note("webhook-desk"))
        await hooks.drained()
    assert len(got) == 1
    assert hooks.counts == {"sent": 1, "failed": 1}


async def test_a_queue_that_is_full_drops_and_counts():
    hooks = Webhooks(lambda: {"desk": "http://127.0.0.1:1"})
    for _ in range(1001):
        hooks.tell(note("webhook-desk"))
    assert hooks.counts == {"dropped": 1}


@pytest.mark.parametrize(
    ("before", "after", "word", "kind"),
    [
        (Status.OK, Status.ALERT, "Triggered", "error"),
        (Status.OK, Status.WARN, "Warn", "warning"),
        (Status.OK, Status.NO_DATA, "No Data", "warning"),
        (Status.ALERT, Status.OK, "Recovered", "success"),
        (Status.ALERT, Status.ALERT, "Re-Triggered", "error"),
    ],
)
def test_the_payload_says_what_happened(before, after, word, kind):
    found = body(note(turn=Transition(before, after)))
    assert (found["alert_transition"], found["alert_type"]) == (word, kind)
    json.dumps(found)
