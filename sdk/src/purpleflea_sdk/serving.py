"""The process around an agent of your own: `serve(function)` or `serve(function, app=app)`.

It gives probes, the acknowledgement of the trading mode, /metrics, a graceful exit and the flush of telemetry. Your
function is the loop of the agent. If it ends before the process was asked to stop, readiness and liveness fail.
Paths of an application need uvicorn (the extra `app`); without one, a plain server answers.
"""

import asyncio
import contextlib
import functools
import inspect
import logging
import signal
import socket
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from types import FrameType
from typing import Any, Protocol, TypeGuard, cast

from purpleflea_contract import routes
from purpleflea_contract.settings import Settings
from purpleflea_sdk import pauses, serve_arguments
from purpleflea_sdk.control import ControlFile, Drain
from purpleflea_sdk.exit_deadline import TELEMETRY_TIMEOUT_S, exit_within
from purpleflea_sdk.http import listener, plain_server
from purpleflea_sdk.http.response import Response
from purpleflea_sdk.settings import (
    Environment,
    SettingsError,
    partial_environment,
    read_environment,
    read_settings,
)
from purpleflea_sdk.telemetry import drop_counters, logs, metrics, tracing
from purpleflea_sdk.telemetry.dogstatsd import create_emitter, warn_if_no_receiver
from purpleflea_sdk.telemetry.guard import text_of

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
        self.drain: Callable[[], Awaitable[Drain]] | None = None
        """Set it to a function that reports the work in progress, if a text is not enough. It runs for each
        acknowledgement of the mode."""
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

    async def sleep(self, seconds: float, *, heartbeats: bool = False) -> None:
        """Wait, or return at once when the process is asked to stop. For an async function.

        With `heartbeats`, a heartbeat is sent every 20 s meanwhile. Use it after an interval that was completed.
        """
        self._attach()
        assert self._wakeup is not None  # noqa: S101 - for the type checker
        sign_of_life = metrics.record_idle_heartbeat if heartbeats else None
        await pauses.pause(self._wakeup, seconds, sign_of_life)

    def wait(self, seconds: float, *, heartbeats: bool = False) -> None:
        """Do the same for a function that is not async."""
        sign_of_life = metrics.record_idle_heartbeat if heartbeats else None
        pauses.pause_thread(self._stopping, seconds, sign_of_life)

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


class Application(Protocol):
    """A FastAPI or Starlette application."""

    router: Any
    """Its routes; `router.lifespan_context(app)` is its start and stop."""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Serve a request (ASGI 3)."""


class _Process:
    """The function, its task, and the reason why it ended."""

    def __init__(self, agent: Agent, function: Function | None, app: Application | None) -> None:
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
                result = await asyncio.to_thread(_without_stop_iteration, self.function, self.agent)
            if inspect.isawaitable(result):
                await result
        except asyncio.CancelledError:
            if self.agent.is_stopping:
                raise
            self.death = "it was canceled"
            logger.critical("The agent's function was canceled")
        except KeyboardInterrupt:
            raise
        except (
            BaseException
        ) as error:  # code of the user may raise anything, such as the panic of a Rust library
            self.death = f"{type(error).__name__}: {text_of(error)}"
            logger.critical("The agent's function failed", exc_info=error)
        else:
            if not self.agent.is_stopping:
                self.death = "it returned"
                logger.critical("The agent's function returned before the process was stopped")

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Run the function and the application's own start and stop."""
        following = asyncio.create_task(self.agent.control.follow(), name="control")
        async with contextlib.AsyncExitStack() as stack:
            if self.app is not None:
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

    @property
    def exit_code(self) -> int:
        """0, or 1 if the function ended before the process was stopped."""
        return 0 if self.death is None else 1

    def problem(self) -> str | None:
        """Describe why the process does not work; None if it does."""
        return None if self.death is None else f"the agent's function ended: {self.death}"

    async def drain(self) -> Drain:
        """Report the work in progress."""
        agent = self.agent
        drain = await agent.drain() if agent.drain is not None else Drain(is_drained=True)
        if agent.left_undone is None:
            return drain
        texts = (drain.left_undone, agent.left_undone if agent.control.is_halted else None)
        text = "; ".join(text for text in texts if text) or None
        return replace(drain, is_drained=False, left_undone=text)

    async def answer(self, path: str, accept: str) -> Response | None:
        """Return the response of a path that the operator needs; None for any other path."""
        match path:
            case routes.HEALTH.path:
                return _probe(self.problem())
            case routes.READY.path:
                halted = self.agent.control.is_halted
                return _probe(self.problem() or (None if halted else self.agent.not_ready))
            case routes.CONTROL.path:
                acknowledgement = await self.agent.control.acknowledge(self.drain)
                return Response(status=200, body=acknowledgement.model_dump_json().encode())
            case routes.STATUS.path:
                return Response.of_json(self._status())
            case routes.METRICS.path:
                page, content_type = metrics.emitter().exposed(accept)
                return Response(status=200, content_type=content_type, body=page)
        return None

    def _status(self) -> dict[str, object]:
        dropped = drop_counters.counts()
        return {
            "agent_id": self.agent.environment.agent_id,
            "mode": self.agent.control.mode.value,
            "telemetry_dropped": sum(dropped.values()),
            "telemetry_dropped_by_signal": dropped,
        }


