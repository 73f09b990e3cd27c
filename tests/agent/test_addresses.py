"""Addresses and keys that no request can use: each is an error of the exchange with a cause, and nothing is sent."""

from collections.abc import AsyncIterator
from pathlib import Path

import httpx2
import pytest

from purpleflea_agent.exchange import bounded_http
from purpleflea_agent.exchange.errors import ExchangeError, NeverSent, NoApiKey
from purpleflea_agent.exchange.key_file import KeyFile
from purpleflea_agent.exchange.seed import SeedExchange
from purpleflea_contract.settings import Endpoints
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_process import AgentFolder
from support.raw_server import RawServer


async def nothing() -> AsyncIterator[bytes]:
    yield b""


def client(url: str, key_file: Path) -> SeedExchange:
    endpoints = Endpoints(trading=url, wallet=url, escrow=url)
    return SeedExchange(endpoints, key_file=KeyFile(key_file), agent_id="momentum-0")


@pytest.mark.parametrize(
    "url", ["http://127.0.0.1:99999", "http://127.0.0.1:x", "http://[::1", "http://x\x01y"]
)
async def test_an_invalid_address_is_an_error_of_the_exchange(
    mounts: AgentFolder, emitter: Emitter, url: str
) -> None:
    exchange = client(url, mounts.key_file)
    with pytest.raises(NeverSent):
        await exchange.balances()
    await exchange.close()


@pytest.mark.parametrize(
    ("order_id", "paths"),
    [
        ("ord\x01", ["/v1/orders/ord%01"]),
        ("?all=1", ["/v1/orders/%3Fall%3D1"]),
        ("a/../b#c", ["/v1/orders/a%2F..%2Fb%23c"]),
        ("", []),
        ("..", []),
        ("x" * 70_000, []),
    ],
    ids=["control character", "query", "path", "empty", "parent", "long"],
)
async def test_an_id_of_the_exchange_is_one_segment_of_the_path(
    mounts: AgentFolder,
    emitter: Emitter,
    monkeypatch: pytest.MonkeyPatch,
    order_id: str,
    paths: list[str],
) -> None:
    sent = []

    async def answer(_: object, request: httpx2.Request, *, deadline: float) -> bounded_http.Answer:
        sent.append(request.url.raw_path.decode())
        return bounded_http.Answer(status=500, reason="", headers=httpx2.Headers(), content=b"")

    monkeypatch.setattr(bounded_http, "answer", answer)
    exchange = client("http://exchange", mounts.key_file)
    with pytest.raises(ExchangeError):
        await exchange.cancel_order(order_id)
    await exchange.close()
    assert sent == paths


@pytest.mark.parametrize("key", ["pf_first_key\npf_second_key", "pf_first\x00key"])
async def test_a_key_with_control_characters_is_not_sent_and_not_shown(
    mounts: AgentFolder, emitter: Emitter, key: str
) -> None:
    mounts.key_file.write_text(key)
    async with RawServer(nothing) as server:
        exchange = client(server.url, mounts.key_file)
        with pytest.raises(NoApiKey, match="more than one line") as raised:
            await exchange.balances()
        await exchange.close()
        assert not server.requests
    assert "first" not in str(raised.value)
