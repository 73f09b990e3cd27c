"""The process around an agent of your own: `serve(function)` or `serve(function, app=app)`.

It gives probes, the acknowledgement of the trading mode, /metrics, a graceful exit and the flush of telemetry. Your
function is the loop of the agent. If it ends before the process was asked to stop, readiness and liveness fail.
"""

import asyncio
import contextlib
import functools
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from starlette.applications import Starlette

from purpleflea_agent.api import server
from purpleflea_agent.api.request_limits import BodyLimit
from purpleflea_agent.api.server import Server
from purpleflea_agent.control import ControlFile
from purpleflea_agent.settings import (
    Environment,
    SettingsError,
    partial_environment,
    read_environment,
    read_settings,
)
from purpleflea_agent.telemetry import drop_counters, logs, metrics, tracing
from purpleflea_agent.telemetry.dogstatsd import create_emitter, warn_if_no_receiver
from purpleflea_contract import routes
from purpleflea_contract.control import Acknowledgement
from purpleflea_contract.settings import Settings

USER_ERROR = 2

logger = logging.getLogger("purpleflea.agent")


class Agent:
    """The process as your function sees it; its only argument."""

    def __init__(self, environment: Environment) -> None:
        self.environment = environment
        """Identity, folders and receivers."""
        self.control = ControlFile(environment.control_file)
        """The trading mode. Call `control.refresh()` before each use, or use `sending()`."""
        self.not_ready: str | None = None
        """Set it to a reason to fail the readiness probe, such as an exchange that does not answer."""
        self.left_undone: str | None = None
        """Set it to the orders that are still open: a halt is not reported as drained until it is None again."""
        self._stopping = threading.Event()
        self._wakeup: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    @functools.cached_property
    def settings(self) -> Settings:
        """The settings of the resource, from settings.json.

        Raises:
            SettingsError: The file cannot be read, or is not valid.
        """
        return read_settings(self.environment.settings_file)

    @property
    def is_stopping(self) -> bool:
        """True from the signal to stop on: finish the work in progress and return."""
        return self._stopping.is_set()

    @property
    def may_trade(self) -> bool:
        """True if money may leave at this moment. The mode is read for each call."""
        self.control.refresh()
        return self.control.block_reason is None

    @contextlib.contextmanager
    def sending(self) -> Iterator[None]:
        """Put exactly the request that moves money inside. A halt is acknowledged only after its answer.

        Raises:
            SendBlocked: The trading mode forbids the request; do not send it.
        """
        with self.control.sending(lambda: self.control.block_reason):
            yield

    async def sleep(self, seconds: float) -> None:
        """Wait, or return at once when the process is asked to stop. For an async function."""
        self._attach()
        assert self._wakeup is not None  # noqa: S101 - for the type checker
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._wakeup.wait()

    def wait(self, seconds: float) -> None:
        """Wait, or return at once when the process is asked to stop. For a function that is not async."""
        self._stopping.wait(seconds)

    def stop(self) -> None:
        """Ask the function to return, and let no more money leave. Safe in a signal handler."""
        self.control.end()
        self._stopping.set()
        if self._loop is not None and self._wakeup is not None:
            self._loop.call_soon_threadsafe(self._wakeup.set)

    def _attach(self) -> None:
        if self._wakeup is None:
            self._loop, self._wakeup = asyncio.get_running_loop(), asyncio.Event()
            if self._stopping.is_set():
                self._wakeup.set()


Function = Callable[[Agent], Awaitable[None] | None]