def serve(function: Function | Application | None = None, *, app: Application | None = None) -> int:
    """Run a process until SIGTERM or SIGINT; return its exit code for `sys.exit`.

    `function` takes one Agent; async, or not async (then it runs in a thread). `app` is a FastAPI or Starlette
    application for paths of your own, which is enough if the agent has no loop. Call it in the main thread.

    The exit code is 0 after a signal, 1 if the function ended without one, and 2 if the environment or the port must
    be changed; the log has one line with the remedy.

    Raises:
        TypeError: There is neither a function nor an application, or the function cannot be called with one Agent.
        RuntimeError: It is called in another thread, or while an event loop runs.
        ImportError: There is an application, and uvicorn is not installed.
    """
    if _is_application(function):
        work, app = None, function
    else:
        work = cast("Function | None", function)
    serve_arguments.check(work, has_application=app is not None)
    run = _run_plain if app is None else _uvicorn()
    early_signals = listener.keep_early_signals()
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
    process = _Process(Agent(environment), work, app)
    try:
        bound = listener.listener(environment)
    except OSError as error:
        logger.critical(listener.CANNOT_BIND, extra={"error": str(error)})
        return USER_ERROR
    logger.info("Listening", extra={"http_port": bound.getsockname()[1]})
    if early_signals:
        return 0
    started = run(process, bound)
    metrics.emitter().close()
    return process.exit_code if started else 1


Run = Callable[[_Process, socket.socket], bool]
"""Serves the process until a signal; returns whether it started."""


def _run_plain(process: _Process, bound: socket.socket) -> bool:
    asyncio.run(_plain(process, bound))
    return True


async def _plain(process: _Process, bound: socket.socket) -> None:
    loop, stopped = asyncio.get_running_loop(), asyncio.Event()

    def stop(_: int, __: FrameType | None) -> None:
        if not process.agent.is_stopping:
            exit_within(process.agent.environment.exit_timeout_s)
            process.agent.stop()
            loop.call_soon_threadsafe(stopped.set)

    # Not add_signal_handler: its handlers are removed with the loop, and a second signal would end the process early.
    handlers = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        # The server stops last, so that a halt is acknowledged while the function finishes its work.
        async with plain_server.running(bound, process.answer), process.running():
            await stopped.wait()
        # From here on only telemetry is left, and its time is bounded.
        exit_within(TELEMETRY_TIMEOUT_S, process.exit_code)
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)


def _uvicorn() -> Run:
    """Return the server for an application.

    Raises:
        ImportError: uvicorn is not installed.
    """
    try:
        import uvicorn  # noqa: F401
    except ImportError as error:
        remedy = "pip install 'purpleflea-sdk[app]'"
        raise ImportError(f"an application needs uvicorn: {remedy}") from error
    from purpleflea_sdk.http.asgi import OperatorPaths
    from purpleflea_sdk.http.request_limits import BodyLimit, RequestLimit
    from purpleflea_sdk.http.server import Server

    def run(process: _Process, bound: socket.socket) -> bool:
        agent = process.agent
        assert process.app is not None  # noqa: S101 - for the type checker
        paths = OperatorPaths(process.answer, process.app, process.running)
        server = Server(
            BodyLimit(RequestLimit(paths)),
            agent.environment,
            at_exit=agent.stop,
            exit_code=lambda: process.exit_code,
        )
        server.run(sockets=[bound])
        return server.started

    return run


def _is_application(function: object) -> TypeGuard[Application]:
    return hasattr(getattr(function, "router", None), "lifespan_context")


def _probe(problem: str | None) -> Response:
    if problem is None:
        return Response.of_json({"status": "ok"})
    return Response.of_json({"status": "failed", "detail": problem}, status=503)


def _without_stop_iteration(function: Function, agent: Agent) -> Awaitable[None] | None:
    """Call the function. A future cannot have a StopIteration, so it would never end."""
    try:
        return function(agent)
    except StopIteration as error:
        raise RuntimeError("the function raised StopIteration") from error


def _is_async(function: Function) -> bool:
    return inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(
        getattr(type(function), "__call__", None)  # noqa: B004 - the method of a callable object
    )
