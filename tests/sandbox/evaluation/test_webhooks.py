import asyncio
import json
from contextlib import asynccontextmanager, suppress

import aiohttp
import pytest
from aiohttp import web

from purpleflea_sandbox.datadog import servers
from purpleflea_sandbox.datadog.evaluation.monitors import Notification
from purpleflea_sandbox.datadog.evaluation.states import GroupState, Status, Transition
from purpleflea_sandbox.datadog.webhooks import Webhooks, body

STATE = GroupState(status=Status.ALERT, value=20, first_seen=0, last_data=0, changed=0)


def notification(*handles, transition=Transition(Status.OK, Status.ALERT)):  # noqa: B008 - a frozen value
    return Notification(
        monitor_id="7",
        name="high drawdown",
        group=(("agent_id", "a"),),
        transition=transition,
        state=STATE,
        text="a at 20 %",
        handles=handles,
        tags=("team:trading",),
        at=1000.0,
    )


@asynccontextmanager
async def receiving(*statuses):
    """Run a receiver that responds with these statuses, then with 200; yield its URL and the received payloads."""
    received, answers = [], iter(statuses)

    async def take(request):
        received.append(await request.json())
        return web.Response(status=next(answers, 200))

    app = web.Application()
    app.router.add_post("/hook", take)
    async with servers.served(app, "127.0.0.1", 0) as port:
        yield f"http://127.0.0.1:{port}/hook", received


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


async def test_webhook_named_in_a_message_is_called_once():
    async with receiving() as (url, received), sending({"desk": url}) as hooks:
        hooks.enqueue(notification("slack-x", "webhook-desk", "webhook-unknown"))
        await hooks.drained()
    assert [payload["alert_transition"] for payload in received] == ["Triggered"]
    assert received[0]["alert_scope"] == "agent_id:a"
    assert received[0]["title"] == "[Triggered] high drawdown on agent_id:a"
    assert hooks.counts == {"sent": 1, "unknown": 1}


async def test_server_errors_are_retried_and_client_errors_are_not():
    async with receiving(503, 500, 200, 404) as (url, received), sending({"desk": url}) as hooks:
        hooks.enqueue(notification("webhook-desk"))
        hooks.enqueue(notification("webhook-desk"))
        await hooks.drained()
    assert len(received) == 4
    assert hooks.counts == {"sent": 1, "failed": 1}


async def test_unreachable_receiver_is_a_failure_and_others_are_served():
    async with (
        receiving() as (url, received),
        sending({"gone": "http://127.0.0.1:1", "desk": url}) as hooks,
    ):
        hooks.enqueue(notification("webhook-gone"))
        hooks.enqueue(notification("webhook-desk"))
        await hooks.drained()
    assert len(received) == 1
    assert hooks.counts == {"sent": 1, "failed": 1}


async def test_full_queue_drops_and_counts():
    hooks = Webhooks(lambda: {"desk": "http://127.0.0.1:1"})
    for _ in range(1001):
        hooks.enqueue(notification("webhook-desk"))
    assert hooks.counts == {"dropped": 1}


@pytest.mark.parametrize(
    ("before", "after", "transition_name", "kind"),
    [
        (Status.OK, Status.ALERT, "Triggered", "error"),
        (Status.OK, Status.WARN, "Warn", "warning"),
        (Status.OK, Status.NO_DATA, "No Data", "warning"),
        (Status.ALERT, Status.OK, "Recovered", "success"),
        (Status.ALERT, Status.ALERT, "Re-Triggered", "error"),
    ],
)
def test_payload_describes_the_transition(before, after, transition_name, kind):
    payload = body(notification(transition=Transition(before, after)))
    assert (payload["alert_transition"], payload["alert_type"]) == (transition_name, kind)
    json.dumps(payload)
