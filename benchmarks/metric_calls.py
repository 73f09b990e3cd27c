"""What a metric costs: against the page's code on the same server, at 20,000 calls a second, and without any reader."""

import asyncio
import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from benchmarks import page
from benchmarks.sink import SinkProcess
from purpleflea_agent.settings import read_environment
from purpleflea_agent.telemetry import metrics
from purpleflea_agent.telemetry.dogstatsd import Emitter, create_emitter
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
    own_lag_ms: float
    """The part of a lag in which threads of this process ran: the rest is the machine's."""
    idle_lag_ms: float
    counted: int
    lost: int


@dataclass(slots=True, kw_only=True)
class Steady:
    """What was seen of each tick of a steady rate: nanoseconds a call, seconds of lateness."""

    calls: int = 0
    costs: list[float] = field(default_factory=list)
    lags: list[float] = field(default_factory=list)
    own_lags: list[float] = field(default_factory=list)


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
        steady = asyncio.run(_steady(seconds))
        emitter.close()
        heard = sink.heard()
    counted = int(heard[contract.FAUCET_CLAIMS.name]["sum"])
    counted += int(heard[contract.ORDER_LATENCY.name]["values"])
    return _load(steady, counted)


def without_a_reader(seconds: int, url: str) -> Load:
    """The same, and nobody takes anything."""
    emitter = _installed(url)
    steady = asyncio.run(_steady(seconds))
    emitter.close()
    return _load(steady, 0)


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


async def _steady(seconds: int) -> Steady:
    counting = OURS[1:]
    per_tick = int(RATE_PER_S * TICK_S / len(counting))
    found = Steady()
    due = time.perf_counter()
    while found.calls < seconds * RATE_PER_S:
        due += TICK_S
        others = _cpu_of_other_threads()
        await asyncio.sleep(due - time.perf_counter())
        late = time.perf_counter() - due
        found.lags.append(late)
        found.own_lags.append(min(late, _cpu_of_other_threads() - others))
        started = time.perf_counter_ns()
        for _ in range(per_tick):
            for call in counting:
                call()
        found.calls += per_tick * len(counting)
        found.costs.append((time.perf_counter_ns() - started) / (per_tick * len(counting)))
    return found


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


def _load(steady: Steady, counted: int) -> Load:
    return Load(
        calls=steady.calls,
        call_ns=statistics.median(steady.costs),
        lag_ms=max(steady.lags) * 1000,
        own_lag_ms=max(steady.own_lags) * 1000,
        idle_lag_ms=max(asyncio.run(_idle(5))) * 1000,
        counted=counted,
        lost=steady.calls - counted,
    )
