"""The simulated cluster: API server, StatefulSet controller, agents, and a Deployment of operators with its kubelet.

All parts run in one loop with virtual time. A killed operator stays without effect from that moment on: its connections
are cut, and no further request of it is processed.
"""

import asyncio
import contextlib
import logging
import random
import socket
import traceback
from collections.abc import AsyncIterator, Callable
from contextvars import Context, ContextVar
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID
from weakref import WeakKeyDictionary

import aiohttp
import kopf
from aiohttp import web

from purpleflea_operator import app, handlers, timings
from purpleflea_operator.runtime.lifecycle import StartError
from purpleflea_operator.settings import OperatorSettings
from support.apiserver import store
from support.apiserver.faults import Fault
from support.apiserver.loopback import url_of
from support.apiserver.requests import Request
from support.apiserver.server import ApiServer
from support.paper_agents import PaperAgents
from support.simulation.clock import Clock, VirtualLoop

LATENCY_S = 0.004
POD_START_S = 2.0
POD_TERMINATION_S = 1.0
BOOKMARK_S = 60.0
RESTART_S = 1.0
"""Time until the kubelet starts a container again."""
CRASH_BACKOFF_S = 10.0
"""Time until the kubelet starts a container again that has ended at its start. It doubles with each further crash."""
PROBE_PERIOD_S = 10.0
PROBE_FAILURES = 3
GRACE_S = 30.0
"""Time between SIGTERM and SIGKILL."""
MOST_REQUESTS = 2000
"""Requests of the operators after which a simulation is stopped."""
BYSTANDER = "carry"
"""Name of the agent that no operation concerns."""
_hostname = ContextVar("hostname", default="machine")
"""Each process of the operator has its own name."""
_processes: WeakKeyDictionary["asyncio.Task[Any]", str] = WeakKeyDictionary()
"""The process of each task, because all processes share the loop."""
LEASE = {"lease_namespace": "system"}


@dataclass(slots=True, eq=False)
class Operator:
    """One process of the operator."""

    name: str
    task: "asyncio.Task[None]"
    stop: asyncio.Event
    listener: web.ServerRunner
    port: int
    is_dead: bool = False
    transports: set[asyncio.BaseTransport] = field(default_factory=set)


class Replica:
    """A pod of the operator: the kubelet starts its process again when it ends."""

    def __init__(self, world: "World", name: str) -> None:
        self.name = name
        self.starts = 0
        self.ends: list[str] = []
        self._world = world
        self.operator: Operator | None = None
        self._stopped = False
        self.kubelet = asyncio.create_task(self._run(), name=f"kubelet of {name}")

    async def _run(self) -> None:
        crashes = 0
        while not self._stopped:
            self.operator = await self._world.start_operator(f"{self.name}-{self.starts}")
            self.starts += 1
            probe = asyncio.create_task(self._probe(self.operator))
            (result,) = await asyncio.gather(self.operator.task, return_exceptions=True)
            probe.cancel()
            self.ends.append(repr(result))
            await self._world.remove(self.operator)
            crashes = crashes + 1 if isinstance(result, StartError) else 0
            await asyncio.sleep(CRASH_BACKOFF_S * 2.0 ** (crashes - 1) if crashes else RESTART_S)

    async def _probe(self, operator: Operator) -> None:
        failures = 0
        while failures < PROBE_FAILURES:
            await asyncio.sleep(PROBE_PERIOD_S)
            failures = 0 if await _is_live(operator.port) else failures + 1
        operator.stop.set()
        await asyncio.sleep(GRACE_S)
        self._world.kill(operator)

    def kill(self) -> None:
        """End the process as with SIGKILL."""
        if self.operator is not None:
            self._world.kill(self.operator)

    async def terminate(self, *, restart: bool = True) -> None:
        """End the process as with SIGTERM, and wait for its end."""
        self._stopped = not restart
        if self.operator is not None:
            operator = self.operator
            operator.stop.set()
            await asyncio.wait([operator.task], timeout=GRACE_S)
            self._world.kill(operator)


