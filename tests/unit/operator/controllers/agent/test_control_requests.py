"""Requests of the control lane that a newer mode supersedes, whatever state they are in at that moment."""

import asyncio

import pytest

from purpleflea_contract.control import Control, Mode
from purpleflea_operator.controllers.agent.control_requests import ControlRequests, SupersededError
from purpleflea_operator.kube.object_cache import NamespacedName

KEY = NamespacedName("trading", "momentum")


class RefusedError(Exception):
    """The API server has answered with a Retry-After."""


async def started(requests, answer):
    """Return the task of a caller whose request waits for its answer."""

    async def request():
        return await answer

    caller = asyncio.create_task(requests.perform(KEY, Control(mode=Mode.ACTIVE), request()))
    for _ in range(2):  # the caller starts, and then its request
        await asyncio.sleep(0)
    return caller


@pytest.mark.parametrize("is_superseded", [True, False])
async def test_a_request_that_fails_just_before_it_is_superseded_does_not_count(is_superseded):
    requests, answer = ControlRequests(), asyncio.get_running_loop().create_future()
    caller = await started(requests, answer)
    answer.set_exception(RefusedError())
    await asyncio.sleep(0)  # the request has ended, and its caller runs next
    if is_superseded:
        requests.cancel(KEY)
    with pytest.raises(SupersededError if is_superseded else RefusedError):
        await caller
    assert KEY not in requests


async def test_a_request_that_waits_is_canceled():
    requests, answer = ControlRequests(), asyncio.get_running_loop().create_future()
    caller = await started(requests, answer)
    requests.cancel(KEY)
    with pytest.raises(SupersededError):
        await caller
    assert answer.cancelled()


async def test_a_request_that_was_performed_before_it_is_superseded_is_complete():
    requests, answer = ControlRequests(), asyncio.get_running_loop().create_future()
    caller = await started(requests, answer)
    answer.set_result(True)
    await asyncio.sleep(0)
    requests.cancel(KEY)
    assert await caller
