"""A reflector has the objects of the server after each fault, and loses none."""

import asyncio
import contextlib

import aiohttp
import orjson
import pytest

from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.watched_kinds import SELECTOR
from purpleflea_operator.kube import listing
from purpleflea_operator.kube.reflector import ApiSession, Reflector, Target, refresh
from purpleflea_operator.kube.resources import CONFIG_MAP
from purpleflea_operator.kube.watch_state import WatchStates
from support.apiserver.faults import Fault
from support.apiserver.server import ApiServer

PATH = "/api/v1/configmaps"
LABELS = {"app.kubernetes.io/managed-by": "purpleflea-operator"}


@pytest.fixture
def server():
    with ApiServer(bookmark_interval_s=0.2) as found:
        yield found


@pytest.fixture(autouse=True)
def fast(monkeypatch):
    monkeypatch.setattr(timings, "WATCH_BACKOFF_BASE_S", 0.02)
    monkeypatch.setattr(timings, "WATCH_BACKOFF_LIMIT_S", 0.1)


class Mirror:
    """The objects that the reflector reported, by UID."""

    def __init__(self):
        self.objects = {}
        self.refusals = []
        self.listings = 0

    def on_event(self, path, event_type, manifest):
        assert manifest["kind"] == "ConfigMap"
        uid = manifest["metadata"]["uid"]
        if event_type == "DELETED":
            self.objects.pop(uid, None)
        else:
            self.objects[uid] = manifest["data"]["text"]

    def on_listed(self, path, result):
        self.listings += 1
        self.objects = {uid: item for uid, item in self.objects.items() if uid in result.uids}

    def on_refused(self, path, *, status):
        self.refusals.append(status)


class Running:
    """A reflector of the ConfigMaps of a server."""

    def __init__(self, server, session):
        self.server = server
        self.mirror = Mirror()
        loop = asyncio.get_running_loop()
        self.states = WatchStates(clock=loop.time, jitter=lambda: 0.5)
        self.states.add([PATH], self.mirror)
        self.state = self.states.get(PATH)
        target = Target(path=PATH, kind=CONFIG_MAP, selector=SELECTOR)
        api = ApiSession(server.url, session)
        self.reflector = Reflector(api, target, self.state, self.mirror)

    async def is_current(self, timeout=10.0):
        """Wait until the reflector has the objects of the server and watches them."""

        def is_same():
            there = {
                item["metadata"]["uid"]: item["data"]["text"]
                for item in self.server.objects("ConfigMap")
                if item["metadata"].get("labels") == LABELS
            }
            return self.mirror.objects == there and not self.state.error

        await self.server.until(is_same, timeout=timeout)


@contextlib.asynccontextmanager
async def a_reflector(server):
    async with aiohttp.ClientSession() as session:
        running = Running(server, session)
        task = asyncio.create_task(running.reflector.run())
        try:
            yield running
        finally:
            task.cancel()
            await asyncio.wait([task])
    assert task.cancelled(), task.exception()


def put(server, name, text="x", labels=LABELS):
    metadata = {"name": name, "namespace": "trading", "labels": labels, "uid": f"uid-{name}"}
    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {"text": text}}
    server.put(body)


async def test_objects_with_the_selector_are_listed_once_and_followed(server):
    put(server, "a")
    put(server, "foreign", labels={})
    async with a_reflector(server) as running:
        await running.is_current()
        put(server, "b")
        put(server, "a", "changed")
        await running.is_current()
        server.delete("ConfigMap", "trading", "a")
        await running.is_current()
        server.drop_watches()
        put(server, "c")
        await running.is_current()
    assert len(server.lists()) == 1


