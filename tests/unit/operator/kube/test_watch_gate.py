from types import SimpleNamespace

import aiohttp
import orjson
import pytest
from yarl import URL

from purpleflea_operator import timings
from purpleflea_operator.kube.watch_gate import WatchGate, WatchRefusedError

PODS, NODES = "/api/v1/pods", "/api/v1/nodes"
EVENT = b'{"type":"ADDED","object":{"metadata":{"name":"a"}}}\n'
START_OVER = 410


class Content:
    def __init__(self, *chunks):
        self.chunks = chunks
        self.total_raw_bytes = sum(len(chunk) for chunk in chunks)

    async def iter_chunked(self, size):
        for chunk in self.chunks:
            yield chunk

    async def read(self, limit):
        return b"".join(self.chunks)[:limit]


def response(*chunks, status=200, headers=None, content_type="application/json"):
    return SimpleNamespace(
        status=status,
        headers=headers or {},
        content=Content(*chunks),
        content_type=content_type,
        release=lambda: None,
    )


class Server:
    """An API server with a clock, which the delays of the gate advance."""

    def __init__(self):
        self.now = 0.0
        self.at = []
        self.gate = WatchGate(clock=lambda: self.now, jitter=lambda: 0.999, sleep=self.sleep)
        self.gate.add_paths((PODS, NODES))
        self.gate.add_observer(self)
        self.listed, self.refused = [], []

    async def sleep(self, seconds):
        self.now += seconds

    def on_listed(self, path):
        self.listed.append(path)

    def on_refused(self, path, *, is_refused):
        self.refused.append((path, is_refused))

    async def request(self, answer, path=PODS, *, watch=True):
        async def handler(_):
            self.at.append(self.now)
            if isinstance(answer, Exception):
                raise answer
            return answer

        url = URL(f"http://x{path}").with_query({"watch": "true"} if watch else {})
        return await self.gate(SimpleNamespace(url=url, method="GET"), handler)

    async def watch(self, *chunks, lasting=0.0):
        stream = await self.request(response(*chunks))
        lines = [chunk async for chunk in stream.content.iter_chunked(1)]
        self.now += lasting
        return b"".join(lines)


@pytest.fixture
def server():
    return Server()


async def test_watches_that_end_at_once_are_opened_at_most_five_times_a_minute(server):
    while server.now < 3600:
        await server.watch()
    assert len(server.at) < 200
    assert max(b - a for a, b in zip(server.at, server.at[1:], strict=False)) <= 20


async def test_a_short_watch_with_events_is_opened_again_within_half_a_second(server):
    for _ in range(20):
        await server.watch()
    for _ in range(20):
        assert await server.watch(EVENT) == EVENT
    delays = [b - a for a, b in zip(server.at, server.at[1:], strict=False)]
    assert max(delays[-18:]) <= 0.5
    assert min(delays[-18:]) >= 0.25


async def test_a_watch_that_was_open_for_long_is_opened_again_without_a_delay(server):
    for _ in range(20):
        await server.watch()
    await server.watch(lasting=300)
    before = server.now
    await server.watch(lasting=300)
    assert server.at[-1] == before


@pytest.mark.parametrize("status", [400, 403, 404, 429, 500, 503])
async def test_a_request_that_is_not_served_becomes_a_connection_error(server, status):
    with pytest.raises(aiohttp.ClientConnectionError, match="no luck") as raised:
        await server.request(response(b'{"message":"no luck"}', status=status))
    assert isinstance(raised.value, WatchRefusedError)
    assert raised.value.status == status
    assert server.gate.failures() == {PODS: f"{status}: no luck", NODES: ""}
    assert server.refused == ([(PODS, True)] if status in (403, 404) else [])
    server.now += 100
    assert server.gate.refused_s(PODS) == (100 if status in (403, 404) else 0)
    await server.watch(EVENT)
    assert server.gate.failures() == {PODS: "", NODES: ""}
    assert server.gate.refused_s(PODS) == 0


async def test_refused_requests_of_one_path_do_not_delay_another(server):
    for _ in range(10):
        with pytest.raises(WatchRefusedError):
            await server.request(response(status=404))
    assert server.at[-1] > 60
    before = server.now
    await server.request(response(), NODES)
    assert server.at[-1] == before


async def test_a_list_that_is_not_json_is_retried(server):
    with pytest.raises(WatchRefusedError):
        await server.request(response(b"<html>", content_type="text/html"), watch=False)
    assert server.listed == []
    await server.request(response(b"{}"), watch=False)
    assert server.listed == [PODS]


async def test_retry_after_of_the_server_is_the_shortest_delay(server):
    with pytest.raises(WatchRefusedError):
        await server.request(response(status=429, headers={"Retry-After": "12"}))
    await server.watch()
    assert server.at == [0, 12]


async def test_a_broken_connection_is_a_failure(server):
    with pytest.raises(aiohttp.ClientConnectionError):
        await server.request(aiohttp.ClientConnectionError("reset"))
    assert "reset" in server.gate.failures()[PODS]


async def test_a_401_reaches_kopf_because_kopf_then_reads_the_credentials(server):
    assert (await server.request(response(status=401))).status == 401
    assert server.gate.failures()[PODS] == ""


async def test_an_expired_version_in_the_status_code_starts_the_watch_over(server):
    stream = await server.request(response(b"gone", status=410))
    lines = [chunk async for chunk in stream.content.iter_chunked(1)]
    assert stream.status == 200
    assert orjson.loads(b"".join(lines))["object"]["code"] == START_OVER


@pytest.mark.parametrize(
    "error",
    [
        b'{"type":"ERROR","object":{"code":500,"message":"no leader"}}\n',
        b'{"type":"ERROR","object":null}\n',
        b'{"type":"ERROR",\n',
    ],
)
async def test_an_error_in_a_stream_starts_the_watch_over_and_is_a_failure(server, error):
    first, last = (await server.watch(EVENT + error + EVENT)).splitlines()
    assert first + b"\n" == EVENT
    assert orjson.loads(last)["object"]["code"] == START_OVER
    await server.request(response(b"{}"), watch=False)
    assert server.at[1] > 0
    assert server.listed == [PODS]


async def test_an_expired_version_in_a_stream_is_not_a_failure(server, caplog):
    await server.watch(b'{"type":"ERROR","object":{"code":410}}\n')
    await server.request(response(b"{}"), watch=False)
    assert "a watch fails" not in caplog.text
    assert server.at[1] <= timings.WATCH_BACKOFF_BASE_S


async def test_an_object_that_contains_the_text_of_an_error_is_not_an_error(server):
    line = b'{"type":"ADDED","object":{"spec":{"a":{"type":"ERROR"}}}}\n'
    assert await server.watch(line) == line


async def test_lines_are_complete_whatever_the_chunks_are(server):
    whole = EVENT * 3
    chunks = [whole[index : index + 7] for index in range(0, len(whole), 7)]
    assert await server.watch(*chunks, b'{"type":"ADDED","obj') == whole


async def test_a_failure_is_logged_when_it_starts_and_when_it_ends(server, caplog):
    caplog.set_level("INFO")
    for _ in range(5):
        with pytest.raises(WatchRefusedError):
            await server.request(response(status=404))
    await server.watch(EVENT, lasting=10)
    await server.watch(EVENT, lasting=10)
    assert [record.message for record in caplog.records] == [
        "a watch fails; retrying",
        "a watch works again",
    ]