async def _is_live(port: int) -> bool:
    try:
        timeout = aiohttp.ClientTimeout(total=5)
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.get(f"http://127.0.0.1:{port}/livez") as response,
        ):
            return response.status == 200
    except (aiohttp.ClientError, OSError, TimeoutError):
        return False


class World:
    """Everything that runs in one cell."""

    def __init__(self, clock: Clock, seed: int) -> None:
        self.clock = clock
        self.random = random.Random(seed)  # noqa: S311
        uuids = random.Random(seed)  # noqa: S311
        store.new_uid = lambda: str(UUID(int=uuids.getrandbits(128)))
        random.seed(seed)
        app._now = clock.wall
        socket.gethostname = _hostname.get
        vars(handlers)["all_tasks"] = _tasks_of_this_process
        asyncio.get_running_loop().set_task_factory(_new_task)
        # The lag of a loop with virtual time means nothing, and each sample is a step of the simulation.
        timings.LOOP_LAG_PERIOD_S = 3600.0
        self.server = ApiServer(
            now=clock.true_wall, bookmark_interval_s=BOOKMARK_S, runs_statefulsets=True
        )
        self.server.statefulsets.start_s = POD_START_S
        self.server.statefulsets.termination_s = POD_TERMINATION_S
        self.server.set_latency(LATENCY_S)
        self.agents = PaperAgents(self.server)
        self.settings: dict[str, Any] = {}
        self.replicas: list[Replica] = []
        self.errors: list[str] = []
        """Unexpected exceptions of the operators, and errors of the simulation itself."""
        self.halt_asked_at = 0.0
        self.acted_at = 0.0
        self.counts_bystander = False
        self.hits = 0
        """Requests that a planned fault applied to, without those for the bystander, and other effects of a hazard."""
        self.handled = 0
        """Requests of the operators."""

    @property
    def now_s(self) -> float:
        return self.clock.now_s

    async def writes_of_a_minute(self) -> int:
        """Let a minute pass, and return the number of writes in it, without those of the leader election."""
        self.server.clear()
        await asyncio.sleep(60)
        return sum(item.resource != "leases" for item in self.server.writes())

    def deploy(self, replicas: int = 1) -> None:
        """Start the pods of the operator."""
        for _ in range(replicas):
            self.replicas.append(Replica(self, f"operator-{len(self.replicas)}"))

    @property
    def leader(self) -> Replica | None:
        """The replica that holds the lease."""
        lease = self.server.get("Lease", "system", "purpleflea-operator")
        holder = lease["spec"].get("holderIdentity", "") if lease else ""
        return next((item for item in self.replicas if item.name in holder), None)

    async def start_operator(self, name: str) -> Operator:
        """Start a process with its own connections."""
        operator: Operator | None = None

        async def handle(http: web.BaseRequest) -> web.StreamResponse:
            assert operator is not None
            if operator.is_dead:
                return _cut(http)
            self._count_request()
            if http.transport is not None:
                operator.transports.add(http.transport)
            try:
                return await self.server.handle(http, name)
            except Exception as error:
                self.errors.append(repr(error))
                raise

        listener = await self.server.serve_here(handle)
        url, port = url_of(listener), _free_port()
        settings = OperatorSettings(**{"health_port": port, **LEASE, **self.settings})
        stop = asyncio.Event()
        _hostname.set(name)
        task = asyncio.create_task(
            app.run(
                settings,
                stop=stop,
                connect=lambda: kopf.ConnectionInfo(server=url),
                clock=self.clock.monotonic,
                agents=self.agents,
            ),
            name=name,
        )
        operator = Operator(name, task, stop, listener, port)
        return operator

    def plan(self, fault: Fault) -> Fault:
        """Add a fault whose hits are counted."""
        on_hit = fault.on_hit

        def count(request: Request) -> None:
            self.hits += self._counts(request.name)
            if on_hit is not None:
                on_hit(request)

        fault.on_hit = count
        return self.server.plan(fault)

    def all_hits(self) -> int:
        """Return how often the hazard had an effect on anything but the bystander."""
        disturbed = self.server.disturbed
        return self.hits + sum(n for name, n in disturbed.items() if self._counts(name))

    def _counts(self, name: str) -> bool:
        return self.counts_bystander or BYSTANDER not in name

    def _count_request(self) -> None:
        self.handled += 1
        loop = asyncio.get_running_loop()
        if self.handled > MOST_REQUESTS and isinstance(loop, VirtualLoop):
            loop.stop_because(f"{MOST_REQUESTS} requests of the operators, at {self.now_s:.1f}")

    def kill(self, operator: Operator) -> None:
        """Cut all connections of a process and end its tasks."""
        if operator.is_dead:
            return
        operator.is_dead = True
        for transport in operator.transports:
            if isinstance(transport, asyncio.WriteTransport):
                transport.abort()
        operator.task.cancel()

    async def remove(self, operator: Operator) -> None:
        """Close the listener of a process that has ended."""
        operator.is_dead = True
        with contextlib.suppress(TimeoutError):
            await operator.listener.cleanup()

    async def wait_for(self, condition: Callable[[], object], limit_s: float, what: str) -> float:
        """Wait for a condition in virtual time. Return the seconds that passed.

        Raises:
            AssertionError: It was not true within the limit.
        """
        began = self.now_s
        while not condition():
            if self.now_s - began > limit_s:
                raise AssertionError(f"{what}: not within {limit_s:g} s")
            await asyncio.sleep(0.1)
        return self.now_s - began

    async def close(self) -> None:
        """End everything."""
        self.server.clear_faults()
        for replica in self.replicas:
            replica.kill()
            replica.kubelet.cancel()
        tasks = [replica.operator.task for replica in self.replicas if replica.operator]
        await asyncio.gather(*tasks, return_exceptions=True)
        for replica in self.replicas:
            if replica.operator is not None:
                await self.remove(replica.operator)
        # kopf reports errors of tasks that the end of the simulation cancels.
        asyncio.get_running_loop().set_exception_handler(lambda loop, context: None)
        current = asyncio.current_task()
        rest = [task for task in asyncio.all_tasks() if task is not current]
        for task in rest:
            task.cancel()
        await asyncio.gather(*rest, return_exceptions=True)


