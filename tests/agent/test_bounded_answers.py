"""Answers of the exchange without an end, too long or too slow: each call ends in time, with little memory."""

import asyncio
import gzip
import itertools
import json
import time
import tracemalloc
import zlib
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from purpleflea_agent.exchange.bounded_http import MAX_BODY_BYTES
from purpleflea_agent.exchange.errors import OutcomeUnknown, Refused
from purpleflea_agent.exchange.key_file import KeyFile
from purpleflea_agent.exchange.port import OrderRequest
from purpleflea_agent.exchange.seed import SeedExchange
from purpleflea_contract.settings import Endpoints
from purpleflea_sdk.telemetry.dogstatsd import Emitter
from support.agent_process import AgentFolder
from support.raw_server import Answer, RawServer

DEADLINE_S = 1.0
MARGIN_S = 15.0
"""Time beyond the deadline that a busy machine may need. Without the deadline, these answers take hours."""
MAX_STALL_S = 1.5
"""Most processor time that the event loop spends without a pause."""
MAX_MEMORY = 32 * 1024 * 1024
DRIP_S = 0.05
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
MEGABYTE = b" " * 1024 * 1024
BALANCES = b'{"balances": {"USDC": {"amount": "5", "usd_value": "5"}}}'


def once(*parts: bytes) -> Answer:
    """Send the parts, and close the connection."""

    async def answer() -> AsyncIterator[bytes]:
        for part in parts:
            yield part

    return answer


def endless(head: bytes, part: bytes) -> Answer:
    """Send the part again and again, as fast as it is read."""

    async def answer() -> AsyncIterator[bytes]:
        yield head
        while True:
            yield part
            await asyncio.sleep(0)

    return answer


def dripping(head: bytes, part: bytes) -> Answer:
    """Send the part again and again, slowly."""

    async def answer() -> AsyncIterator[bytes]:
        if head:
            yield head
        while True:
            yield part
            await asyncio.sleep(DRIP_S)

    return answer


def bomb(coding: str, wbits: int, times: int = 1) -> Answer:
    """Send 256 MiB of zeros, compressed."""
    data = b""
    for _ in range(times):
        compressor = zlib.compressobj(9, zlib.DEFLATED, wbits)
        parts = itertools.repeat(MEGABYTE, 256) if not data else [data]
        data = b"".join([*(compressor.compress(part) for part in parts), compressor.flush()])
    return once(with_coding(coding, data))


def with_coding(coding: str, data: bytes, status: bytes = b"200 OK") -> bytes:
    return (
        b"HTTP/1.1 %b\r\nContent-Type: application/json\r\nContent-Encoding: %b\r\nContent-Length: %d\r\n\r\n%b"
        % (status, coding.encode(), len(data), data)
    )


async def _silence() -> AsyncIterator[bytes]:
    await asyncio.sleep(60)
    yield b""


def silent() -> AsyncIterator[bytes]:
    return _silence()


