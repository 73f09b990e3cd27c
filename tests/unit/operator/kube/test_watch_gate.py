from types import SimpleNamespace

import aiohttp
import orjson
import pytest
from yarl import URL

from purpleflea_operator import timings
from purpleflea_operator.kube import listing
from purpleflea_operator.kube.resources import NODE, POD
from purpleflea_operator.kube.watch_gate import WatchGate, WatchRefusedError
from purpleflea_operator.kube.watch_state import WatchStates

PODS, NODES = "/api/v1/pods", "/api/v1/nodes"
EVENT = b'{"type":"ADDED","object":{"metadata":{"uid":"a","resourceVersion":"5"}}}\n'
BOOKMARK = b'{"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"5"}}}\n'
START_OVER = 410


class Content:
    def __init__(self, *chunks):
        self.chunks = chunks
        self.total_raw_bytes = sum(len(chunk) for chunk in chunks)

    async def iter_chunked(self, size):
        for chunk in self.chunks:
            yield chunk

    async def read(self, limit=-1):
        whole = b"".join(self.chunks)
        return whole if limit < 0 else whole[:limit]


def response(*chunks, status=200, headers=None, content_type="application/json"):
    return SimpleNamespace(
        status=status,
        headers=headers or {},
        content=Content(*chunks),
        content_type=content_type,
        release=lambda: None,
        close=lambda: None,
    )


class Server:
    """An API server with a clock, which the delays of the gate advance."""

    def __init__(self):
        self.now = 0.0
        self.at = []
        self.states = WatchStates(clock=lambda: self.now, jitter=lambda: 0.999)
        self.gate = WatchGate(self.states, self, sleep=self.sleep)
        self.gate.add(POD, [("", PODS)])
        self.gate.add(NODE, [("", NODES)])
        self.objects, self.listed, self.refused = [], [], []

    async def sleep(self, seconds):
        self.now += seconds

    def on_event(self, path, event_type, manifest):
        self.objects.append((path, event_type, manifest["metadata"]["uid"]))

    def on_listed(self, path, listing):
        self.listed.append((path, set(listing.uids), listing.version))

    def on_refused(self, path, *, status):
        self.refused.append((path, status))

    async def list(self, answer, token="", path=PODS):
        """Return what kopf reads: the version, the token and the objects."""
        page = await self.request(answer, path, watch=False, token=token)
        seen = orjson.loads(await page.content.read())
        return seen["metadata"]["resourceVersion"], seen["metadata"]["continue"], seen["items"]

    async def request(self, answer, path=PODS, *, watch=True, token=""):
        async def handler(request):
            self.at.append(self.now)
            if callable(answer):
                return answer(request)
            if isinstance(answer, Exception):
                raise answer
            return answer

        url = URL(f"http://x{path}").with_query(
            {"watch": "true"} if watch else {"continue": token} if token else {}
        )
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
        assert await server.watch(EVENT) == BOOKMARK
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
    assert server.states.failures() == {PODS: f"{status}: no luck", NODES: ""}
    assert server.refused == ([(PODS, status)] if status in (403, 404) else [])
    server.now += 100
    assert server.states.refused_s([PODS]) == [100 if status in (403, 404) else 0]
    await server.watch(EVENT)
    assert server.states.failures() == {PODS: "", NODES: ""}
    assert server.states.refused_s([PODS]) == [0]


async def test_refused_requests_of_one_path_do_not_delay_another(server):
    for _ in range(10):
        with pytest.raises(WatchRefusedError):
            await server.request(response(status=404))
    assert server.at[-1] > 60
    before = server.now
    await server.request(response(), NODES)
    assert server.at[-1] == before


def a_page(*uids, version="7", token=""):
    items = [{"metadata": {"uid": uid}} for uid in uids]
    return response(
        orjson.dumps({"metadata": {"resourceVersion": version, "continue": token}, "items": items})
    )


