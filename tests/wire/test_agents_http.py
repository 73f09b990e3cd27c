"""The adapter that asks agents, against a server on loopback that answers as it likes."""

import socket

import pytest
from aiohttp import web

from purpleflea_contract.control import ACKNOWLEDGEMENT, Mode
from purpleflea_operator.agents.http import BODY_LIMIT, HttpAgents, session
from purpleflea_operator.agents.port import SilentError


@pytest.fixture
async def serve():
    """Serves one handler at GET /v1/control; the adapter that asks it."""
    runners, sessions = [], []

    async def start(handler):
        app = web.Application()
        app.router.add_get("/v1/control", handler)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        sessions.append(session())
        return HttpAgents(sessions[-1], port=runner.addresses[0][1])

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
        (lambda: web.json_response({}, status=503), "it answers 503"),
        (lambda: web.json_response({"mode": "Sleeping", "at_rest": True}), "is not understood"),
        (lambda: web.json_response({"mode": "Halted"}), "is not understood"),
        (lambda: web.Response(text="<html>"), "is not understood"),
        (too_long, "longer than"),
        (lambda: web.Response(status=302, headers={"Location": "/v1/control"}), "it answers 302"),
    ],
)
async def test_what_is_no_acknowledgement_is_none(serve, answer, words):
    asked = []

    async def handler(request):
        asked.append(request.path)
        return answer()

    agents = await serve(handler)
    with pytest.raises(SilentError, match=words):
        await agents.control("127.0.0.1")
    assert asked == ["/v1/control"]


async def test_nobody_at_the_address_is_no_answer():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        async with session() as asking:
            agents = HttpAgents(asking, port=free.getsockname()[1])
            with pytest.raises(SilentError, match="no answer"):
                await agents.control("127.0.0.1")


async def test_an_address_of_the_newer_kind_is_written_as_such():
    async with session() as asking:
        with pytest.raises(SilentError, match="no answer"):
            await HttpAgents(asking, port=1).control("::1")
