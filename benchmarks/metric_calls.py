"""Cost of a metric call: compared with the integration page, at 20,000 calls per second, and without a receiver."""

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks import page
from benchmarks.sink import SinkProcess
from purpleflea_contract import metrics as contract
from purpleflea_sdk.settings import read_environment
from purpleflea_sdk.telemetry import metrics
from purpleflea_sdk.telemetry.dogstatsd import Emitter, create_emitter

BATCH, BATCHES = 200, 400
RATE_PER_S, TICK_S = 20_000, 0.01
Call = Callable[[], None]

OURS: Sequence[Call] = (
    lambda: metrics.record_pnl("BTC-USD", 1.5),
    lambda: metrics.record_order_latency("BTC-USD", "market", 12.5),
    lambda: metrics.record_faucet_claim("claimed"),
)
PAGE: Sequence[Call] = (
    lambda: page.record_pnl("BTC-USD", 1.5),
    lambda: page.record_order_latency("BTC-USD", "market", 12.5),
    lambda: page.record_faucet_claim("claimed"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """Median nanoseconds per call. Both sides make the same calls in the same run."""

    ours_ns: float
    page_ns: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Results of a constant rate of calls in an event loop."""

    calls: int
    call_ns: float
    lag_ms: float
    own_lag_ms: float
    """Part of the lag in which threads of this process ran. The machine causes the rest."""
    idle_lag_ms: float
    counted: int
    lost: int


@dataclass(slots=True, kw_only=True)
class TickSamples:
    """Measurements per tick of a constant rate: nanoseconds per call, and seconds of lag."""

    calls: int = 0
    costs: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    own_lags: list[float] = field(default_factory=list)


def cost() -> Cost:
    """Measure both against the same server in alternation, so that other load on the machine affects both."""
    with SinkProcess() as sink:
        page.start(sink.port)
        emitter = _installed(f"udp://127.0.0.1:{sink.port}")
        samples: tuple[list[float], list[float]] = ([], [])
        for _ in range(BATCHES):
            for calls, into in zip((OURS, PAGE), samples, strict=True):
                into.extend(_timed(call) for call in calls)
        emitter.close()
    return Cost(ours_ns=statistics.median(samples[0]), page_ns=statistics.median(samples[1]))


def with_receiver(seconds: int) -> Load:
    """Send counts at a constant rate. Counts that the server did not receive are lost."""
    with SinkProcess() as sink:
        emitter = _installed(f"udp://127.0.0.1:{sink.port}")
        samples = asyncio.run(_steady(seconds))
        emitter.close()
        received = sink.received()
    counted = int(received[contract.FAUCET_CLAIMS.name]["sum"])
    counted += int(received[contract.ORDER_LATENCY.name]["values"])
    return _load(samples, counted)


def without_receiver(seconds: int, url: str) -> Load:
    """Send counts at a constant rate to an address without a receiver."""
    emitter = _installed(url)
    samples = asyncio.run(_steady(seconds))
    emitter.close()
    return _load(samples, 0)


def _installed(url: str) -> Emitter:
    os.environ.update(DD_DOGSTATSD_URL=url, DD_ENV="production", DD_SERVICE="bench", DD_VERSION="1")
    emitter = create_emitter(read_environment())
    metrics.install(emitter)
    return emitter


def _timed(call: Call) -> float:
    started = time.perf_counter_ns()
    for _ in range(BATCH):
        call()
    return (time.perf_counter_ns() - started) / BATCH


async def _steady(seconds: int) -> TickSamples:
    counting = OURS[1:]
    per_tick = int(RATE_PER_S * TICK_S / len(counting))
    samples = TickSamples()
    due = time.perf_counter()
    while samples.calls < seconds * RATE_PER_S:
        due += TICK_S
        others = _cpu_of_other_threads()
        await asyncio.sleep(due - time.perf_counter())
        lag = time.perf_counter() - due
        samples.lags.append(lag)
        samples.own_lags.append(min(lag, _cpu_of_other_threads() - others))
        started = time.perf_counter_ns()
        for _ in range(per_tick):
            for call in counting:
                call()
        samples.calls += per_tick * len(counting)
        samples.costs.append((time.perf_counter_ns() - started) / (per_tick * len(counting)))
    return samples


def _cpu_of_other_threads() -> float:
    return time.process_time() - time.thread_time()


async def _idle(seconds: float) -> list[float]:
    lags = []
    due = time.perf_counter()
    for _ in range(int(seconds / TICK_S)):
        due += TICK_S
        await asyncio.sleep(due - time.perf_counter())
        lags.append(time.perf_counter() - due)
    return lags


def _load(samples: TickSamples, counted: int) -> Load:
    return Load(
        calls=samples.calls,
        call_ns=statistics.median(samples.costs),
        lag_ms=max(samples.lags) * 1000,
        own_lag_ms=max(samples.own_lags) * 1000,
        idle_lag_ms=max(asyncio.run(_idle(5))) * 1000,
        counted=counted,
        lost=samples.calls - counted,
    )
