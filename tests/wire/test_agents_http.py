"""The adapter that asks agents, against a server on loopback that answers as it likes."""

import socket

import pytest
from aiohttp import web

from purpleflea_contract.control import ACKNOWLEDGEMENT, Mode
from purpleflea_operator.agent_client.http import BODY_LIMIT, HttpAgentClient, session
from purpleflea_operator.agent_client.protocol import AgentUnreachableError


@pytest.fixture
async def serve():
    """Serves one handler at the paths of an agent; the adapter that asks it."""
    runners, sessions = [], []

    async def start(handler):
        app = web.Application()
        for path in ("/v1/control", "/v1/status"):
            app.router.add_get(path, handler)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        sessions.append(session())
        return HttpAgentClient(sessions[-1], port=runner.addresses[0][1])

    yield start
    for asking in sessions:
        await asking.close()
    for runner in runners:
        await runner.cleanup()


async def test_an_agent_says_what_it_does_about_its_mode(serve):
    async def handler(request):
        assert "Cookie" not in request.headers
        return web.json_response(ACKNOWLEDGEMENT)

    agents = await serve(handler)
    word = await agents.control("127.0.0.1")
    assert (word.mode, word.at_rest) == (Mode.STOPPED, True)
    assert (await agents.control("127.0.0.1")).mode is Mode.STOPPED


def too_long():
    return web.Response(body=b" " * (BODY_LIMIT + 1) + b"{}")


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (lambda: web.json_response({}, status=503), "responded with status 503"),
        (lambda: web.json_response({"mode": "Sleeping", "at_rest": True}), "is invalid"),
        (lambda: web.json_response({"mode": "Halted"}), "is invalid"),
        (lambda: web.Response(text="<html>"), "is invalid"),
        (too_long, "longer than"),
        (
            lambda: web.Response(status=302, headers={"Location": "/v1/control"}),
            "responded with status 302",
        ),
    ],
)
async def test_what_is_no_acknowledgement_is_none(serve, answer, words):
    asked = []

    async def handler(request):
        asked.append(request.path)
        return answer()

    agents = await serve(handler)
    with pytest.raises(AgentUnreachableError, match=words):
        await agents.control("127.0.0.1")
    assert asked == ["/v1/control"]


async def test_nobody_at_the_address_is_no_answer():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        async with session() as asking:
            agents = HttpAgentClient(asking, port=free.getsockname()[1])
            with pytest.raises(AgentUnreachableError, match="no response"):
                await agents.control("127.0.0.1")


async def test_an_address_of_the_newer_kind_is_written_as_such():
    async with session() as asking:
        with pytest.raises(AgentUnreachableError, match="no response"):
            await HttpAgentClient(asking, port=1).control("::1")


async def test_an_agent_says_what_it_lost(serve):
    async def handler(request):
        assert request.path == "/v1/status"
        lost = {"metrics": 3, "traces": 0}
        return web.json_response({"agent_id": "x", "telemetry_dropped_by_signal": lost})

    agents = await serve(handler)
    assert await agents.losses("127.0.0.1") == {"metrics": 3, "traces": 0}


async def test_an_agent_that_counts_no_losses_has_none(serve):
    async def handler(request):
        raise web.HTTPNotFound

    agents = await serve(handler)
    assert await agents.losses("127.0.0.1") == {}


async def test_losses_that_are_no_numbers_are_no_answer(serve):
    async def handler(request):
        return web.json_response({"telemetry_dropped_by_signal": {"metrics": -1}})

    agents = await serve(handler)
    with pytest.raises(AgentUnreachableError, match="is invalid"):
        await agents.losses("127.0.0.1")