@contextlib.asynccontextmanager
async def a_world(clock: Clock, seed: int) -> AsyncIterator[World]:
    """Return a world that ends with the context."""
    logging.getLogger("kopf").setLevel(logging.CRITICAL)
    logger, world = logging.getLogger("purpleflea_operator"), World(clock, seed)
    handler = _Exceptions(world.errors)
    logger.setLevel(logging.ERROR)
    logger.propagate = False
    logger.addHandler(handler)
    try:
        yield world
    finally:
        logger.removeHandler(handler)
        await world.close()


def _new_task(
    loop: asyncio.AbstractEventLoop, coro: Any, *, context: Context | None = None
) -> "asyncio.Task[Any]":
    task = asyncio.Task(coro, loop=loop, context=context)
    _processes[task] = _hostname.get() if context is None else context.get(_hostname, "")
    return task


def _tasks_of_this_process(
    loop: asyncio.AbstractEventLoop | None = None,
) -> "set[asyncio.Task[Any]]":
    name = _hostname.get()
    return {task for task in asyncio.all_tasks(loop) if _processes.get(task) == name}


class _Exceptions(logging.Handler):
    """Keeps the exceptions that the operator did not expect."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._errors = errors

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info:
            trace = "".join(traceback.format_exception(*record.exc_info))
            self._errors.append(f"{record.getMessage()}: {trace[-600:]}")


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _cut(http: web.BaseRequest) -> web.Response:
    if http.transport is not None:
        http.transport.abort()
    return web.Response()