@pytest.mark.parametrize(
    "answer",
    [
        response(b"<html>", content_type="text/html"),
        response(b"<html>"),
        response(b"{}"),
        response(b"[]"),
        response(b"[" * 100_000),
        response(b'{"metadata":{"resourceVersion":"1"},"items":3}'),
        response(b'{"metadata":{"resourceVersion":7}}'),
    ],
)
async def test_a_response_that_is_not_a_list_is_retried(server, answer):
    with pytest.raises(WatchRefusedError):
        await server.request(answer, watch=False)
    assert (server.listed, server.objects) == ([], [])
    assert server.states.failures()[PODS]
    assert await server.list(a_page("a")) == ("7", "", [])
    assert server.listed == [(PODS, {"a"}, 7)]
    assert not server.states.failures()[PODS]


async def test_the_objects_of_a_list_reach_the_observer_and_not_kopf(server):
    assert await server.list(a_page("a", "b", token="t1")) == ("7", "t1", [])
    assert server.listed == []
    assert await server.list(a_page("c"), "t1") == ("7", "", [])
    assert server.objects == [(PODS, None, uid) for uid in "abc"]
    assert server.listed == [(PODS, {"a", "b", "c"}, 7)]


def pages_of(*sizes):
    """Return a function that answers a request with as many of the objects of these sizes as it allows."""
    requested = []

    def answer(request):
        limit = int(request.url.query.get("limit", listing.PAGE_SIZE))
        first = int(request.url.query.get("continue", "0"))
        requested.append(limit)
        items = [
            {"metadata": {"uid": f"{first + number}"}, "text": "x" * size}
            for number, size in enumerate(sizes[first : first + limit])
        ]
        token = f"{first + limit}" if first + limit < len(sizes) else ""
        metadata = {"resourceVersion": "7", "continue": token}
        return response(orjson.dumps({"metadata": metadata, "items": items}))

    return answer, requested


@pytest.mark.parametrize(
    ("sizes", "requested"),
    [
        ([1000] * 60, [50, 50]),
        ([30_000] * 12, [50, 12, 3, 3, 3, 3]),
        # An object may be larger than a page, and the pages grow again behind it.
        (
            [1] * 8 + [300_000] + [1] * 40,
            [50, 12, 3, 6, 1, 2, 4, 1, 2, 1, 2, 1, 1, 2, 4, 8, 16, 32],
        ),
        ([90_000] * 4, [50, 12, 3, 1, 1, 1, 1]),
    ],
)
async def test_large_objects_of_a_list_are_read_in_smaller_pages(
    server, monkeypatch, sizes, requested
):
    monkeypatch.setattr(listing, "PAGE_LIMIT", 100_000)
    answer, limits = pages_of(*sizes)
    token = ""
    while not server.listed:
        _, token, _ = await server.list(answer, token)
    assert limits == requested
    assert server.listed == [(PODS, {str(number) for number in range(len(sizes))}, 7)]
    assert not server.states.failures()[PODS]


async def test_an_object_without_a_bound_is_a_failure_of_its_list(server, monkeypatch):
    monkeypatch.setattr(listing, "PAGE_LIMIT", 1_000)
    monkeypatch.setattr(listing, "LINE_LIMIT", 10_000)
    with pytest.raises(WatchRefusedError):
        await server.list(pages_of(20_000)[0])
    assert "larger than 10000 bytes" in server.states.failures()[PODS]
    assert server.listed == []


async def test_an_empty_list_is_a_complete_list(server):
    assert await server.list(a_page()) == ("7", "", [])
    assert server.listed == [(PODS, set(), 7)]


async def test_a_page_that_fails_is_read_again(server):
    await server.list(a_page("a", token="t1"))
    with pytest.raises(WatchRefusedError):
        await server.request(response(status=500), watch=False, token="t1")
    await server.list(a_page("b"), "t1")
    assert server.listed == [(PODS, {"a", "b"}, 7)]


