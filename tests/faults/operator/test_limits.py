"""A simulation ends at a limit, with a message, whatever a task does."""

import asyncio

import pytest

from support.simulation import clock as clocks


async def at_once_again_and_again():
    while True:  # noqa: ASYNC110
        await asyncio.sleep(0)


async def hourly():
    while True:  # noqa: ASYNC110
        await asyncio.sleep(3600)


async def without_the_loop():
    while True:
        pass


async def despite_its_cancellation():
    while True:
        try:
            await asyncio.sleep(0)
        except asyncio.CancelledError:
            continue


@pytest.mark.parametrize(
    ("main", "message"),
    [
        (at_once_again_and_again, "a task never waits"),
        (hourly, "simulated seconds"),
        (without_the_loop, "CPU time"),
        (despite_its_cancellation, "CPU time"),
    ],
)
def test_a_simulation_without_an_end_is_stopped(main, message, monkeypatch):
    monkeypatch.setattr(clocks, "LONGEST_CPU_S", 0.5)
    with pytest.raises(clocks.EndlessError, match=message):
        clocks.run(clocks.Clock(), main)
