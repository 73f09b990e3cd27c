"""HTTP client for agents, against a server on loopback."""

import asyncio
import socket

import pytest
from aiohttp import web

from purpleflea_contract.control import ACKNOWLEDGEMENT, Mode
from purpleflea_operator.agent_client.http import (
    BODY_LIMIT,
    PROBE_CONNECTIONS,
    HttpAgentClient,
    session,
)
from purpleflea_operator.agent_client.protocol import AgentUnreachableError


@pytest.fixture
async def serve():
    """Start a server with one handler at the paths of an agent. Returns a client for it."""
    runners, sessions = [], []

    async def start(handler, connections=PROBE_CONNECTIONS):
        app = web.Application()
        for path in ("/v1/control", "/v1/status", "/readyz"):
            app.router.add_get(path, handler)
        runner = web.AppRunner(app)
        await runner.setup()
        runners.append(runner)
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        sessions.append(session(connections))
        port = runner.addresses[0][1]
        return HttpAgentClient(sessions[-1], port=port, connections=connections)

    yield start
    for http_session in sessions:
        await http_session.close()
    for runner in runners:
        await runner.cleanup()


async def test_an_agent_acknowledges_its_mode(serve):
    async def handler(request):
        assert "Cookie" not in request.headers
        return web.json_response(ACKNOWLEDGEMENT)

    agents = await serve(handler)
    acknowledgement = await agents.control("127.0.0.1")
    assert (acknowledgement.mode, acknowledgement.at_rest) == (Mode.STOPPED, True)
    assert (await agents.control("127.0.0.1")).mode is Mode.STOPPED


def too_long():
    return web.Response(body=b" " * (BODY_LIMIT + 1) + b"{}")


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (lambda: web.json_response({}, status=503), "responded with status 503"),
        (lambda: web.json_response({"mode": "Sleeping", "at_rest": True}), "is invalid"),
        (lambda: web.json_response({"mode": "Halted"}), "is invalid"),
        (lambda: web.Response(text="<html>"), "is invalid"),
        (too_long, "larger than"),
        (
            lambda: web.Response(status=302, headers={"Location": "/v1/control"}),
            "responded with status 302",
        ),
    ],
)
async def test_an_invalid_acknowledgement_is_an_error(serve, response, error):
    paths = []

    async def handler(request):
        paths.append(request.path)
        return response()

    agents = await serve(handler)
    with pytest.raises(AgentUnreachableError, match=error):
        await agents.control("127.0.0.1")
    assert paths == ["/v1/control"]


async def test_a_refused_connection_is_an_error():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        async with session() as http_session:
            agents = HttpAgentClient(http_session, port=free.getsockname()[1])
            with pytest.raises(AgentUnreachableError, match="no response"):
                await agents.control("127.0.0.1")


async def test_the_timeout_of_a_request_starts_when_a_connection_is_free(serve):
    silent, requests = asyncio.Event(), []

    async def handler(request):
        requests.append(request.path)
        if len(requests) == 1:
            await silent.wait()
        return web.json_response(ACKNOWLEDGEMENT)

    agents = await serve(handler, connections=1)
    # The second request waits for as long as the timeout, until the first one has failed.
    first, second = await asyncio.gather(
        agents.control("127.0.0.1"), agents.control("127.0.0.1"), return_exceptions=True
    )
    silent.set()
    assert isinstance(first, AgentUnreachableError)
    assert second.mode is Mode.STOPPED
    assert len(requests) == 2


async def test_an_ipv6_address_is_valid():
    async with session() as http_session:
        with pytest.raises(AgentUnreachableError, match="no response"):
            await HttpAgentClient(http_session, port=1).control("::1")


async def test_an_agent_reports_its_dropped_telemetry(serve):
    async def handler(request):
        assert request.path == "/v1/status"
        lost = {"metrics": 3, "traces": 0}
        return web.json_response({"agent_id": "x", "telemetry_dropped_by_signal": lost})

    agents = await serve(handler)
    status = await agents.status("127.0.0.1")
    assert status.telemetry_dropped_by_signal == {"metrics": 3, "traces": 0}
    assert status.position_mismatches == ()


async def test_an_agent_without_the_status_endpoint_has_no_losses(serve):
    async def handler(request):
        raise web.HTTPNotFound

    agents = await serve(handler)
    status = await agents.status("127.0.0.1")
    assert status.telemetry_dropped_by_signal == {}


async def test_negative_losses_are_an_error(serve):
    async def handler(request):
        return web.json_response({"telemetry_dropped_by_signal": {"metrics": -1}})

    agents = await serve(handler)
    with pytest.raises(AgentUnreachableError, match="is invalid"):
        await agents.status("127.0.0.1")


async def test_an_agent_reports_mismatches_of_its_positions(serve):
    async def handler(request):
        body = {"telemetry_dropped_by_signal": {}, "position_mismatches": ["BTC-USD"]}
        return web.json_response(body)

    agents = await serve(handler)
    assert (await agents.status("127.0.0.1")).position_mismatches == ("BTC-USD",)


LONG = "x" * 4000


@pytest.mark.parametrize(
    ("status", "body", "reason"),
    [
        (200, {"status": "ready"}, None),
        (503, {"detail": "the trading service refuses the API key (401)"}, "the trading service"),
        (503, {"status": "failed", "detail": "it returned"}, "it returned"),
        (503, {"detail": "two\nlines\tand\u0007 a bell"}, "two lines and a bell"),
        (503, {"detail": LONG}, "x" * 300),
        (503, {}, ""),
    ],
    ids=["ready", "problem", "own agent", "control characters", "long", "no reason"],
)
async def test_an_agent_that_is_not_ready_reports_the_reason(serve, status, body, reason):
    async def handler(request):
        assert request.path == "/readyz"
        return web.json_response(body, status=status)

    found = await (await serve(handler)).not_ready_reason("127.0.0.1")
    assert found == reason or (reason and found.startswith(reason))
    assert found is None or len(found) <= 300


@pytest.mark.parametrize("answer", ["<html>", '{"detail": 7}', "[]", '{"detail": "' + LONG * 2])
async def test_a_reason_that_cannot_be_read_is_an_error(serve, answer):
    async def handler(request):
        return web.Response(text=answer, status=503)

    with pytest.raises(AgentUnreachableError):
        await (await serve(handler)).not_ready_reason("127.0.0.1")
