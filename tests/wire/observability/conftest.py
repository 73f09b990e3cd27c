import aiohttp
import pytest

from purpleflea_operator.kube import errors
from support.datadog_api import KEYS
from support.observability_scenario import AnswerLimit, Scenario


@pytest.fixture
async def scenario():
    """A cluster and an organization in which all metrics of the agents have reported."""
    async with Scenario() as running:
        running.report_metrics()
        yield running


@pytest.fixture
def no_limit():
    return AnswerLimit(None)


@pytest.fixture
async def call_api(scenario):
    """Send a request to Datadog's API as a user; return status and body."""
    async with aiohttp.ClientSession(scenario.datadog.url, headers=KEYS) as session:

        async def call(method, path, body=None):
            async with session.request(method, path, json=body) as response:
                text = await response.read()
                return response.status, await response.json() if text else None

        yield call


@pytest.fixture
def failing_reconcile(scenario):
    """Run one pass that must be retried; return the minimum delay in seconds."""

    async def reconcile():
        with pytest.raises(errors.Transient) as caught:
            await scenario.reconcile()
        return caught.value.retry_after_s

    return reconcile
