"""Clients that send too much, invalid data, or too slowly: a clear answer, and trading continues."""

import socket
from collections.abc import Iterator

import httpx
import pytest

from support.agent_process import TOKEN, AgentFolder, AgentProcess
from support.paper_exchange import PaperExchange
from support.waiting import wait_for

AUTHORIZED = {"Authorization": f"Bearer {TOKEN}", "Content-Type": "application/json"}
TEN_MEGABYTES = 10 * 1024 * 1024
SLOW_CLIENTS = 400
HEAD = b"POST /v1/trade HTTP/1.1\r\nHost: agent\r\nAuthorization: Bearer " + TOKEN.encode()


@pytest.fixture(scope="module")
def exchange() -> Iterator[PaperExchange]:
    with PaperExchange() as running:
        yield running


@pytest.fixture(scope="module")
def agent(
    tmp_path_factory: pytest.TempPathFactory, exchange: PaperExchange
) -> Iterator[AgentProcess]:
    folder = AgentFolder(tmp_path_factory.mktemp("mounts") / "agent", exchange.endpoints)
    with AgentProcess(folder, {}) as running:
        running.wait_until_ready()
        yield running
        assert running.stderr == []
        assert not [line for line in running.lines() if line["level"] in ("ERROR", "CRITICAL")]


def continues_trading(agent: AgentProcess, exchange: PaperExchange) -> bool:
    """Return True if the agent is alive and another order arrives."""
    before = exchange.order_count()
    wait_for(lambda: exchange.order_count() > before, what="another order")
    return agent.probe("/healthz") == 200


def raw_connection(agent: AgentProcess) -> socket.socket:
    url = agent.http.base_url
    return socket.create_connection((url.host, url.port or 0), timeout=30)


def test_ten_megabytes_are_refused(agent: AgentProcess, exchange: PaperExchange) -> None:
    answer = agent.http.post("/v1/trade", content=b"x" * TEN_MEGABYTES, headers=AUTHORIZED)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")
    assert continues_trading(agent, exchange)


def test_ten_megabytes_without_an_announced_length_are_refused(agent: AgentProcess) -> None:
    parts = (b"x" * 65_536 for _ in range(TEN_MEGABYTES // 65_536))
    answer = agent.http.post("/v1/trade", content=parts, headers=AUTHORIZED)
    assert (answer.status_code, answer.json()["code"]) == (413, "body_too_large")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"null",
        b"[]",
        b"\xff\xfe{}",
        b"[" * 50_000,
        b'{"market": "BTC-USD", "side": "buy", "size": "NaN"}',
        b'{"market": "BTC-USD", "side": "buy", "size": 1e400}',
        b'{"market": "BTC-USD", "side": "buy", "size": "1e-400000"}',
        b'{"market": "BTC-USD", "side": "buy", "size": "0.01", "extra": 1}',
        b'{"market": "BTC\\u0000USD", "side": "buy", "size": "0.01"}',
    ],
    ids=lambda body: body[:48].decode(errors="replace"),
)
def test_an_invalid_body_is_a_client_error(agent: AgentProcess, body: bytes) -> None:
    answer = agent.http.post("/v1/trade", content=body, headers=AUTHORIZED)
    assert answer.status_code in (400, 422), answer.text
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_request_that_is_not_http_is_closed(agent: AgentProcess) -> None:
    with raw_connection(agent) as connection:
        connection.sendall(b"\x16\x03\x01\x00\xa5 not HTTP\r\n\r\n")
        assert b" 400 " in connection.recv(1024)


def test_heads_that_never_end_are_closed_and_do_not_block_others(
    agent: AgentProcess, exchange: PaperExchange
) -> None:
    slow = [raw_connection(agent) for _ in range(SLOW_CLIENTS)]
    try:
        for connection in slow:
            _try_to_send(connection, b"GET /healthz HTTP/1.1\r\nX-Slow: ")
        before = exchange.order_count()
        wait_for(lambda: exchange.order_count() >= before + 2, what="two orders meanwhile")
        assert all(_is_closed(connection) for connection in slow)
        with httpx.Client(base_url=agent.http.base_url) as another:
            assert another.get("/healthz").status_code == 200
    finally:
        for connection in slow:
            connection.close()


def test_a_body_that_never_ends_is_answered_and_does_not_block_others(
    agent: AgentProcess, exchange: PaperExchange
) -> None:
    with raw_connection(agent) as connection:
        connection.sendall(
            HEAD + b"\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{"
        )
        assert continues_trading(agent, exchange)
        assert b" 408 " in connection.recv(1024)


SLOW: dict[str, bytes] = {
    "silent": b"",
    "half a line": b"GET /heal",
    "half a head": b"GET /healthz HTTP/1.1\r\nX: ",
    "half a body": HEAD + b"\r\nContent-Type: application/json\r\nContent-Length: 60\r\n\r\n{",
    "half a chunk": HEAD + b"\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{",
    "a body without a token": b"POST /v1/trade HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
    "a body that nothing reads": b"GET /healthz HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
    "a kept connection": b"GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n",
    "answers that are not read": b"GET /openapi.json HTTP/1.1\r\nHost: a\r\n\r\n" * 20,
}


@pytest.mark.parametrize("kind", SLOW)
def test_many_slow_connections_delay_no_probe_and_no_acknowledgement(
    agent: AgentProcess, kind: str
) -> None:
    url = agent.http.base_url
    connections: list[socket.socket] = []
    try:
        # Answers without a reader cost the agent processor time, so fewer of these connections are enough.
        for number in range(100 if kind.startswith("answers") else SLOW_CLIENTS):
            connection = socket.socket()
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            connection.connect((url.host, url.port or 0))
            connection.setblocking(False)
            _try_to_send(connection, SLOW[kind])
            connections.append(connection)
            if number % 40 == 39:
                # As the kubelet does: a new connection for each probe, and 3 s for its answer.
                for path in ("/healthz", "/readyz", "/v1/control"):
                    answer = httpx.get(f"{url}{path}", timeout=3)
                    assert answer.status_code == 200, (number, path, answer.text)
    finally:
        for connection in connections:
            connection.close()


def _try_to_send(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
    except OSError:
        return  # one connection too many is closed at once


def _is_closed(connection: socket.socket) -> bool:
    """Wait for data; return True if the server closed the connection."""
    try:
        return connection.recv(1024) == b""
    except ConnectionResetError:
        return True
