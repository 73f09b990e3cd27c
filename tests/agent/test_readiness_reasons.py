"""The reason why an account cannot be read: every kind of fault, over real sockets, with the field to check."""

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx2
import pytest
from starlette.responses import JSONResponse, RedirectResponse, Response

from purpleflea_agent.exchange.errors import ExchangeError
from purpleflea_agent.exchange.key_file import KeyFile
from purpleflea_agent.exchange.seed import SeedExchange
from purpleflea_agent.journal import Journal
from purpleflea_agent.trading.account import Account
from purpleflea_contract.settings import Endpoints
from support.agent_process import AgentFolder
from support.exchange_double import ExchangeDouble
from support.tls_server import Certificate, tls_server, write_certificates

TIMEOUT = httpx2.Timeout(0.3)
NO_KEY = "there is no API key"
TRADING, KEY = "spec.api.endpoints.trading", "spec.api.keySecretRef"


@contextlib.asynccontextmanager
async def account(endpoints: dict[str, str], key_file: Path, state: Path) -> AsyncIterator[Account]:
    exchange = SeedExchange(
        Endpoints(**endpoints), key_file=KeyFile(key_file), agent_id="momentum-0", timeout=TIMEOUT
    )
    journal = Journal(state)
    try:
        yield Account(
            exchange=exchange, journal=journal, markets=("BTC-USD",), balance_threshold_usd=0
        )  # type: ignore[arg-type]
    finally:
        await exchange.close()
        await journal.close()


async def problem_at(url: str, folder: AgentFolder) -> str:
    """Return the problem of an account whose services all have one address."""
    endpoints = dict.fromkeys(("trading", "wallet", "escrow", "faucet"), url)
    async with account(endpoints, folder.key_file, folder.state) as made:
        with pytest.raises(ExchangeError):
            await made.refresh()
        assert made.problem is not None
        return made.problem


ANSWERS: dict[str, tuple[Callable[[], Response], str, str]] = {
    "401 of a gateway": (lambda: Response(status_code=401), "refuses the API key (401)", KEY),
    "403 of a gateway": (lambda: Response(status_code=403), "refuses the API key (403)", KEY),
    "404": (lambda: Response("<html>", status_code=404), "answers 404", TRADING),
    "405": (lambda: Response(status_code=405), "answers 405", TRADING),
    "a redirect": (lambda: RedirectResponse("https://example.com"), "another format", TRADING),
    "a page for people": (lambda: Response("<html>Welcome</html>"), "another format", TRADING),
    "JSON of another API": (lambda: JSONResponse({"data": []}), "another format", TRADING),
    "a list": (lambda: JSONResponse([]), "another format", TRADING),
    "an empty answer": (lambda: Response(), "another format", TRADING),
    "an answer that is not text": (lambda: Response(b"\xff\xfe"), "another format", TRADING),
    "429": (lambda: Response(status_code=429), "limits the rate of requests (429)", "fewer agents"),
    "500": (lambda: Response(status_code=500), "fails (500)", "wait"),
    "503": (lambda: Response(status_code=503), "fails (503)", "wait"),
    "418": (lambda: Response(status_code=418), "refuses the request (418)", "spec.api.dialect"),
}


@pytest.mark.parametrize(("answer", "symptom", "remedy"), ANSWERS.values(), ids=ANSWERS.keys())
async def test_an_answer_is_named_with_its_remedy(
    exchange: ExchangeDouble,
    folder: AgentFolder,
    answer: Callable[[], Response],
    symptom: str,
    remedy: str,
) -> None:
    exchange.gateway = lambda _, __: answer()
    problem = await problem_at(exchange.url, folder)
    assert problem.startswith("the trading service ")
    assert symptom in problem
    assert remedy in problem


async def test_a_refused_key_is_named(exchange: ExchangeDouble, folder: AgentFolder) -> None:
    exchange.key = "another"
    assert "refuses the API key (401)" in await problem_at(exchange.url, folder)