@pytest.mark.parametrize("objects", [0, 1, 4, 5, 9])
async def test_a_list_is_read_in_pages(server, monkeypatch, objects):
    monkeypatch.setattr(listing, "PAGE_SIZE", 4)
    for number in range(objects):
        put(server, f"a-{number}")
    async with a_reflector(server) as running:
        await running.is_current()
        await server.until(lambda: running.state.is_listed)
    assert len(server.lists()) == max(1, -(-objects // 4))


def expired(server):
    server.compact()
    server.drop_watches(cut=True)


def an_error(code):
    status = {"kind": "Status", "code": code, "message": "no leader"}
    return orjson.dumps({"type": "ERROR", "object": status})


FAULTS = {
    "the stream ends": (lambda server: server.drop_watches(), 0),
    "the connection breaks": (lambda server: server.drop_watches(cut=True), 0),
    "the version expired": (expired, 1),
    "the version expired in the stream": (lambda server: server.send_line(an_error(410)), 1),
    "an error in the stream": (lambda server: server.send_line(an_error(500)), 1),
    "a line that is not JSON": (lambda server: server.send_line(b"{not"), 1),
    "a line that is not an event": (lambda server: server.send_line(b"[]"), 1),
    "an event without an object": (lambda server: server.send_line(b'{"type":"ADDED"}'), 1),
    "an unknown event": (lambda server: server.send_line(b'{"type":"NEW","object":{}}'), 0),
    "a line without an end": (lambda server: server.send_line(b"x" * 40_000), 1),
}

MISSED = ("the stream ends", "the connection breaks", "the version expired")
"""Faults before which the stream reports no deletion."""


@pytest.mark.parametrize("empties", [False, True], ids=["some left", "none left"])
@pytest.mark.parametrize("fault", FAULTS)
async def test_after_each_fault_of_a_stream_the_objects_are_complete(
    server, monkeypatch, fault, empties
):
    break_, lists = FAULTS[fault]
    monkeypatch.setattr(listing, "LINE_LIMIT", 20_000)
    put(server, "stays")
    put(server, "goes")
    async with a_reflector(server) as running:
        await running.is_current()
        await server.until(lambda: server.open_watches() == 1)
        server.clear()
        if fault in MISSED:
            server.stall_watches()
        server.delete("ConfigMap", "trading", "goes")
        if empties:
            server.delete("ConfigMap", "trading", "stays")
        break_(server)
        await server.until(lambda: len(server.lists()) == lists)
        await running.is_current()
        put(server, "later")
        await running.is_current()


@pytest.mark.parametrize("status", [400, 401, 403, 404, 409, 410, 429, 500, 503, 504])
@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_after_each_refusal_the_objects_are_complete(server, verb, status):
    put(server, "a")
    server.fail_next(verb=verb, status=status, times=3)
    async with a_reflector(server) as running:
        await running.is_current()
        await server.until(lambda: server.open_watches() == 1)
        put(server, "b")
        await running.is_current()
    refusals = running.mirror.refusals
    assert (refusals[:1], refusals[-1:]) == (([status], [0]) if status in (403, 404) else ([], []))


@pytest.mark.parametrize("verb", ["list", "watch"])
async def test_after_a_broken_connection_the_objects_are_complete(server, verb):
    put(server, "a")
    server.cut(verb=verb, times=3)
    async with a_reflector(server) as running:
        await running.is_current()
        await server.until(lambda: server.open_watches() == 1)


async def test_a_watch_that_sends_nothing_is_opened_again_from_its_version(server, monkeypatch):
    monkeypatch.setattr(timings, "WATCH_INACTIVE_S", 0.5)
    put(server, "a")
    async with a_reflector(server) as running:
        await running.is_current()
        await server.until(lambda: server.open_watches() == 1)
        server.stall_watches()
        put(server, "b")
        await running.is_current()
    assert len(server.lists()) == 1


async def test_watches_that_end_at_once_are_opened_with_backoff(server, monkeypatch):
    monkeypatch.setattr(timings, "WATCH_BACKOFF_LIMIT_S", 1.0)
    put(server, "a")
    server.end_new_watches()
    async with a_reflector(server) as running:
        await running.is_current()
        await asyncio.sleep(2)
        assert len(server.watches()) < 10
        server.stop_ending_new_watches()
        put(server, "b")
        await running.is_current()
    assert len(server.lists()) == 1


async def test_retry_after_is_obeyed(server):
    failed = server.fail_next(verb="list", status=429, retry_after=1)
    began = asyncio.get_running_loop().time()
    async with a_reflector(server) as running:
        await server.until(lambda: running.state.is_listed)
    assert failed.hits == 1
    assert asyncio.get_running_loop().time() - began >= 1


async def test_a_large_object_arrives_complete(server):
    async with a_reflector(server) as running:
        await server.until(lambda: server.open_watches() == 1)
        put(server, "a", "\u00e9" * 1_000_000)
        await running.is_current()
        put(server, "b")
        await running.is_current()
    assert len(server.lists()) == 1


@pytest.mark.parametrize("status", [403, 404])
async def test_a_list_after_a_takeover_reports_its_refusal_or_outlasts_it(server, status):
    put(server, "a")
    server.plan(Fault(effect="fail", status=status, where={"verb": "list"}, times=3))
    target, mirror = Target(path=PATH, kind=CONFIG_MAP, selector=SELECTOR), Mirror()
    async with aiohttp.ClientSession() as session:
        api = ApiSession(server.url, session)
        found = await refresh(api, target, mirror, jitter=lambda: 0.0)
        assert (found.path, found.kind, found.status) == (PATH, CONFIG_MAP, status)
        assert mirror.listings == 0
        await refresh(api, target, mirror, jitter=lambda: 0.0, outlasts_refusals=True)
    assert (len(mirror.objects), mirror.listings) == (1, 1)
    assert len(server.lists()) == 4


async def test_large_objects_are_listed_in_smaller_pages(server, monkeypatch):
    monkeypatch.setattr(listing, "PAGE_LIMIT", 100_000)
    for number in range(12):
        put(server, f"large-{number}", "x" * 30_000)
    async with a_reflector(server) as running:
        await running.is_current()
        sizes = [int(item.query["limit"]) for item in server.lists()]
    # 12 objects of 30 kB need four pages of three.
    assert sizes == [50, 12, 3, 3, 3, 3]


async def test_one_object_may_be_larger_than_a_page(server, monkeypatch):
    monkeypatch.setattr(listing, "PAGE_LIMIT", 10_000)
    put(server, "small")
    put(server, "large", "x" * 30_000)
    async with a_reflector(server) as running:
        await running.is_current()


async def test_an_object_without_a_bound_is_an_error_of_its_kind(server, monkeypatch):
    monkeypatch.setattr(listing, "PAGE_LIMIT", 10_000)
    monkeypatch.setattr(listing, "LINE_LIMIT", 20_000)
    put(server, "large", "x" * 30_000)
    async with a_reflector(server) as running:
        await server.until(lambda: "larger than 20000 bytes" in running.state.error)
