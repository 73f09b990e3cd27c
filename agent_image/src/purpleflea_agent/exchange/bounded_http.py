"""One HTTP request with a deadline for the whole answer and a bound for its size, for every dialect.

The timeouts of the client are per read, so an answer of one byte per second satisfies each of them without an end. An
answer that breaks a bound is like a lost answer: the request may have had an effect. This module repeats nothing.
"""

import asyncio
import zlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx2

from purpleflea_agent.exchange.errors import NeverSent, OutcomeUnknown
from purpleflea_sdk.telemetry import redaction

DEADLINE_S = 6.0
"""Longest time from a call to the last byte of its answer; connecting and a repetition after a 401 included."""
TIMEOUT = httpx2.Timeout(DEADLINE_S, connect=3.0)
MAX_BODY_BYTES = 512 * 1024
"""Longest body, after decompression. Usual answers have at most some 10 kB. A list of the most rows that fit takes
0.9 s to parse."""
MAX_PARTS = 10_000
"""Largest number of parts of a body. Parts of one byte cost the event loop 30 us each without a pause."""
HEADERS = {"Accept-Encoding": "identity"}
"""The answers are small. A gateway may compress anyway, so the usual codings are accepted."""
ZLIB_OR_GZIP = 32 + zlib.MAX_WBITS
COMPRESSED = ("gzip", "x-gzip", "deflate")

CONNECTION_ERRORS = (
    httpx2.ConnectError,
    httpx2.ConnectTimeout,
    httpx2.PoolTimeout,
    httpx2.UnsupportedProtocol,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A complete answer."""

    status: int
    reason: str
    headers: httpx2.Headers
    content: bytes

    @property
    def is_success(self) -> bool:
        """True for a 2xx status."""
        return 200 <= self.status < 300

    @property
    def is_client_error(self) -> bool:
        """True for a 4xx status."""
        return 400 <= self.status < 500


async def answer(client: httpx2.AsyncClient, request: httpx2.Request, *, deadline: float) -> Answer:
    """Send a request once. `deadline` is a time of the event loop's clock; redirects are not followed.

    Raises:
        NeverSent: No connection was made.
        OutcomeUnknown: There was no complete and readable answer within the bounds.
    """
    path = request.url.path
    try:
        async with asyncio.timeout_at(deadline):
            response = await client.send(request, stream=True, follow_redirects=False)
            try:
                content = await _body(response)
            finally:
                await response.aclose()
    except CONNECTION_ERRORS as error:
        raise NeverSent(f"{request.url.host} cannot be reached: {_text(error)}") from error
    except (TimeoutError, httpx2.TimeoutException) as error:
        raise OutcomeUnknown(f"{path}: no answer in time", error_type="timeout") from error
    except (OverflowError, ExceptionGroup) as error:  # the port of the URL is beyond 65535
        raise NeverSent(f"{request.url.host} has an invalid port") from error
    except httpx2.HTTPError as error:
        raise OutcomeUnknown(
            f"{path}: connection lost: {_text(error)}", error_type="connection"
        ) from error
    return Answer(
        status=response.status_code,
        reason=response.reason_phrase,
        headers=response.headers,
        content=content,
    )


async def _body(response: httpx2.Response) -> bytes:
    body, parts = bytearray(), 0
    # Not aiter_bytes, because it decompresses a part of any ratio at once.
    async for part in _decompressed(response.aiter_raw(), _coding(response)):
        parts += 1
        body += part
        if len(body) > MAX_BODY_BYTES:
            raise _unusable(f"the answer has more than {MAX_BODY_BYTES} bytes")
        if parts > MAX_PARTS:
            raise _unusable(f"the answer has more than {MAX_PARTS} parts")
    return bytes(body)


async def _decompressed(parts: AsyncIterator[bytes], coding: str) -> AsyncIterator[bytes]:
    """Yield the parts without their coding, and at most one byte more than is allowed from each of them."""
    if coding == "identity":
        async for part in parts:
            yield part
        return
    if coding not in COMPRESSED:
        raise _unusable(f"the answer has the content coding {coding[:40]!r}")
    decompressor, is_empty = zlib.decompressobj(ZLIB_OR_GZIP), True
    async for part in parts:
        is_empty = False
        if decompressor.eof:
            raise _unusable("the compressed answer has more bytes after its end")
        try:
            yield decompressor.decompress(part, MAX_BODY_BYTES + 1)
        except zlib.error as error:
            raise _unusable(f"the answer cannot be decompressed: {error}") from error
    if not decompressor.eof and not is_empty:
        raise _unusable("the compressed answer is cut off")


def _coding(response: httpx2.Response) -> str:
    return str(response.headers.get("Content-Encoding") or "identity").strip().lower()


def _unusable(problem: str) -> OutcomeUnknown:
    return OutcomeUnknown(problem, error_type="upstream")


def _text(error: httpx2.HTTPError) -> str:
    return redaction.redact(str(error) or type(error).__name__)
