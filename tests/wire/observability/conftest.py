import aiohttp
import pytest

from purpleflea_operator.kube import errors
from support.datadog_api import KEYS
from support.observability_trial import Life, Trial


@pytest.fixture
async def trial():
    """A cluster and an organisation in which all metrics of the agents have reported."""
    async with Trial() as found:
        found.report_metrics()
        yield found


@pytest.fixture
def life():
    return Life(None)


@pytest.fixture
async def ask(trial):
    """Calls Datadog's API as a person would; returns status and body."""
    async with aiohttp.ClientSession(trial.datadog.url, headers=KEYS) as session:

        async def one(method, path, body=None):
            async with session.request(method, path, json=body) as response:
                text = await response.read()
                return response.status, await response.json() if text else None

        yield one


@pytest.fixture
def again(trial):
    """One pass that asks to be tried again; returns after how long at the earliest."""

    async def one():
        with pytest.raises(errors.Transient) as caught:
            await trial.look()
        return caught.value.retry_after_s

    return one
