"""Answers of Datadog's API, or of the proxy in front of it, are read with a bound, whatever they are."""

import asyncio
import contextlib
import gzip
import json
import tracemalloc
import zlib

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from purpleflea_operator.datadog.client import errors, listing, transport
from purpleflea_operator.datadog.client.client import HttpDatadogClient
from purpleflea_operator.datadog.client.models import ListFilter
from purpleflea_operator.datadog.client.transport import BODY_LIMIT, Keys, Transport, session
from purpleflea_operator.datadog.definitions.objects import ObjectKind

KEYS = Keys(api="a" * 32, app="b" * 40)
MEMORY = 3 * BODY_LIMIT
FILTER = ListFilter(tag="managed:x", service="s", notebook="n")


@contextlib.asynccontextmanager
async def a_client(handler):
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", handler)
    async with TestServer(app) as server, session([], user_agent="test") as http:
        yield HttpDatadogClient(Transport(http, str(server.make_url("/")), KEYS))


def compressed(content, encoding):
    """Return the content, with each part of it compressed."""
    if encoding == "gzip":
        return gzip.compress(content)
    return zlib.compress(content)


def whole(body, **headers):
    async def respond(_):
        return web.Response(body=body, headers=headers)

    return respond


def endless(chunk, *, status=200, **headers):
    async def respond(request):
        response = web.StreamResponse(status=status, headers=headers)
        await response.prepare(request)
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            while True:
                await response.write(chunk)
                await asyncio.sleep(0)
        return response

    return respond


def an_endless_gzip():
    """Return a handler whose response decompresses to zeros without an end."""

    async def respond(request):
        stream = zlib.compressobj(1, zlib.DEFLATED, 31)
        response = web.StreamResponse(headers={"Content-Encoding": "gzip"})
        await response.prepare(request)
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            while True:
                chunk = stream.compress(ZEROS[:1_000_000]) + stream.flush(zlib.Z_SYNC_FLUSH)
                await response.write(chunk)
                await asyncio.sleep(0)
        return response

    return respond


ZEROS = b"0" * (12 * BODY_LIMIT)
ANSWERS = {
    "a large body": endless(b"0" * 65_536, **{"Content-Length": str(10**12)}),
    "a body without an end": endless(b"0" * 65_536),
    "white space without an end": endless(b" " * 65_536),
    "gzip of zeros": whole(compressed(ZEROS, "gzip"), **{"Content-Encoding": "gzip"}),
    "deflate of zeros": whole(compressed(ZEROS, "deflate"), **{"Content-Encoding": "deflate"}),
    "gzip without an end": an_endless_gzip(),
    "gzip that is none": whole(b"0" * 100, **{"Content-Encoding": "gzip"}),
    "an error without an end": endless(b"0" * 65_536, status=500),
    "deep JSON": whole(b"[" * 500_000),
    "deep JSON that is complete": whole(b"[" * 100_000 + b"]" * 100_000),
    "no JSON": whole(b"<html>"),
    "a long header": whole(b"{}", **{"X-Long": "x" * 20_000}),
}


@pytest.mark.parametrize("respond", ANSWERS.values(), ids=ANSWERS)
async def test_an_answer_without_a_bound_is_unreachable_and_costs_bounded_memory(respond):
    async with a_client(respond) as client:
        tracemalloc.start()
        try:
            with pytest.raises(errors.Unreachable):
                await client.validate()
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    # The stand-in server is in the same process, so its own body counts too.
    assert peak < MEMORY


async def test_a_slow_answer_ends_with_the_timeout(monkeypatch):
    monkeypatch.setattr(transport, "TIMEOUT", aiohttp.ClientTimeout(total=0.3))

    async def drip(request):
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(aiohttp.ClientError, ConnectionError):
            while True:
                await response.write(b" ")
                await asyncio.sleep(0.02)
        return response

    async with a_client(drip) as client:
        with pytest.raises(errors.Unreachable, match="Timeout"):
            await client.validate()


async def test_a_compressed_answer_of_usual_size_is_read():
    monitor = {"id": 7, "name": "n", "type": "query alert", "query": "q", "options": {}}
    body = compressed(json.dumps(monitor).encode(), "gzip")
    async with a_client(whole(body, **{"Content-Encoding": "gzip"})) as client:
        found = await client.read(ObjectKind.MONITOR, "7")
    assert found is not None


@pytest.mark.parametrize("kind", [ObjectKind.MONITOR, ObjectKind.DASHBOARD])
async def test_pages_without_an_end_are_listed_up_to_a_bound(kind, monkeypatch):
    monkeypatch.setattr(listing, "PAGE_SIZE", 10)
    monkeypatch.setattr(listing, "MAX_OBJECTS", 50)
    pages = []

    async def page(request):
        pages.append(request.path)
        items = [{"id": number} for number in range(10)]
        return web.json_response(items if "monitor" in request.path else {"dashboards": items})

    async with a_client(page) as client:
        with pytest.raises(errors.Unreachable, match="more than 50 objects"):
            await client.list_objects(FILTER, [kind])
    assert len(pages) == 6


@pytest.mark.parametrize(
    "kind", [kind for kind in listing.LIST_CALLS if kind != ObjectKind.SCANNER]
)
@pytest.mark.parametrize("answer", [[1], {"data": 5}, {"data": [7]}, "text", 3, {"other": {}}])
async def test_an_answer_of_another_form_is_unreachable_or_empty_and_no_traceback(kind, answer):
    async with a_client(whole(json.dumps(answer).encode())) as client:
        with contextlib.suppress(errors.Unreachable):
            await client.list_objects(FILTER, [kind])
        with contextlib.suppress(errors.Unreachable):
            await client.read(kind, "7")
        with contextlib.suppress(errors.Unreachable):
            await client.update(kind, "7", {"name": "n", "data": {"type": "t", "attributes": {}}})
        with contextlib.suppress(errors.Unreachable):
            await client.deployment_events.has_event("a:b", now_s=1_000_000)
