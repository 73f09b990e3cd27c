"""The operator's HTTP port: connections are bounded in number and time, and a probe always gets through."""

import asyncio
import contextlib
import socket

import pytest
from aiohttp import web

from purpleflea_operator import timings
from purpleflea_operator.runtime import bounded_server
from purpleflea_operator.runtime.bounded_server import BoundedServer

PROBE = b"GET /livez HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
KEPT = b"GET /livez HTTP/1.1\r\nHost: a\r\n\r\n"


@contextlib.asynccontextmanager
async def a_server():
    async def livez(_):
        return web.Response(text="ok")

    async def large(_):
        return web.Response(body=b"x" * 50_000_000)

    app = web.Application()
    app.router.add_get("/livez", livez)
    app.router.add_get("/large", large)
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    server = BoundedServer(app, listener)
    await server.start()
    try:
        yield port
    finally:
        await server.cleanup()


@contextlib.asynccontextmanager
async def connections(port, number, *, sent=b""):
    streams = []
    for _ in range(number):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        if sent:
            writer.write(sent)
            await writer.drain()
        streams.append((reader, writer))
    try:
        yield streams
    finally:
        for _, writer in streams:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()


async def probe(port):
    async with connections(port, 1, sent=PROBE) as [(reader, _)]:
        return (await asyncio.wait_for(reader.read(), 10)).endswith(b"ok")


async def closed(reader):
    """Wait until the server has closed a connection."""
    with contextlib.suppress(ConnectionError):
        while await asyncio.wait_for(reader.read(65_536), 30):
            pass
    return True


SLOW = {
    "silent": b"",
    "half of a request line": b"GET /li",
    "headers without an end": b"GET /livez HTTP/1.1\r\nHost: a\r\nX-A: b\r\n",
    "a body without an end": b"GET /livez HTTP/1.1\r\nHost: a\r\nContent-Length: 999999\r\n\r\nx",
    "idle after a request": KEPT,
    "a response that is not read": b"GET /large HTTP/1.1\r\nHost: a\r\n\r\n",
}


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
async def test_a_probe_gets_through_although_all_connections_are_taken(sent, monkeypatch):
    monkeypatch.setattr(bounded_server, "CONNECTIONS", 8)
    async with a_server() as port, connections(port, 8, sent=sent) as streams:
        assert await probe(port)
        # The oldest connection made room.
        assert await closed(streams[0][0])


@pytest.mark.parametrize("sent", SLOW.values(), ids=SLOW)
async def test_a_connection_ends_after_a_time(sent, monkeypatch):
    monkeypatch.setattr(timings, "HTTP_CONNECTION_S", 0.3)
    async with a_server() as port, connections(port, 1, sent=sent) as [(reader, _)]:
        assert await closed(reader)
        assert await probe(port)


async def test_a_client_that_sends_a_byte_at_a_time_is_disconnected(monkeypatch):
    monkeypatch.setattr(timings, "HTTP_CONNECTION_S", 0.3)
    async with a_server() as port, connections(port, 1, sent=b"GET /") as [(reader, writer)]:

        async def drip():
            with contextlib.suppress(ConnectionError):
                while True:
                    writer.write(b"a")
                    await writer.drain()
                    await asyncio.sleep(0.02)

        dripping = asyncio.create_task(drip())
        assert await closed(reader)
        dripping.cancel()
        await asyncio.wait([dripping])


async def test_an_idle_connection_is_closed_earlier(monkeypatch):
    monkeypatch.setattr(timings, "HTTP_IDLE_S", 0.2)
    async with a_server() as port, connections(port, 1, sent=KEPT) as [(reader, _)]:
        assert await closed(reader)


async def test_a_client_may_send_several_requests_over_one_connection():
    async with a_server() as port, connections(port, 1, sent=KEPT) as [(reader, writer)]:
        for _ in range(3):
            assert b"ok" in await asyncio.wait_for(reader.readuntil(b"ok"), 10)
            writer.write(KEPT)


async def test_a_flood_of_connections_does_not_grow():
    async with a_server() as port:
        for _ in range(300):
            async with connections(port, 1):
                pass
        assert await probe(port)
