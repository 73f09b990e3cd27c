"""The server of `serve` without an application, against clients that behave well and badly."""

import asyncio
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from purpleflea_sdk.http import open_connections, plain_server
from purpleflea_sdk.http.listener import bound_socket
from purpleflea_sdk.http.response import Response

PAGE = b"x" * 16_000_000
GET = b"GET /readyz HTTP/1.1\r\nHost: a\r\n"


async def answer(path: str, accept: str) -> Response | None:
    match path:
        case "/readyz":
            return Response(status=503, body=accept.encode())
        case "/metrics":
            return Response(status=200, content_type="text/plain", body=PAGE)
        case "/defect":
            raise ZeroDivisionError
    return None


@dataclass(frozen=True, slots=True)
class Server:
    port: int

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def receive(self, request: bytes, *, eof: bool = False) -> bytes:
        """Send a request, and return everything until the server closes the connection."""
        reader, writer = await self.connect()
        try:
            writer.write(request)
            if eof:
                writer.write_eof()
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


@pytest.fixture
async def server() -> AsyncIterator[Server]:
    bound: socket.socket = bound_socket("127.0.0.1", 0)
    async with plain_server.running(bound, answer):
        yield Server(bound.getsockname()[1])


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain_server, "REQUEST_TIMEOUT_S", 0.3)


@pytest.mark.parametrize(
    ("request_", "status", "body"),
    [
        (GET + b"\r\n", 503, b""),
        (GET + b"Accept: text/plain\r\n\r\n", 503, b"text/plain"),
        (b"GET /readyz?a=1 HTTP/1.1\r\nHost: a\r\n\r\n", 503, b""),
        (b"GET /readyz HTTP/1.0\r\n\r\n", 503, b""),
        (GET + b"Connection: keep-alive\r\n\r\n", 503, b""),
        (GET + b"Content-Length: 4\r\n\r\nbody", 503, b""),
        (GET + b"Transfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", 503, b""),
        (GET + b"\r\n" + GET + b"\r\n", 503, b""),
        (b"GET /nosuch HTTP/1.1\r\nHost: a\r\n\r\n", 404, b"not_found"),
        (b"GET /%00 HTTP/1.1\r\nHost: a\r\n\r\n", 404, b"not_found"),
        (b"POST /readyz HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\n{}", 405, b"only GET"),
        (b"GET /defect HTTP/1.1\r\nHost: a\r\n\r\n", 500, b"internal"),
        (b"GET /\xc3 HTTP/1.1\r\nHost: a\r\n\r\n", 400, b"bad_request"),
        (b"nonsense\r\n\r\n", 400, b"bad_request"),
        (b"GET /readyz HTTP/1.1\r\n\r\n", 400, b"bad_request"),
        (GET + b"Content-Length: -1\r\n\r\n", 400, b"bad_request"),
        (GET + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\nx", 400, b"bad_request"),
        (b"GET /" + b"a" * 40_000, 431, b"bad_request"),
        (GET + b"Content-Length: 200000\r\n\r\n" + b"x" * 100_000, 413, b"bad_request"),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400, b"bad_request"),
    ],
)
async def test_each_request_gets_one_response_and_the_connection_is_closed(
    server: Server, request_: bytes, status: int, body: bytes
) -> None:
    received = await server.receive(request_)
    assert received.startswith(f"HTTP/1.1 {status} ".encode())
    assert body in received.partition(b"\r\n\r\n")[2]
    assert received.count(b"HTTP/1.1 ") == 1


async def test_a_head_request_gets_the_length_and_no_body(server: Server) -> None:
    received = await server.receive(b"HEAD /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    assert f"content-length: {len(PAGE)}".encode() in received.lower()
    assert received.endswith(b"\r\n\r\n")


async def test_a_long_page_is_sent_completely(server: Server) -> None:
    received = await server.receive(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    assert received.endswith(PAGE)


@pytest.mark.parametrize(
    "sent", [b"", b"GET /rea", GET, GET + b"Content-Length: 10\r\n\r\nx"], ids=repr
)
@pytest.mark.usefixtures("quick")
async def test_a_client_that_stops_sending_is_disconnected(server: Server, sent: bytes) -> None:
    async with asyncio.timeout(10):
        assert await server.receive(sent) == b""


@pytest.mark.parametrize("sent", [b"", b"GET /rea", GET + b"Content-Length: 10\r\n\r\nx"], ids=repr)
async def test_a_client_that_ends_early_does_not_end_the_server(
    server: Server, sent: bytes
) -> None:
    received = await server.receive(sent, eof=True)
    assert received == b"" or received.startswith(b"HTTP/1.1 400 ")
    assert (await server.receive(GET + b"\r\n")).startswith(b"HTTP/1.1 503 ")


@pytest.mark.usefixtures("quick")
async def test_a_client_that_does_not_read_is_disconnected(server: Server) -> None:
    reader, writer = await server.connect()
    writer.write(b"GET /metrics HTTP/1.1\r\nHost: a\r\n\r\n")
    async with asyncio.timeout(10):
        # The reader pauses at its limit, so the response stays in the buffers of the kernel.
        while not writer.transport.is_closing():
            writer.write(b" ")
            await asyncio.sleep(0.05)
    writer.close()
    assert len(await _rest(reader)) < len(PAGE)


async def _rest(reader: asyncio.StreamReader) -> bytes:
    try:
        return await reader.read()
    except ConnectionError:
        return b""


@pytest.mark.parametrize("limit", ["MAX_CONNECTIONS_OF_ADDRESS", "MAX_CONNECTIONS"])
async def test_silent_connections_are_replaced_and_never_keep_a_probe_out(
    server: Server, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    monkeypatch.setattr(open_connections, limit, 3)
    silent = [await server.connect() for _ in range(3)]
    assert (await server.receive(GET + b"\r\n")).startswith(b"HTTP/1.1 503 ")
    async with asyncio.timeout(5):
        assert await _rest(silent[0][0]) == b""  # the oldest one
    # The others are still served.
    for reader, writer in silent[1:]:
        writer.write(GET + b"\r\n")
        assert (await reader.read()).startswith(b"HTTP/1.1 503 ")
    for _, each in silent:
        each.close()


async def test_the_end_of_the_server_closes_open_connections() -> None:
    bound = bound_socket("127.0.0.1", 0)
    async with plain_server.running(bound, answer):
        reader, writer = await Server(bound.getsockname()[1]).connect()
        writer.write(GET)
        await asyncio.sleep(0)
    async with asyncio.timeout(5):
        assert await _rest(reader) == b""
    writer.close()