@pytest.mark.parametrize("status", [200, 410])
async def test_a_list_that_cannot_be_complete_starts_over_and_is_not_reported(server, status):
    if status == 410:
        await server.list(a_page("a", token="t1"))
        answer = response(b'{"message":"expired"}', status=410)
    else:
        # kopf continues a list of which the first page is unknown.
        answer = a_page("b")
    version, token, _ = await server.list(answer, "t1")
    assert (version, token, server.listed) == ("0", "", [])
    stream = await server.watch(EVENT)
    assert orjson.loads(stream)["object"]["code"] == START_OVER
    await server.list(a_page("a"))
    assert server.listed == [(PODS, {"a"}, 7)]
    assert await server.watch(EVENT) == BOOKMARK


async def test_an_object_of_a_list_gets_the_kind_that_it_lacks(server):
    seen = []
    server.on_event = lambda path, event_type, manifest: seen.append(manifest)
    await server.list(a_page("a"))
    assert seen == [{"metadata": {"uid": "a"}, "apiVersion": "v1", "kind": "Pod"}]


@pytest.mark.parametrize("number", [b"18446744073709551616", b"-1e400", b"1e400"])
async def test_a_number_without_a_range_hides_no_object(server, number):
    body = b'{"metadata":{"resourceVersion":"1"},"items":[{"metadata":{"uid":"a"},"x":%b}]}'
    await server.list(response(body % number))
    assert server.listed == [(PODS, {"a"}, 1)]


async def test_retry_after_of_the_server_is_the_shortest_delay(server):
    with pytest.raises(WatchRefusedError):
        await server.request(response(status=429, headers={"Retry-After": "12"}))
    await server.watch()
    assert server.at == [0, 12]


async def test_a_broken_connection_is_a_failure(server):
    with pytest.raises(aiohttp.ClientConnectionError):
        await server.request(aiohttp.ClientConnectionError("reset"))
    assert "reset" in server.states.failures()[PODS]


async def test_a_401_reaches_kopf_because_kopf_then_reads_the_credentials(server):
    assert (await server.request(response(status=401))).status == 401
    assert server.states.failures()[PODS] == ""


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
    (line,) = (await server.watch(EVENT + error + EVENT)).splitlines()
    assert orjson.loads(line)["object"]["code"] == START_OVER
    assert server.objects == [(PODS, "ADDED", "a")]
    await server.list(a_page())
    assert server.at[1] > 0


async def test_an_expired_version_in_a_stream_is_not_a_failure(server, caplog):
    await server.watch(b'{"type":"ERROR","object":{"code":410}}\n')
    await server.list(a_page())
    assert "a watch fails" not in caplog.text
    assert server.at[1] <= timings.WATCH_BACKOFF_BASE_S


async def test_an_object_that_contains_the_text_of_an_error_is_not_an_error(server):
    line = b'{"type":"ADDED","object":{"spec":{"a":{"type":"ERROR"}},"metadata":{"uid":"b"}}}\n'
    assert await server.watch(line) == b""
    assert server.objects == [(PODS, "ADDED", "b")]


async def test_lines_are_complete_whatever_the_chunks_are(server):
    whole = EVENT * 3
    chunks = [whole[index : index + 7] for index in range(0, len(whole), 7)]
    assert await server.watch(*chunks, b'{"type":"ADDED","obj') == BOOKMARK * 3
    assert server.objects == [(PODS, "ADDED", "a")] * 3


async def test_the_events_of_a_watch_reach_the_observer_and_kopf_gets_their_last_version(server):
    deleted = b'{"type":"DELETED","object":{"metadata":{"uid":"b","resourceVersion":"7"}}}\n'
    later = BOOKMARK.replace(b'"5"', b'"9"')
    assert await server.watch(EVENT + deleted) == BOOKMARK.replace(b'"5"', b'"7"')
    assert await server.watch(EVENT + later) == later
    assert server.objects == [(PODS, "ADDED", "a"), (PODS, "DELETED", "b"), (PODS, "ADDED", "a")]


async def test_an_event_without_an_end_starts_the_watch_over(server, monkeypatch):
    monkeypatch.setattr("purpleflea_operator.kube.listing.LINE_LIMIT", 100)
    (line,) = (await server.watch(*(b"x" * 60, b"x" * 60, EVENT))).splitlines()
    assert orjson.loads(line)["object"]["code"] == START_OVER
    await server.list(a_page())
    assert server.at[1] > 0


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
