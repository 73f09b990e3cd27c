import asyncio

import pytest

from purpleflea_operator.kube import errors
from purpleflea_operator.kube.resources import AGENT, CSI_DRIVER, POD
from purpleflea_operator.kube.watch_state import WatchStates
from purpleflea_operator.runtime import cache_sync
from purpleflea_operator.runtime.cache_sync import CacheSync
from purpleflea_operator.runtime.lifecycle import StartError


class Lists:
    """Initial lists that fail with these errors, one after the other. Delays advance the clock."""

    def __init__(self, *failures):
        self.failures = list(failures)
        self.calls = 0
        self.now = 0.0
        self.delays = []
        self.texts = []
        self.sync = CacheSync(clock=lambda: self.now, jitter=lambda: 0.999)

    async def sleep(self, seconds):
        self.texts.append(self.sync.waiting_for)
        self.delays.append(seconds)
        self.now += seconds

    async def read(self):
        self.calls += 1
        if self.failures:
            raise self.failures.pop(0)


@pytest.fixture
def run(monkeypatch):
    async def run(lists):
        monkeypatch.setattr(cache_sync.asyncio, "sleep", lists.sleep)
        return await lists.sync.read(lists.read)

    return run


def failure(kind, text="failed", path="/api/v1/pods"):
    error = kind(text, 0.0) if kind is errors.Throttled else kind(text)
    error.path = path
    return error


@pytest.mark.parametrize("kind", [errors.Unavailable, errors.Throttled, errors.Conflict])
async def test_passing_errors_are_retried_with_a_limited_delay(run, kind):
    lists = Lists(*(failure(kind) for _ in range(30)))
    await run(lists)
    assert lists.calls == 31
    assert lists.delays[0] <= 0.5
    assert 10 < max(lists.delays) <= 20
    assert set(lists.texts) == {"waiting for the list of pods: failed"}
    assert lists.sync.waiting_for == ""


async def test_an_api_server_that_never_answers_ends_the_start(run):
    lists = Lists(*(failure(errors.Unreachable) for _ in range(30)))
    with pytest.raises(StartError, match="cannot be reached"):
        await run(lists)
    assert 5 < lists.now < 15


async def test_an_api_server_that_answered_once_may_be_unreachable_for_long(run):
    lists = Lists(failure(errors.Unavailable), *(failure(errors.Unreachable) for _ in range(30)))
    await run(lists)
    assert lists.calls == 32


async def test_retry_after_delays_the_retry(run):
    lists = Lists(errors.Throttled("later", 7.0))
    await run(lists)
    assert lists.delays[0] >= 7


def states(*paths):
    known = WatchStates(clock=lambda: 0.0, jitter=lambda: 0.5)
    known.add(paths, Ignored())
    return known.of(paths)


class Ignored:
    def on_refused(self, path, *, status):
        pass


@pytest.fixture
def sync():
    return CacheSync(clock=lambda: 0.0, jitter=lambda: 0.5)


async def test_the_caches_are_complete_when_each_path_is_listed_once(sync):
    pods, agents = states("/api/v1/pods"), states("/agents")
    waiting = asyncio.create_task(sync.wait({POD: pods, AGENT: agents}))
    pods[0].fail("etcd has no leader", status=503)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert sync.waiting_for == "waiting for the list of pods: 503: etcd has no leader"
    pods[0].on_list_end()
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not waiting.done()
    assert sync.waiting_for == ""
    agents[0].on_list_end()
    await waiting


@pytest.mark.parametrize(
    ("status", "text"),
    [(403, "missing permission: no pods; install"), (404, "purplefleaagents.* is not installed")],
)
async def test_a_kind_that_is_refused_everywhere_ends_the_start(sync, status, text):
    paths = states("/a", "/b")
    for state in paths:
        state.fail("no pods", status=status, is_refusal=True)
    with pytest.raises(StartError, match=text):
        await sync.wait({POD: paths})


async def test_a_namespace_that_is_refused_is_left_out(sync):
    lost, listed = paths = states("/a", "/b")
    lost.fail("no pods", status=403, is_refusal=True)
    listed.on_list_end()
    await sync.wait({POD: paths})


async def test_an_optional_kind_may_be_refused_everywhere(sync):
    paths = states("/a")
    paths[0].fail("no drivers", status=403, is_refusal=True)
    await sync.wait({CSI_DRIVER: paths})


async def test_two_waiters_are_served_by_the_same_paths(sync):
    (pods,), (agents,) = states("/api/v1/pods"), states("/agents")
    control = asyncio.create_task(cache_sync.listed([agents]))
    everything = asyncio.create_task(sync.wait({POD: [pods], AGENT: [agents]}))
    await asyncio.sleep(0)
    agents.on_list_end()
    await control
    assert not everything.done()
    assert not sync.completed.is_set()
    pods.on_list_end()
    await everything
    assert sync.completed.is_set()
    assert agents.listeners == pods.listeners == set()


@pytest.mark.parametrize("is_refused", [False, True])
async def test_a_late_path_is_waited_for_until_its_limit_only(sync, is_refused):
    (agents,), (halts,) = states("/agents"), states("/halts")
    waiting = asyncio.create_task(
        sync.wait({AGENT: [agents]}, [halts], 0.0 if not is_refused else 1e6)
    )
    halts.fail("etcd has no leader", status=403 if is_refused else 503, is_refusal=is_refused)
    await asyncio.sleep(0)
    assert not waiting.done()
    agents.on_list_end()
    await waiting
    assert sync.completed.is_set()
    assert not halts.is_listed
    assert sync.waiting_for == ""


async def test_a_late_path_is_named_while_it_is_waited_for(sync):
    (agents,), (halts,) = states("/agents"), states("/halts")
    agents.on_list_end()
    halts.fail("etcd has no leader", status=503)
    waiting = asyncio.create_task(sync.wait({AGENT: [agents]}, [halts], 1e6))
    await asyncio.sleep(0)
    assert sync.waiting_for == "waiting for the list of halts: 503: etcd has no leader"
    halts.on_list_end()
    await waiting