class _Process:
    """The function, its task, and the reason why it ended."""

    def __init__(self, agent: Agent, function: Function | None, app: Starlette | None) -> None:
        self.agent = agent
        self.function = function
        self.app = app
        self.death: str | None = None

    async def run(self) -> None:
        """Run the function; record why it ended, unless the process stops."""
        if self.function is None:
            return
        self.agent._attach()
        try:
            if _is_async(self.function):
                result = self.function(self.agent)
            else:
                result = await asyncio.to_thread(self.function, self.agent)
            if inspect.isawaitable(result):
                await result
        except asyncio.CancelledError:
            if self.agent.is_stopping:
                raise
            self.death = "it was canceled"
            logger.critical("The agent's function was canceled")
        except (Exception, SystemExit) as error:  # code of the user may raise anything
            self.death = f"{type(error).__name__}: {error}"
            logger.critical("The agent's function failed", exc_info=error)
        else:
            if not self.agent.is_stopping:
                self.death = "it returned"
                logger.critical("The agent's function returned before the process was stopped")

    @contextlib.asynccontextmanager
    async def lifespan(self, _: FastAPI) -> AsyncIterator[None]:
        """Run the function and the application's own start and stop."""
        following = asyncio.create_task(self.agent.control.follow(), name="control")
        async with contextlib.AsyncExitStack() as stack:
            if self.app is not None:  # Starlette does not run it for a mounted application
                await stack.enter_async_context(self.app.router.lifespan_context(self.app))
            running = asyncio.create_task(self.run(), name="agent")
            try:
                yield
            finally:
                self.agent.stop()
                await self._finish(running)
                following.cancel()
        logger.info("Stopped")

    async def _finish(self, running: asyncio.Task[None]) -> None:
        _, late = await asyncio.wait({running}, timeout=self.agent.environment.drain_timeout_s)
        if late:
            logger.warning("The agent's function did not return in time after the signal to stop")
            running.cancel()
            await asyncio.wait({running}, timeout=1)

    def problem(self) -> str | None:
        """Describe why the process does not work; None if it does."""
        return None if self.death is None else f"the agent's function ended: {self.death}"

    def acknowledgement(self) -> Acknowledgement:
        """Return the answer to the operator."""
        agent = self.agent
        return agent.control.acknowledged(
            at_rest=agent.control.is_halted and agent.left_undone is None,
            left_undone=agent.left_undone if agent.control.is_halted else None,
        )


def serve(function: Function | Starlette | None = None, *, app: Starlette | None = None) -> int:
    """Run a process until SIGTERM or SIGINT; return its exit code for `sys.exit`.

    `function` takes one Agent; async, or not async (then it runs in a thread). `app` is a FastAPI or Starlette
    application for paths of your own, which is enough if the agent has no loop.
    """
    if isinstance(function, Starlette):
        function, app = None, function
    if function is None and app is None:
        raise TypeError("serve needs a function of one argument, or an application")
    early_signals = server.keep_early_signals()
    try:
        environment = read_environment()
    except SettingsError as error:
        logs.configure(partial_environment())
        logger.critical(str(error))
        return USER_ERROR
    logs.configure(environment)
    warn_if_no_receiver(environment)
    metrics.install(create_emitter(environment))
    tracing.install(environment)
    process = _Process(Agent(environment), function, app)
    running = Server(
        create_app(process),
        environment,
        at_exit=process.agent.stop,
        exit_code=lambda: 0 if process.death is None else 1,
    )
    try:
        listener = server.listener(environment)
    except OSError as error:
        logger.critical(server.CANNOT_BIND, extra={"error": str(error)})
        return USER_ERROR
    logger.info("Listening", extra={"http_port": listener.getsockname()[1]})
    if early_signals:
        return 0
    running.run(sockets=[listener])
    metrics.emitter().close()
    return 0 if running.started and process.death is None else 1


def create_app(process: _Process) -> FastAPI:
    """Return the routes that the operator needs, in front of those of the application."""
    made = FastAPI(lifespan=process.lifespan, openapi_url=None)

    @made.get(routes.HEALTH.path)
    async def healthz() -> JSONResponse:
        return _probe(process.problem())

    @made.get(routes.READY.path)
    async def readyz() -> JSONResponse:
        halted = process.agent.control.is_halted
        return _probe(process.problem() or (None if halted else process.agent.not_ready))

    @made.get(routes.CONTROL.path)
    async def control() -> Acknowledgement:
        process.agent.control.refresh()
        await process.agent.control.wait_until_applied()
        return process.acknowledgement()

    @made.get(routes.STATUS.path)
    async def status() -> dict[str, object]:
        dropped = drop_counters.counts()
        return {
            "agent_id": process.agent.environment.agent_id,
            "mode": process.agent.control.mode.value,
            "telemetry_dropped": sum(dropped.values()),
            "telemetry_dropped_by_signal": dropped,
        }

    @made.get(routes.METRICS.path)
    async def metrics_page(request: Request) -> Response:
        page, content_type = metrics.emitter().exposed(request.headers.get("accept", ""))
        return Response(page, headers={"Content-Type": content_type})

    if process.app is not None:
        made.mount("/", process.app)
    made.add_middleware(BodyLimit)
    return made


def _probe(problem: str | None) -> JSONResponse:
    if problem is None:
        return JSONResponse({"status": "ok"})
    return JSONResponse({"status": "failed", "detail": problem}, status_code=503)


def _is_async(function: Function) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004 - the method of a callable object
    )
