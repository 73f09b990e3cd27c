"""A chaos run: agents on a paper exchange in one loop with virtual time, with faults, kills and halts by a seed."""

import asyncio
import logging
import os
import shutil
import ssl
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import replace
from decimal import Decimal
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import httpx2
from ddtrace.trace import tracer

from purpleflea_agent.journal import JournalError, journal
from purpleflea_agent.trading.strategy_runner import StrategyRunner
from purpleflea_contract.metrics import Metric
from purpleflea_sdk.telemetry import metrics
from purpleflea_sdk.telemetry.dogstatsd import Emitter, Value
from support.chaos.plan import Plan
from support.chaos.process import current, disk_of_process, new_task
from support.chaos.result import Result
from support.chaos.virtual_time import VirtualLoop
from support.chaos.world import World

EVENTS = "purpleflea.agent"
"""Logger of the events of each order."""


class _RoutedEmitter(Emitter):
    """Keeps the last value of each series for the process that sent it."""

    def send(self, metric: Metric, value: Value = 1, /, **tags: str) -> None:
        super().send(metric, value, **tags)
        process = current.get()
        if process is not None and not process.is_dead:
            key = (metric.name, *sorted(f"{name}:{text}" for name, text in tags.items()))
            process.metrics[key] = Decimal(value)

    def report_drops(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing, because other agents use it too."""


class _InThisThread:
    """Runs the calls of a strategy at once, because time would pass while another thread runs them."""

    def put(self, call: Callable[[], None]) -> None:
        call()


class _Unexpected(logging.Handler):
    """Counts log records with an exception, which are defects of the agent."""

    def __init__(self) -> None:
        super().__init__(logging.ERROR)
        self.texts: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        process = current.get()
        if error is None or isinstance(error, JournalError | asyncio.CancelledError):
            return
        if process is None or not process.is_dead:
            self.texts.append(f"{record.getMessage()}: {type(error).__name__}: {error}")


def run(plan: Plan, *, progress: Callable[[str], None] = lambda _: None) -> Result:
    """Run a plan."""
    started = time.perf_counter()
    folder = Path(tempfile.mkdtemp(prefix="chaos-", dir=_memory()))
    loop = VirtualLoop()
    unexpected, root = _Unexpected(), logging.getLogger()
    level, handlers = root.level, root.handlers[:]
    transport: Any = httpx2.AsyncHTTPTransport
    runner_class: Any = StrategyRunner
    calls_of = runner_class._queue
    handle, make_key, emitter = transport.handle_async_request, uuid.uuid4, metrics._emitter
    keys = plan.random("keys")
    make_context, executor = ssl.create_default_context, vars(journal)["ThreadPoolExecutor"]
    try:
        vars(journal)["ThreadPoolExecutor"] = disk_of_process
        # Each process would read all root certificates, which takes longer than its start.
        context = make_context()
        ssl.create_default_context = lambda *_, **__: context
        root.handlers[:], root.level = [unexpected], logging.ERROR
        logging.disable(logging.WARNING)
        logging.getLogger(EVENTS).setLevel(logging.CRITICAL)
        loop.set_task_factory(new_task)
        uuid.uuid4 = lambda: uuid.UUID(int=keys.getrandbits(128), version=4)
        world = World(plan, loop, folder, progress)
        runner_class._queue = lambda _: _InThisThread()
        transport.handle_async_request = lambda _, request: world.request(request)
        metrics.install(_RoutedEmitter(None))
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(world.main())
    finally:
        runner_class._queue = calls_of
        transport.handle_async_request = handle
        uuid.uuid4 = make_key
        ssl.create_default_context = make_context
        vars(journal)["ThreadPoolExecutor"] = executor
        metrics._emitter = emitter
        root.handlers[:], root.level = handlers, level
        logging.disable(logging.NOTSET)
        logging.getLogger(EVENTS).setLevel(logging.NOTSET)
        shutil.rmtree(folder)
    for text in unexpected.texts:
        world.books.check("no unexpected exception", "agent", 0, holds=False, detail=text)
    result = world.result
    result.checks, result.violations = world.books.checks, world.books.violations
    result.real_s = time.perf_counter() - started
    return result


def run_groups(
    plan: Plan, *, size: int, progress: Callable[[str], None] = lambda _: None
) -> Result:
    """Run the agents of a plan in groups of a size, each with its own exchange, on all processors."""
    started = time.perf_counter()
    groups = [
        replace(plan, first_agent=first, agents=min(size, plan.agents - first))
        for first in range(0, plan.agents, size)
    ]
    total = Result(plan=plan)
    with ProcessPoolExecutor(os.cpu_count(), mp_context=get_context("spawn")) as pool:
        done = as_completed([pool.submit(_run_apart, group) for group in groups])
        for number, future in enumerate(done, start=1):
            total.add(future.result())
            seconds = time.perf_counter() - started
            progress(
                f"group {number} of {len(groups)}: {total.operations} operations,"
                f" {len(total.violations)} violations, {seconds:.0f} s"
            )
    total.real_s = time.perf_counter() - started
    return total


def _run_apart(plan: Plan) -> Result:
    tracer.enabled = False
    return run(plan)


def _memory() -> Path | None:
    """Return a folder in memory, because the journals are not durable in a run."""
    folder = Path("/dev/shm")
    return folder if folder.is_dir() else None
