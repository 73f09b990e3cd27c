"""Limits for clients, over real sockets and with short limits."""

import asyncio
import socket
import threading
from collections.abc import Iterator

import httpx
import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from purpleflea_sdk.http.request_limits import BodyLimit, RequestLimit, TimeoutProtocol
from support.waiting import wait_for

LIMIT_S = 0.3
HEAD = b"POST / HTTP/1.1\r\nHost: agent\r\n"


class ShortTimeout(TimeoutProtocol):
    head_timeout_s = LIMIT_S


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    async def echo(request: Request) -> Response:
        return PlainTextResponse(await request.body())

    app = Starlette(routes=[Route("/", echo, methods=["POST"])])
    limited = BodyLimit(app, timeout_s=LIMIT_S)
    config = uvicorn.Config(
        limited, host="127.0.0.1", port=0, log_config=None, lifespan="off", http=ShortTimeout
    )
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    wait_for(lambda: server.started, what="the server's start")
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    thread.join()


@pytest.fixture
def client(port: int) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", port), timeout=5) as connected:
        yield connected


def answer(client: socket.socket) -> bytes:
    """Return everything until the server closes the connection; raise TimeoutError if it does not."""
    received = b""
    while part := client.recv(65536):
        received += part
    return received


@pytest.mark.parametrize("sent", [b"", b"POST / HT", HEAD, HEAD + b"X-Slow: 1"])
def test_a_connection_whose_head_does_not_end_is_closed(client: socket.socket, sent: bytes) -> None:
    client.sendall(sent)
    assert answer(client) == b""


def test_a_second_request_has_the_same_time_limit(client: socket.socket) -> None:
    client.sendall(HEAD + b"Content-Length: 2\r\n\r\nok")
    assert client.recv(65536).endswith(b"ok")
    client.sendall(b"POST / HT")
    assert answer(client) == b""


def test_a_body_that_takes_too_long_is_a_408(client: socket.socket) -> None:
    client.sendall(HEAD + b"Content-Length: 10\r\n\r\nslow")
    received = answer(client)
    assert received.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"too_slow"' in received


def test_a_client_that_disconnects_in_its_body_affects_no_other_client(
    port: int, client: socket.socket
) -> None:
    client.sendall(HEAD + b"Content-Length: 10\r\n\r\nslow")
    client.close()
    with socket.create_connection(("127.0.0.1", port), timeout=5) as other:
        other.sendall(HEAD + b"Content-Length: 2\r\nConnection: close\r\n\r\nok")
        assert answer(other).endswith(b"ok")


@pytest.mark.parametrize(
    ("path", "status"),
    [
        *(("/v1/status", 503), ("/v1/trade", 503)),
        *((path, 200) for path in ("/healthz", "/readyz", "/v1/control")),
    ],
)
async def test_requests_in_work_are_limited_but_not_for_probes_and_the_operator(
    path: str, status: int
) -> None:
    finished = asyncio.Event()

    async def hangs(request: Request) -> Response:
        if request.url.path == "/slow":
            await finished.wait()
        return PlainTextResponse("ok")

    app = Starlette(routes=[Route("/{path:path}", hangs)])
    transport = httpx.ASGITransport(RequestLimit(app, max_requests=2))
    async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
        slow = [asyncio.create_task(client.get("/slow")) for _ in range(2)]
        await asyncio.sleep(0)
        answer = await client.get(path)
        assert answer.status_code == status
        assert answer.headers.get("retry-after") == ("1" if status == 503 else None)
        finished.set()
        assert [(await task).status_code for task in slow] == [200, 200]
        assert (await client.get("/v1/status")).status_code == 200