HOSTILE: dict[str, Answer] = {
    "no answer": silent,
    "a body of one byte at a time": dripping(HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
    "a status line of one byte at a time": dripping(b"", b"H"),
    "a head of one byte at a time": dripping(HEAD + b"X-Slow: ", b"a"),
    "one header at a time": dripping(HEAD, b"X: y\r\n"),
    "one chunk at a time": dripping(CHUNKED, b"1\r\n \r\n"),
    "a chunk size of one digit at a time": dripping(CHUNKED, b"0"),
    "one trailer at a time": dripping(CHUNKED + b"0\r\n", b"X: y\r\n"),
    "informational answers, slowly": dripping(b"", b"HTTP/1.1 102 Processing\r\n\r\n"),
    "informational answers, fast": endless(
        b"", b"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\n" * 500
    ),
    "a body without an end": endless(HEAD + b"\r\n", MEGABYTE),
    "chunks without an end": endless(CHUNKED, b"10000\r\n" + b" " * 65_536 + b"\r\n"),
    "chunks of one byte without an end": endless(CHUNKED, b"1\r\n \r\n" * 5000),
    "a chunk extension without an end": endless(CHUNKED + b"1;", b"x" * 65_536),
    "trailers without an end": endless(CHUNKED + b"0\r\n", b"X: y\r\n" * 1000),
    "a header without an end": endless(HEAD + b"X-Long: ", b"x" * 65_536),
    "headers without an end": endless(HEAD, b"X: y\r\n" * 1000),
    "a length of a terabyte": endless(HEAD + b"Content-Length: 1099511627776\r\n\r\n", MEGABYTE),
    "a length beyond the body": once(HEAD + b"Content-Length: 100000\r\n\r\n" + BALANCES),
    "a length before the end of the body": once(HEAD + b"Content-Length: 20\r\n\r\n" + BALANCES),
    "a negative length": once(HEAD + b"Content-Length: -1\r\n\r\n" + BALANCES),
    "two lengths": once(HEAD + b"Content-Length: 1\r\nContent-Length: 70\r\n\r\n" + BALANCES),
    "a body of one byte too much": once(
        HEAD + b"Content-Length: %d\r\n\r\n" % (MAX_BODY_BYTES + 1), b" " * (MAX_BODY_BYTES + 1)
    ),
    "a gzip bomb": bomb("gzip", 31),
    "a deflate bomb": bomb("deflate", 15),
    "a gzip bomb in chunks": once(
        CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"),
        b"40000\r\n"
        + gzip.compress(MEGABYTE * 256, 9)[:0x40000].ljust(0x40000, b"\0")
        + b"\r\n0\r\n\r\n",
    ),
    "gzip inside of gzip": bomb("gzip, gzip", 31, times=2),
    "gzip inside of a bomb": bomb("gzip", 31, times=2),
    "an unknown coding": once(with_coding("br", BALANCES)),
    "gzip that is cut off": once(with_coding("gzip", gzip.compress(BALANCES)[:-9])),
    "gzip that is not gzip": once(with_coding("gzip", BALANCES)),
    "gzip of nothing without an end": endless(
        CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n"),
        b"%x\r\n%b\r\n" % (len(gzip.compress(b"")), gzip.compress(b"")),
    ),
    "gzip with a body behind it": endless(
        CHUNKED.replace(b"\r\n\r\n", b"\r\nContent-Encoding: gzip\r\n\r\n")
        + b"%x\r\n%b\r\n" % (len(gzip.compress(BALANCES)), gzip.compress(BALANCES)),
        b"10000\r\n" + b" " * 65_536 + b"\r\n",
    ),
    "HTML": once(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>welcome</html>"),
    "HTML without an end": endless(b"HTTP/1.1 200 OK\r\n\r\n", b"<div>" * 1000),
    "a redirect": once(b"HTTP/1.1 302 Found\r\nLocation: /\r\nContent-Length: 0\r\n\r\n"),
    "a redirect without an end": endless(b"HTTP/1.1 307 x\r\nLocation: /\r\n\r\n", MEGABYTE),
    "an upgrade": endless(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", MEGABYTE),
    "another protocol": once(b"SSH-2.0-OpenSSH_9.2\r\n"),
    "a refused key without an end": endless(b"HTTP/1.1 401 x\r\n\r\n", MEGABYTE),
    "a refused key, slowly": dripping(b"HTTP/1.1 401 x\r\nContent-Length: 9999\r\n\r\n", b" "),
    "too many requests without an end": endless(
        b"HTTP/1.1 429 x\r\nRetry-After: nan\r\n\r\n", b"x"
    ),
    "deep nesting": once(HEAD + b"\r\n" + b"[" * 400_000),
    "a number of many digits": once(HEAD + b'\r\n{"balances": ' + b"9" * 400_000 + b"}"),
    "a long list of odd rows": once(HEAD + b'\r\n{"balances": [' + b"1," * 250_000 + b"1]}"),
}


@pytest.fixture
async def server() -> AsyncIterator[RawServer]:
    async with RawServer(once(b"")) as running:
        yield running


@pytest.fixture
async def exchange_client(
    server: RawServer, mounts: AgentFolder, emitter: Emitter
) -> AsyncIterator[SeedExchange]:
    adapter = SeedExchange(
        Endpoints(**server.endpoints),
        key_file=KeyFile(mounts.key_file),
        agent_id="momentum-0",
        deadline_s=DEADLINE_S,
    )
    yield adapter
    await adapter.close()


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_answer_ends_in_time_and_its_outcome_is_unknown(
    server: RawServer, exchange_client: SeedExchange, name: str
) -> None:
    server.answer = HOSTILE[name]
    tracemalloc.start()
    started = time.monotonic()
    try:
        with pytest.raises(OutcomeUnknown):
            await exchange_client.balances()
        took_s, (_, peak) = time.monotonic() - started, tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert took_s < DEADLINE_S + MARGIN_S
    assert peak < MAX_MEMORY


@pytest.mark.parametrize("name", HOSTILE)
async def test_a_hostile_answer_to_an_order_does_not_stall_the_event_loop(
    server: RawServer, exchange_client: SeedExchange, name: str
) -> None:
    server.answer = HOSTILE[name]
    request = OrderRequest(idempotency_key="k", market="BTC-USD", side="buy", size=Decimal(1))
    order = asyncio.create_task(exchange_client.place_order(request))
    longest_s = 0.0
    while not order.done():
        before = time.thread_time()
        await asyncio.wait({order}, timeout=0.01)
        longest_s = max(longest_s, time.thread_time() - before)
    assert isinstance(order.exception(), OutcomeUnknown)
    assert longest_s < MAX_STALL_S


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param([with_coding("identity", BALANCES)], id="identity"),
        pytest.param([with_coding("gzip", gzip.compress(BALANCES))], id="gzip"),
        pytest.param([with_coding("x-gzip", gzip.compress(BALANCES))], id="x-gzip"),
        pytest.param([with_coding("GZIP", gzip.compress(BALANCES))], id="GZIP"),
        pytest.param([with_coding("deflate", zlib.compress(BALANCES))], id="deflate"),
        pytest.param(
            [CHUNKED, *(b"1\r\n%c\r\n" % byte for byte in BALANCES), b"0\r\n\r\n"], id="chunks"
        ),
        pytest.param([HEAD + b"\r\n" + BALANCES.ljust(MAX_BODY_BYTES)], id="longest body"),
        pytest.param([b"HTTP/1.1 103 Early Hints\r\n\r\n", HEAD + b"\r\n" + BALANCES], id="103"),
    ],
)
async def test_a_usual_answer_is_read_in_any_form(
    server: RawServer, exchange_client: SeedExchange, parts: list[bytes]
) -> None:
    server.answer = once(*parts)
    (balance,) = await exchange_client.balances()
    assert (balance.currency, balance.amount) == ("USDC", Decimal(5))


async def test_a_compressed_problem_of_the_exchange_is_a_refusal(
    server: RawServer, exchange_client: SeedExchange
) -> None:
    problem = {
        "type": "urn:purpleflea:trading:problem:no_margin",
        "code": "no_margin",
        "status": 422,
        "title": "x",
        "detail": "no margin",
    }
    data = gzip.compress(json.dumps(problem).encode())
    answer = with_coding("gzip", data, b"422 x").replace(b"/json", b"/problem+json")
    server.answer = once(answer)
    with pytest.raises(Refused, match="no margin"):
        await exchange_client.balances()


async def test_the_repetition_with_a_new_key_has_a_deadline_too(
    server: RawServer, exchange_client: SeedExchange, mounts: AgentFolder
) -> None:
    async def refused_then_silent() -> AsyncIterator[bytes]:
        mounts.key_file.write_text("another-key")
        if server.requests > 1:
            await asyncio.sleep(60)
        yield b"HTTP/1.1 401 x\r\nContent-Length: 0\r\n\r\n"

    server.answer = refused_then_silent
    with pytest.raises(OutcomeUnknown) as raised:
        await exchange_client.balances()
    assert (server.requests, raised.value.error_type) == (2, "timeout")
