import asyncio

import pytest

from purpleflea_operator import timings
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.errors import (
    AlreadyExists,
    Conflict,
    Forbidden,
    Invalid,
    NotFound,
    Throttled,
    Unavailable,
    from_response,
)
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.runtime.workers import Result, run_worker
from purpleflea_operator.runtime.workqueue import URGENT_SHARE, WorkQueue
from support.builders import a_pod, an_agent
from support.loop_iterations import Iterations

KEY = NamespacedName("trading", "momentum")


def a_queue():
    return WorkQueue(jitter=lambda: 1.0)


async def test_a_key_is_queued_once():
    queue = a_queue()
    queue.add("a")
    queue.add("a")
    assert len(queue) == 1


async def test_a_key_added_while_it_is_processed_is_queued_again_afterwards():
    queue = a_queue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.add("a")
    assert len(queue) == 0
    queue.done("a")
    assert await queue.get() == "a"


async def test_a_queue_of_a_standby_drops_keys_until_it_is_open():
    queue = WorkQueue(jitter=lambda: 1.0, is_open=False)
    queue.add("a")
    queue.add_after("b", 0)
    queue.add_rate_limited("c")
    assert (len(queue), queue.oldest_s(), queue._timers) == (0, 0.0, {})
    queue.open()
    queue.add("a")
    assert await queue.get() == "a"


async def taken(queue):
    """Return all queued keys in the sequence in which workers get them."""
    return [await queue.get() for _ in range(len(queue))]


async def test_urgent_keys_come_first_and_a_queued_key_becomes_urgent():
    queue = a_queue()
    for key in "abc":
        queue.add(key)
    queue.add("d", urgent=True)
    queue.add("b", urgent=True)
    queue.add("d")
    assert (len(queue), queue.has_urgent()) == (4, True)
    assert await taken(queue) == ["d", "b", "a", "c"]
    assert not queue.has_urgent()


async def test_urgent_keys_without_an_end_do_not_stop_the_others():
    queue = a_queue()
    queue.add("a")
    for number in range(20):
        queue.add(number, urgent=True)
    assert await taken(queue) == [*range(URGENT_SHARE), "a", *range(URGENT_SHARE, 20)]


async def test_a_key_that_becomes_urgent_while_it_is_processed_is_urgent_afterwards():
    queue = a_queue()
    queue.add("a")
    await queue.get()
    queue.add("b")
    queue.add("a", urgent=True)
    queue.add("a")
    queue.done("a")
    assert await taken(queue) == ["a", "b"]


async def test_the_wait_for_urgent_keys_ends_when_each_has_a_worker():
    queue = a_queue()
    queue.add("b")
    await queue.wait_until_nothing_is_urgent()
    queue.add("a", urgent=True)
    waiting = asyncio.create_task(queue.wait_until_nothing_is_urgent())
    await asyncio.sleep(0)
    assert not waiting.done()
    assert await queue.get() == "a"
    await waiting
    assert len(queue) == 1


async def test_the_oldest_key_counts_whether_it_is_urgent_or_not():
    now_s = [0.0]
    queue = WorkQueue(jitter=lambda: 1.0, clock=lambda: now_s[0])
    queue.add("a")
    now_s[0] = 2.0
    queue.add("b", urgent=True)
    now_s[0] = 3.0
    assert queue.oldest_s() == 3.0
    assert await queue.get() == "b"
    assert queue.oldest_s() == 3.0


async def test_a_standby_has_no_urgent_keys():
    queue = WorkQueue(jitter=lambda: 1.0, is_open=False)
    queue.add("a", urgent=True)
    assert not queue.has_urgent()


async def test_a_waiting_worker_is_woken():
    queue = a_queue()
    waiting = asyncio.create_task(queue.get())
    await asyncio.sleep(0)
    queue.add("a")
    assert await waiting == "a"


async def test_passes_that_request_another_one_at_once_again_and_again_have_a_backoff():
    queue = a_queue()
    delays = [queue.add_again("a", 0.0) for _ in range(timings.FREE_REPEATS + 2)]
    assert delays[: timings.FREE_REPEATS] == [0.0] * timings.FREE_REPEATS
    assert all(delay >= timings.BACKOFF_BASE_S for delay in delays[timings.FREE_REPEATS :])
    assert queue.add_again("a", 1.0) == 1.1
    assert queue.add_again("a", 0.0) == 0.0
    queue.close()


async def test_a_pass_that_succeeds_after_failures_may_request_another_one_at_once():
    queue = a_queue()
    failed = [queue.add_rate_limited("a") for _ in range(timings.FREE_REPEATS + 1)]
    assert queue.add_again("a", 0.0) == 0.0
    # The backoff ends only when no other pass is requested.
    assert queue.add_rate_limited("a") == 2 * failed[-1]
    queue.forget("a")
    assert queue.add_rate_limited("a") == failed[0]
    queue.close()


