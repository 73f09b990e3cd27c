"""One agent of a chaos run: its folder, and the processes that run on it one after the other.

A process is the real application on its own parts. It can end at each request and at each access to its disk. After
that it has no effect: its requests, its disk and its metrics are closed, as those of a process that is killed.
"""

import asyncio
import contextvars
import json
import math
import shutil
import sqlite3
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

from purpleflea_agent import application
from purpleflea_agent.application import Application
from purpleflea_agent.exchange.key_file import KeyFile
from purpleflea_agent.exchange.seed import SeedExchange
from purpleflea_agent.trading import strategies
from purpleflea_contract import environment as names
from purpleflea_sdk.settings import Environment, read_settings
from support.chaos.plan import Plan

if TYPE_CHECKING:
    from support.chaos.virtual_time import VirtualLoop

KEY = "pf_paper_" + "1" * 32
URL = "http://exchange.test"
current: contextvars.ContextVar["Process | None"] = contextvars.ContextVar("process", default=None)
WRITES = {
    "write": "journal write",
    "settle": "record of the outcome",
    "write_escrow": "journal write",
}


class Disk:
    """Executor of a journal: does the work at once, or later if the disk is slow."""

    def __init__(self, process: "Process") -> None:
        self._process = process
        self._queue: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def submit(self, work: Callable[..., Any], *args: Any, **kwargs: Any) -> "Future[Any]":
        future: Future[Any] = Future()
        delay_s = self._process.agent.disk_delay_s()
        self._queue.append((future, lambda: self._run(work, args, kwargs)))
        if delay_s and not self._process.is_dead:
            asyncio.get_running_loop().call_later(delay_s, self._work)
        else:
            self._work()
        return future

    def shutdown(self, wait: bool = True) -> None:
        """Do nothing: there is no thread."""

    def _work(self) -> None:
        while self._queue:
            future, run = self._queue.popleft()
            if self._process.is_dead:
                future.cancel()
                future.set_running_or_notify_cancel()
                continue
            try:
                result = run()
            except ProcessEnded:
                future.cancel()
                future.set_running_or_notify_cancel()
            except Exception as error:
                future.set_exception(error)
            else:
                future.set_result(result)

    def _run(self, work: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        name = WRITES.get(getattr(work, "__name__", ""))
        if name:
            self._process.step(f"before the {name}")
        result = work(*args, **kwargs)
        if name:
            self._process.step(f"after the {name}")
        return result


def disk_of_process(**_: object) -> Disk:
    """Create the executor of the journal that the current process opens."""
    process = current.get()
    assert process is not None
    return Disk(process)


def new_task(
    loop: asyncio.AbstractEventLoop, work: Any, *, context: contextvars.Context | None = None
) -> "asyncio.Task[Any]":
    """Create a task that belongs to the process of its context: the factory of all tasks of a run."""
    task: asyncio.Task[Any] = asyncio.Task(work, loop=loop, context=context)
    # An empty context is false.
    process = (contextvars.copy_context() if context is None else context).get(current)
    if process is not None:
        process.add(task)
    return task


class ProcessEnded(Exception):  # noqa: N818 - the name states the meaning
    """The process was killed at this point."""


class Process:
    """A running agent."""

    def __init__(self, agent: "ChaosAgent", loop: "VirtualLoop") -> None:
        self.agent = agent
        self.is_dead = False
        self.ends_in: int | None = None
        """Steps until the process is killed; None if it is not."""
        self.metrics: dict[tuple[str, ...], Decimal] = {}
        self._loop = loop
        self._spawned: list[asyncio.Task[Any]] = []
        self.task: asyncio.Task[None] | None = None
        self.app: Application = contextvars.copy_context().run(self._build)
        self._store = self.app.journal._store

    def _build(self) -> Application:
        current.set(self)
        environment = self.agent.environment
        settings = read_settings(environment.settings_file)
        app = application.build(
            environment,
            settings,
            strategy=strategies.find(settings.strategy),
            exchange=SeedExchange(
                settings.api.endpoints,
                key_file=KeyFile(environment.api_key_file),
                agent_id=environment.agent_id,
            ),
            clock=self.agent.wall,
            monotonic=self._loop.time,
            is_durable=False,
        )
        self._context = contextvars.copy_context()
        return app

    def add(self, task: "asyncio.Task[Any]") -> None:
        """Remember a task of the process, until it is done."""
        if len(self._spawned) > 100:
            self._spawned = [item for item in self._spawned if not item.done()]
        self._spawned.append(task)

    def start(self) -> None:
        """Start trading."""
        self.task = self._loop.create_task(
            self.app.run(asyncio.Event()), name=f"agent {self.agent.name}", context=self._context
        )

    def task_of(self, work: Any, name: str) -> "asyncio.Task[Any]":
        """Start a task that belongs to the process, such as a request of a client to it."""
        return self._loop.create_task(work, name=name, context=self._context)

    def step(self, name: str) -> None:
        """Pass one step of an order; the process may end here.

        Raises:
            ProcessEnded: It was killed.
        """
        if self.is_dead:
            raise ProcessEnded
        if self.ends_in is not None:
            self.ends_in -= 1
            if self.ends_in < 0:
                self.agent.counts[f"killed {name}"] += 1
                self.die()
                raise ProcessEnded

    def die(self) -> None:
        """End as with SIGKILL: no clean-up has an effect."""
        if not self.is_dead:
            self.is_dead = True
            self._store._database.close()

    @property
    def tasks(self) -> list["asyncio.Task[Any]"]:
        """Tasks of the process that are not done."""
        own = (task for task in self._spawned if not task.done())
        return [task for task in own if task is not asyncio.current_task()]

    async def reap(self) -> None:
        """Remove what is left of a process that ended."""
        while tasks := self.tasks:
            for task in tasks:
                task.cancel()
            await asyncio.sleep(0)

    async def terminate(self) -> None:
        """Send SIGTERM and wait for the end."""
        self.app.end()
        assert self.task is not None
        self.task.cancel()
        await asyncio.wait({self.task})
        self.is_dead = True
        await self.reap()


class ChaosAgent:
    """An identity: its folder, its node and its limits."""

    def __init__(
        self, plan: Plan, number: int, folder: Path, loop: "VirtualLoop", counts: Any
    ) -> None:
        self.name = f"chaos-{number}"
        self.number = number
        self.is_ephemeral = number < plan.ephemeral
        self.folder = folder / self.name
        self.counts = counts
        self.clock_step_s = 0.0
        self.slow_s = 0.0
        self.epoch = 0
        """Number of lost volumes."""
        self.lost_at = -math.inf
        """Time at which the last volume was lost."""
        self._loop = loop
        self._chance = plan.random("disk", number)
        self.state = self.folder / "state"
        self.state.mkdir(parents=True)
        (self.folder / "api-key").write_text(KEY)
        endpoints = dict.fromkeys(("trading", "wallet", "escrow", "faucet"), URL)
        settings = {**plan.settings(), "api": {"endpoints": endpoints}}
        (self.folder / names.SETTINGS_FILE).write_text(json.dumps(settings))
        self.set_mode("Active")
        self.environment = Environment.model_validate(
            {
                names.AGENT_ID: self.name,
                names.CONFIG_DIR: self.folder,
                names.STATE_DIR: self.state,
                names.API_KEY_FILE: self.folder / "api-key",
            }
        )
        self.process: Process | None = None

    def wall(self) -> float:
        """Return the wall clock of the node."""
        return self._loop.wall() + self.clock_step_s

    def set_mode(self, mode: str, *, flatten: bool = False) -> None:
        """Write control.json."""
        text = json.dumps({"mode": mode, **({"flatten": True} if flatten else {})})
        path = self.folder / names.CONTROL_FILE
        path.with_suffix(".new").write_text(text)
        path.with_suffix(".new").replace(path)

    def start(self) -> Process:
        """Start a process."""
        self.process = Process(self, self._loop)
        self.process.start()
        return self.process

    def lose_volume(self) -> None:
        """Delete the journal, as with a new pod without spec.storage."""
        self.epoch += 1
        self.lost_at = self._loop.now
        shutil.rmtree(self.state)
        self.state.mkdir()

    def fill_disk(self) -> None:
        """Let the file grow no more, as on a full disk."""
        self._database.execute(f"PRAGMA max_page_count = {self._pages}")

    def free_disk(self) -> None:
        """Let the file grow again."""
        if self.process is not None and not self.process.is_dead:
            self._database.execute("PRAGMA max_page_count = 1073741823")

    def disk_delay_s(self) -> float:
        """Return the time that the next access takes."""
        return self._chance.uniform(0.0, self.slow_s) if self.slow_s else 0.0

    @property
    def is_stopped(self) -> bool:
        """True if the agent acts on the mode Stopped."""
        return self.process is not None and self.process.app.control.is_stopped

    def rows(self, statement: str) -> list[sqlite3.Row]:
        """Read from the journal beside the agent."""
        return self._database.execute(statement).fetchall()

    @property
    def _database(self) -> sqlite3.Connection:
        assert self.process is not None
        return self.process._store._database

    @property
    def _pages(self) -> int:
        return int(self._database.execute("PRAGMA page_count").fetchone()[0])