async def test_a_missing_key_is_named(exchange: ExchangeDouble, folder: AgentFolder) -> None:
    folder.key_file.unlink()
    assert NO_KEY in await problem_at(exchange.url, folder)


async def test_a_refused_connection_is_named(folder: AgentFolder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert "refuses connections" in await problem_at(f"http://127.0.0.1:{port}", folder)


async def test_a_refused_connection_of_two_addresses_is_named(
    folder: AgentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    both = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (address, port))
        for address in ("127.0.0.1", "127.0.0.2")
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: both)
    assert "refuses connections" in await problem_at(f"http://exchange.test:{port}", folder)


async def test_a_name_without_an_address_is_named(
    folder: AgentFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    problem = await problem_at("https://trading.purpleflea.test", folder)
    assert "cannot be resolved" in problem
    assert "DNS" in problem


async def test_a_server_without_tls_is_named(exchange: ExchangeDouble, folder: AgentFolder) -> None:
    problem = await problem_at(exchange.url.replace("http:", "https:"), folder)
    assert "TLS" in problem


CERTIFICATES = {
    "of an unknown authority": (Certificate(), False),
    "expired": (Certificate(first_day=-3, last_day=-2), True),
    "not valid yet": (Certificate(first_day=2, last_day=3), True),
    "of another host": (Certificate(host="exchange.test"), True),
}


@pytest.mark.parametrize(
    ("certificate", "is_trusted"), CERTIFICATES.values(), ids=CERTIFICATES.keys()
)
async def test_a_certificate_that_is_not_accepted_is_named_and_nothing_is_sent(
    folder: AgentFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    certificate: Certificate,
    is_trusted: bool,
) -> None:
    authority, server = write_certificates(tmp_path, certificate)
    if is_trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    received = bytearray()
    async with tls_server(server, received) as port:
        problem = await problem_at(f"https://localhost:{port}", folder)
    assert "has an invalid certificate: check spec.api.endpoints.trading" in problem
    assert received == b""


async def test_a_certificate_of_a_trusted_authority_is_accepted(
    folder: AgentFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    authority, server = write_certificates(tmp_path, Certificate())
    monkeypatch.setenv("SSL_CERT_FILE", str(authority))
    received = bytearray()
    async with tls_server(server, received) as port:
        assert "certificate" not in await problem_at(f"https://localhost:{port}", folder)
    assert received.startswith(b"GET /")


async def test_a_server_that_never_answers_is_named(folder: AgentFolder) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        assert "does not answer in time" in await problem_at(f"http://127.0.0.1:{port}", folder)


async def test_a_server_that_closes_at_once_is_named(folder: AgentFolder) -> None:
    async def close(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(close, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        assert "cannot be reached" in await problem_at(f"http://127.0.0.1:{port}", folder)


async def test_the_wallet_is_named_if_only_it_fails(
    exchange: ExchangeDouble, folder: AgentFolder
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    endpoints = {**exchange.endpoints, "wallet": f"http://127.0.0.1:{port}"}
    async with account(endpoints, folder.key_file, folder.state) as made:
        with pytest.raises(ExchangeError, match="cannot be reached"):
            await made.refresh()
        assert made.problem is not None
        assert made.problem.startswith("the wallet service refuses connections")
        assert "spec.api.endpoints.wallet" in made.problem


async def test_a_success_clears_the_problem(exchange: ExchangeDouble, folder: AgentFolder) -> None:
    key, exchange.key = exchange.key, "another"
    async with account(exchange.endpoints, folder.key_file, folder.state) as made:
        with pytest.raises(ExchangeError, match="401"):
            await made.refresh()
        assert made.problem is not None
        exchange.key = key
        await made.refresh()
        assert made.problem is None


async def test_no_text_of_a_service_is_in_the_problem(
    exchange: ExchangeDouble, folder: AgentFolder
) -> None:
    exchange.gateway = lambda _, __: Response("token=sesame", status_code=500)
    assert "sesame" not in await problem_at(exchange.url, folder)