async def test_failures_between_them_do_not_reset_the_count_of_repeated_passes():
    queue = a_queue()
    for _ in range(timings.FREE_REPEATS):
        queue.add_again("a", 0.0)
        queue.add_rate_limited("a")
    assert queue.add_again("a", 0.0) >= timings.BACKOFF_BASE_S
    queue.close()


async def test_passes_without_a_request_run_one_after_another_between_other_callbacks():
    queue, iterations, done = a_queue(), Iterations(), asyncio.Event()

    async def reconcile(key):
        iterations.count()
        if key == 99:
            done.set()
        return Result()

    workers = [asyncio.create_task(run_worker(queue, reconcile)) for _ in range(8)]
    for key in range(100):
        queue.add(key)
    await done.wait()
    for worker in workers:
        worker.cancel()
    iterations.close()
    queue.close()
    assert iterations.most <= 2


async def test_a_canceled_worker_leaves_its_turn_to_another_one():
    queue = a_queue()
    first, second = (asyncio.create_task(queue.get()) for _ in range(2))
    await asyncio.sleep(0)
    first.cancel()
    await asyncio.sleep(0)
    queue.add("a")
    assert await second == "a"


async def test_the_earliest_of_several_delays_counts():
    queue = a_queue()
    queue.add_after("a", 60)
    queue.add_after("a", 0)
    queue.add_after("a", 30)
    assert await asyncio.wait_for(queue.get(), timeout=5) == "a"


async def test_adding_a_key_now_ends_its_delay():
    queue = a_queue()
    queue.add_after("a", 60)
    queue.add("a")
    assert await queue.get() == "a"
    queue.done("a")
    assert len(queue) == 0


async def test_backoff_grows_to_its_limit_and_success_resets_it():
    queue = a_queue()
    delays = [queue.add_rate_limited("a") for _ in range(12)]
    assert delays == sorted(delays)
    assert delays[-1] == timings.BACKOFF_LIMIT_S
    queue.forget("a")
    assert queue.add_rate_limited("a") == delays[0]
    queue.close()


async def test_retry_after_of_the_server_delays_a_key():
    queue = a_queue()
    assert queue.add_rate_limited("a", hold_s=30) > 30
    queue.close()


async def test_new_events_do_not_end_the_hold_of_a_key():
    now = [0.0]
    queue = WorkQueue(jitter=lambda: 1.0, clock=lambda: now[0])
    queue.add("a")
    await queue.get()
    queue.add("a")
    queue.add_rate_limited("a", hold_s=30)
    queue.done("a")
    queue.add("a")
    assert len(queue) == 0
    now[0] = 30.0
    queue.add("a")
    assert len(queue) == 1
    queue.close()


async def test_events_during_a_cooldown_share_one_pass():
    queue = a_queue()
    queue.add("a")
    assert await queue.get() == "a"
    queue.done_after("a", 0.01)
    for _ in range(5):
        queue.add("a")
    assert len(queue) == 0
    assert await asyncio.wait_for(queue.get(), timeout=5) == "a"
    queue.done("a")
    assert len(queue) == 0
    queue.close()


async def test_requeued_keys_are_spread_by_jitter():
    queue = a_queue()
    assert queue.add_after_jittered("a", 100) == pytest.approx(110)
    assert len(queue) == 0
    queue.close()


async def test_a_key_is_queued_at_the_end_of_its_hold():
    queue = a_queue()
    queue.add("a")
    await queue.get()
    queue.add_rate_limited("a", hold_s=0.01)
    queue.done("a")
    queue.add("a")
    assert await asyncio.wait_for(queue.get(), timeout=5) == "a"
    queue.close()


@pytest.mark.parametrize(
    "adds", [[True], [True, False], [False, True]], ids=["urgent", "then not", "not before"]
)
async def test_a_key_that_becomes_urgent_during_its_hold_is_urgent_at_the_end(adds):
    queue = a_queue()
    queue.add_rate_limited("a", hold_s=0.01)
    for urgent in adds:
        queue.add("a", urgent=urgent)
    assert not queue.has_urgent()
    assert await asyncio.wait_for(queue.get(), timeout=5) == "a"
    queue.done("a")
    # It was taken as urgent, and is not urgent the next time.
    assert queue._urgent_taken == 1
    queue.add("a")
    assert not queue.has_urgent()
    queue.close()


