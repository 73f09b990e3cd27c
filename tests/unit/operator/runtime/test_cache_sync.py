import pytest

from purpleflea_operator.kube import errors
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
        await lists.sync.run([lists.read])

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


async def test_each_list_that_fails_is_logged_once(run, caplog):
    lists = Lists(
        *(failure(errors.Unavailable) for _ in range(3)),
        *(failure(errors.Unavailable, path="/api/v1/nodes") for _ in range(3)),
    )
    caplog.set_level("INFO")
    await run(lists)
    assert [record.message for record in caplog.records] == [
        "an initial list failed; retrying",
        "an initial list failed; retrying",
        "the initial lists continue",
    ]
