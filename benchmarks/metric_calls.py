"""What a metric costs: against the page's code on the same server, at 20,000 calls a second, and without any reader."""

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from benchmarks import page
from benchmarks.sink import SinkProcess
from purpleflea_agent import metrics
from purpleflea_agent.emitter import Emitter, emitter_of
from purpleflea_agent.settings import read_environment
from purpleflea_contract import metrics as contract

BATCH, BATCHES = 200, 400
RATE_PER_S, TICK_S = 20_000, 0.01
Call = Callable[[], None]

OURS: Sequence[Call] = (
    lambda: metrics.record_pnl("BTC-USD", 1.5),
    lambda: metrics.record_order_latency("BTC-USD", "market", 12.5),
    lambda: metrics.record_faucet_claim("claimed"),
)
THE_PAGES: Sequence[Call] = (
    lambda: page.record_pnl("BTC-USD", 1.5),
    lambda: page.record_order_latency("BTC-USD", "market", 12.5),
    lambda: page.record_faucet_claim("claimed"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Medians, in nanoseconds per call, of the same calls in the same run."""

    ours_ns: float
    page_ns: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """A steady rate of calls inside an event loop."""

    calls: int
    call_ns: float
    lag_ms: float
    idle_lag_ms: float
    counted: int
    lost: int


def cost() -> Cost:
    """Both on one server, in turns, so that whatever else the machine does meets both."""
    with SinkProcess() as sink:
        page.start(sink.port)
        emitter = _installed(f"udp://127.0.0.1:{sink.port}")
        samples: tuple[list[float], list[float]] = ([], [])
        for _ in range(BATCHES):
            for calls, into in zip((OURS, THE_PAGES), samples, strict=True):
                into.extend(_timed(call) for call in calls)
        emitter.close()
    return Cost(ours_ns=statistics.median(samples[0]), page_ns=statistics.median(samples[1]))


def with_a_reader(seconds: int) -> Load:
    """Counts sent at a steady rate; lost is what the server has not heard of them."""
    with SinkProcess() as sink:
        emitter = _installed(f"udp://127.0.0.1:{sink.port}")
        call_ns, lags, calls = asyncio.run(_steady(seconds))
        emitter.close()
        heard = sink.heard()
    counted = int(heard[contract.FAUCET_CLAIMS.name]["sum"])
    counted += int(heard[contract.ORDER_LATENCY.name]["values"])
    return _load(call_ns, lags, calls, counted)


def without_a_reader(seconds: int, url: str) -> Load:
    """The same, and nobody takes anything."""
    emitter = _installed(url)
    call_ns, lags, calls = asyncio.run(_steady(seconds))
    emitter.close()
    return _load(call_ns, lags, calls, 0)


def _installed(url: str) -> Emitter:
    os.environ.update(DD_DOGSTATSD_URL=url, DD_ENV="production", DD_SERVICE="bench", DD_VERSION="1")
    emitter = emitter_of(read_environment())
    metrics.install(emitter)
    return emitter


def _timed(call: Call) -> float:
    started = time.perf_counter_ns()
    for _ in range(BATCH):
        call()
    return (time.perf_counter_ns() - started) / BATCH


async def _steady(seconds: int) -> tuple[list[float], list[float], int]:
    counting = OURS[1:]
    per_tick = int(RATE_PER_S * TICK_S / len(counting))
    costs: list[float] = []
    lags: list[float] = []
    calls = 0
    due = time.perf_counter()
    while calls < seconds * RATE_PER_S:
        due += TICK_S
        await asyncio.sleep(due - time.perf_counter())
        lags.append(time.perf_counter() - due)
        started = time.perf_counter_ns()
        for _ in range(per_tick):
            for call in counting:
                call()
        calls += per_tick * len(counting)
        costs.append((time.perf_counter_ns() - started) / (per_tick * len(counting)))
    return costs, lags, calls


async def _idle(seconds: float) -> list[float]:
    lags = []
    due = time.perf_counter()
    for _ in range(int(seconds / TICK_S)):
        due += TICK_S
        await asyncio.sleep(due - time.perf_counter())
        lags.append(time.perf_counter() - due)
    return lags


def _load(costs: Sequence[float], lags: Sequence[float], calls: int, counted: int) -> Load:
    return Load(
        calls=calls,
        call_ns=statistics.median(costs),
        lag_ms=max(lags) * 1000,
        idle_lag_ms=max(asyncio.run(_idle(5))) * 1000,
        counted=counted,
        lost=calls - counted,
    )
