"""Cost of instrumentation per order, duration of a start, and memory after many orders.

Agents, exchange and receivers are separate processes. The limit of the agent of 600 orders per minute is kept. For more
orders, the wall clock of the agent runs a hundred times as fast.
"""

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.sink import SinkProcess
from support.agent_process import TOKEN, AgentFolder, AgentProcess
from support.exchange_double import KEY
from support.receivers.trace_agent import TraceAgent

ROUNDS, ORDERS = 110, 5
"""Rounds are short, so that other load on the machine affects both sides. All orders together stay below the limit of
600 per minute."""
WARM_UP = 30
BODY = {"market": "BTC-USD", "side": "buy", "size": "0.00001"}
AUTHORIZED = {"Authorization": f"Bearer {TOKEN}"}
FAST_CLOCK = """
import sys, time
wall, began = time.time, time.time()
time.time = lambda: began + (wall() - began) * 100
from purpleflea_agent.__main__ import main
sys.exit(main())
"""
UNLIMITED = {
    "risk": {"maxOrderUsd": "1000000", "maxDrawdownPct": 100, "maxOrdersPerMinute": 600},
    "trading": {"interval": "1h", "orderSize": "0.00001", "signalThreshold": "1000"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Trading:
    """Results of sequential manual orders."""

    per_s: float
    p50_ms: float
    p99_ms: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Memory:
    """Resident set over many orders, in MiB."""

    at_start: float
    halfway: float
    at_end: float
    orders: int


@contextlib.contextmanager
def exchange(folder: Path) -> Iterator[dict[str, str]]:
    """Run a paper exchange. Yields the endpoints of settings.json."""
    keys = folder / "keys"
    keys.write_text(f"{KEY} fleet\n")
    settings = {
        "EXCHANGE_HOST": "127.0.0.1",
        "EXCHANGE_PORT": "0",
        "EXCHANGE_KEYS_FILE": str(keys),
        "EXCHANGE_START_BALANCE_USD": "1000000000",
        "EXCHANGE_RATE_LIMIT_PER_MINUTE": "10000000",
    }
    command = [sys.executable, "-m", "purpleflea_sandbox.exchange"]
    with (
        (folder / "exchange.log").open("wb") as log,
        subprocess.Popen(
            command, env={**os.environ, **settings}, stdout=log, stderr=log
        ) as process,
    ):
        try:
            yield dict.fromkeys(("trading", "wallet", "escrow", "faucet"), _url(folder))
        finally:
            process.terminate()


def _url(folder: Path) -> str:
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        line = (folder / "exchange.log").read_text().partition("\n")
        if line[1]:
            return f"http://127.0.0.1:{json.loads(line[0])['port']}"
        time.sleep(0.05)
    raise RuntimeError("the exchange did not start")


def with_and_without() -> tuple[Trading, Trading]:
    """Measure an agent with full instrumentation and one without. A few orders at a time alternate between both."""
    spent: tuple[list[float], list[float]] = ([], [])
    with _environment() as (root, endpoints, telemetry), contextlib.ExitStack() as stack:
        agents = []
        for environment, is_traced in ((telemetry, True), ({}, False)):
            folder = AgentFolder(root / f"traced-{is_traced}", endpoints, **UNLIMITED)
            process = AgentProcess(folder, environment, is_traced=is_traced)
            agents.append(stack.enter_context(process))
        for agent in agents:
            agent.wait_until_ready()
            _send_orders(agent, WARM_UP)
        for _ in range(ROUNDS):
            for agent, into in zip(agents, spent, strict=True):
                into.extend(_send_orders(agent, ORDERS))
    return _trading(spent[0]), _trading(spent[1])


def seconds_to_ready(times: int = 5) -> float:
    """Return the median time from the start of a fully instrumented process to a successful /readyz."""
    took = []
    with _environment() as (root, endpoints, telemetry):
        for number in range(times):
            folder = AgentFolder(root / f"start-{number}", endpoints, **UNLIMITED)
            started = time.monotonic()
            with AgentProcess(folder, telemetry) as agent:
                agent.wait_until_ready()
                took.append(time.monotonic() - started)
    return statistics.median(took)


def memory(orders: int) -> Memory:
    """Measure the resident set of a fully instrumented agent."""
    sizes = []
    with _environment() as (root, endpoints, telemetry):
        folder = AgentFolder(root / "memory", endpoints, **UNLIMITED)
        with AgentProcess(folder, telemetry, program=("-c", FAST_CLOCK)) as agent:
            agent.wait_until_ready()
            sizes.append(_resident_mib(agent.pid))
            for _ in range(2):
                _send_orders(agent, orders // 2)
                sizes.append(_resident_mib(agent.pid))
    return Memory(at_start=sizes[0], halfway=sizes[1], at_end=sizes[2], orders=orders)


@contextlib.contextmanager
def _environment() -> Iterator[tuple[Path, dict[str, str], dict[str, str]]]:
    with (
        tempfile.TemporaryDirectory() as name,
        exchange(Path(name)) as endpoints,
        SinkProcess() as sink,
        TraceAgent(Path(name)) as traces,
    ):
        metrics = {"DD_DOGSTATSD_URL": f"udp://127.0.0.1:{sink.port}"}
        yield Path(name), endpoints, {**metrics, **traces.environment}


def _send_orders(agent: AgentProcess, orders: int) -> list[float]:
    """Send orders. Return the seconds of each."""
    spent = []
    for _ in range(orders):
        started = time.perf_counter()
        answer = agent.http.post("/v1/trade", json=BODY, headers=AUTHORIZED)
        spent.append(time.perf_counter() - started)
        if answer.status_code != 201:
            raise RuntimeError(f"an order failed: {answer.text}")
    return spent


def _trading(spent: list[float]) -> Trading:
    cuts = statistics.quantiles(spent, n=100)
    return Trading(per_s=len(spent) / sum(spent), p50_ms=cuts[49] * 1000, p99_ms=cuts[98] * 1000)


def _resident_mib(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) / 1024
    raise RuntimeError("the process has exited")
