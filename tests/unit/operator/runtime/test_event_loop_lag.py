import pytest

from purpleflea_operator import timings
from purpleflea_operator.runtime import event_loop_lag

PERIOD_S = timings.LOOP_LAG_PERIOD_S


class EndError(Exception):
    pass


async def lags(*delays_s, ran_s=0.0):
    """Return the lags, and their own parts, of a loop in which each sleep ends after this delay."""
    now_s, cpu_s, delays, observed = 0.0, 0.0, list(delays_s), []

    async def sleep(seconds):
        nonlocal now_s, cpu_s
        if not delays:
            raise EndError
        now_s += seconds + delays.pop(0)
        cpu_s += ran_s

    with pytest.raises(EndError):
        await event_loop_lag.measure(
            lambda lag_s, own_s: observed.append((lag_s, own_s)),
            clock=lambda: now_s,
            cpu=lambda: cpu_s,
            sleep=sleep,
        )
    return observed


async def samples(*delays_s):
    return [lag_s for lag_s, _ in await lags(*delays_s)]


async def test_a_free_event_loop_has_no_lag():
    assert await samples(0, 0, 0) == pytest.approx([0, 0, 0], abs=1e-9)


async def test_a_late_sample_does_not_delay_the_next_one():
    assert await samples(PERIOD_S / 2, 0) == pytest.approx([PERIOD_S / 2, 0], abs=1e-9)


async def test_a_block_delays_every_sample_that_was_due_in_it():
    late = [PERIOD_S * 3.5, PERIOD_S * 2.5, PERIOD_S * 1.5, PERIOD_S * 0.5]
    assert await samples(PERIOD_S * 3.5) == pytest.approx(late)


async def test_a_wait_for_a_processor_is_not_a_part_of_the_own_lag():
    (lag_s, own_s), *_ = await lags(0.08, ran_s=0.03)
    assert (lag_s, own_s) == pytest.approx((0.08, 0.03))


async def test_the_own_lag_is_never_longer_than_the_lag():
    assert await lags(0.02, ran_s=0.5) == [pytest.approx((0.02, 0.02))]


async def test_a_suspended_machine_causes_a_bounded_number_of_samples():
    observed = await samples(3600)
    assert max(observed) == pytest.approx(timings.LOOP_LAG_LIMIT_S)
    assert len(observed) <= timings.LOOP_LAG_LIMIT_S / PERIOD_S + 1