async def test_a_key_that_becomes_urgent_during_its_hold_is_urgent_after_a_pass_in_between():
    queue = a_queue()
    queue.add("a")
    await queue.get()
    queue.add_rate_limited("a", hold_s=60)
    queue.add("a", urgent=True)
    queue.release("a")
    queue.add("a")
    queue.done("a")
    assert queue.has_urgent()
    queue.close()


@pytest.mark.parametrize(
    ("is_urgent", "ends_urgency", "adds", "hold_s", "expected"),
    [
        pytest.param(True, False, [], 0.0, True, id="after the delay"),
        pytest.param(True, False, [], 0.001, True, id="after a Retry-After"),
        pytest.param(True, False, [False], 0.0, True, id="if an event adds it earlier"),
        pytest.param(True, True, [], 0.0, False, id="not if only the rest of the pass failed"),
        pytest.param(True, True, [True], 0.0, True, id="if it became urgent again"),
        pytest.param(False, False, [], 0.0, False, id="not if it was not urgent"),
    ],
)
async def test_an_urgent_key_whose_pass_failed_stays_urgent(
    is_urgent, ends_urgency, adds, hold_s, expected, monkeypatch
):
    monkeypatch.setattr(timings, "BACKOFF_BASE_S", 0.001)
    queue = a_queue()
    queue.add("a", urgent=is_urgent)
    await queue.get()
    if ends_urgency:
        queue.end_urgency("a")
    queue.add_rate_limited("a", hold_s=hold_s)
    for urgent in adds:
        queue.add("a", urgent=urgent)
    queue.done("a")
    assert await asyncio.wait_for(queue.get(), timeout=5) == "a"
    assert ("a" in queue._urgent_processing) is expected
    queue.done("a")
    # It was served, so the next attempt is not urgent.
    queue.add("a")
    assert not queue.has_urgent()
    queue.close()


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        (404, NotFound),
        (403, Forbidden),
        (401, Forbidden),
        (409, Conflict),
        (422, Invalid),
        (400, Invalid),
        (503, Unavailable),
    ],
)
def test_a_status_code_becomes_the_matching_error(status, kind):
    assert type(from_response(status, "why", None)) is kind


def test_a_conflict_of_names_differs_from_other_conflicts():
    assert type(from_response(409, "why", None, reason="AlreadyExists")) is AlreadyExists


@pytest.mark.parametrize(("header", "seconds"), [("7", 7.0), (None, 1.0), ("soon", 1.0)])
def test_a_throttled_request_has_the_retry_after_of_the_server(header, seconds):
    error = from_response(429, "slow down", header)
    assert isinstance(error, Throttled)
    assert error.retry_after_s == seconds


@pytest.mark.parametrize("status", [429, 503])
def test_retry_after_is_limited_to_30_seconds(status):
    assert from_response(status, "retry tomorrow", "86400").retry_after_s == 30.0
    assert from_response(status, "never", "9" * 400).retry_after_s == 30.0


def test_an_unavailable_server_may_send_retry_after():
    assert from_response(503, "shutting down", "5").retry_after_s == 5.0
    assert from_response(503, "shutting down", None).retry_after_s == 0.0


def versioned(manifest, version):
    manifest["metadata"]["resourceVersion"] = str(version)
    return manifest


def test_an_older_version_does_not_replace_a_newer_one():
    cache = ObjectCache()
    assert cache.put(versioned(an_agent(replicas=5), 10))
    assert not cache.put(versioned(an_agent(replicas=1), 9))
    assert not cache.put(versioned(an_agent(replicas=1), 10))
    assert cache.agent(KEY)["spec"]["replicas"] == 5


def test_pods_are_indexed_by_their_agent():
    cache = ObjectCache()
    cache.put(a_pod())
    assert [item["metadata"]["name"] for item in cache.owned(resources.POD, KEY)] == ["momentum-0"]
    assert cache.drop(resources.POD, "uid-momentum-0") == KEY
    assert cache.owned(resources.POD, KEY) == []


def test_a_recreated_agent_is_returned_while_the_deleted_one_is_still_cached():
    cache = ObjectCache()
    cache.put(versioned(an_agent(uid="old", replicas=1), 5))
    cache.put(versioned(an_agent(uid="new", replicas=2), 9))
    assert cache.agent(KEY)["metadata"]["uid"] == "new"
    cache.drop(resources.AGENT, "old")
    assert cache.agent(KEY)["metadata"]["uid"] == "new"


def test_managed_fields_are_not_kept():
    cache = ObjectCache()
    agent = an_agent()
    agent["metadata"]["managedFields"] = [{"manager": "x"}]
    cache.put(agent)
    assert "managedFields" not in cache.agent(KEY)["metadata"]
