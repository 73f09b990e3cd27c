"""Process that runs the checks: started on demand, one JSON line per request and response, killed if it hangs.

Checks are third-party code on Datadog's base classes, which need other library versions than this project. A check
cannot affect the node agent: if a run fails, hangs or crashes the process, only this run has an error.
"""

import asyncio
import contextlib
import itertools
import json
import logging
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from purpleflea_sandbox.datadog import check_runner
from purpleflea_sandbox.datadog.node_agent.counters import Counters

logger = logging.getLogger(__name__)

_MAX_RESPONSE_BYTES = 16 * 1024 * 1024
_RESTART_DELAY_S = 1.0
_CONCURRENCY = check_runner.CONCURRENCY


class RunError(Exception):
    """A run without a result; the message contains the reason."""


class ProcessEnded(RunError):  # noqa: N818 - named after the event
    """The process ended during the run, because of this check or of a check that ran beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """Command that runs checks: a Python with Datadog's base classes, and the folder of custom checks."""

    python: Path
    checks_d: Path
    hostname: str
    version: str = "7.81.1"

    @property
    def command(self) -> Sequence[str]:
        """Return an isolated command (-I), so that neither this project's packages nor its environment reach the
        checks.
        """
        program = str(Path(check_runner.__file__).resolve())
        return (str(self.python), "-I", program, str(self.checks_d), self.hostname, self.version)


class CheckRunner:
    """The process, and the requests that wait for a response."""

    def __init__(
        self, interpreter: Interpreter, counters: Counters, *, timeout_s: float = 30.0
    ) -> None:
        self._interpreter = interpreter
        self._counters = counters
        self._timeout_s = timeout_s
        self._numbers = itertools.count(1)
        self._slots = asyncio.Semaphore(_CONCURRENCY)
        self._exclusive = asyncio.Lock()
        self._start_lock = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._pending: dict[int, asyncio.Future[Mapping[str, Any]]] = {}

    async def run(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the response to a request. Raises RunError.

        If the process ends, every request that was running in it is repeated once without concurrency, so that only
        the check that ends the process fails.
        """
        try:
            async with self._slots:
                return await self._send_and_wait(request)
        except ProcessEnded:
            async with self._exclusive, contextlib.AsyncExitStack() as all_slots:
                for _ in range(_CONCURRENCY):
                    await all_slots.enter_async_context(self._slots)
                return await self._send_and_wait(request)

    async def _send_and_wait(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        process = await self._ensure_process()
        number = next(self._numbers)
        answer = self._pending[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(process, {**request, "number": number})
            return await asyncio.wait_for(answer, self._timeout_s)
        except TimeoutError:
            self._counters.add("checks.timeouts")
            # One thread of the process hangs permanently, so the process has to be replaced.
            self._pending.pop(number)
            await self._stop(process)
            raise RunError(f"it did not finish within {self._timeout_s:g} s") from None
        finally:
            self._pending.pop(number, None)

    async def forget(self, check_id: str) -> None:
        """Remove the check object of an instance that is no longer scheduled."""
        if self._process is not None and self._process.returncode is None:
            await self._send(self._process, {"forget": check_id})

    async def close(self) -> None:
        """Stop the process."""
        if self._process is not None:
            await self._stop(self._process)

    async def _ensure_process(self) -> asyncio.subprocess.Process:
        async with self._start_lock:
            if self._process is not None and self._process.returncode is None:
                return self._process
            if self._process is not None:
                await asyncio.sleep(_RESTART_DELAY_S)
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._interpreter.command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    limit=_MAX_RESPONSE_BYTES,
                    start_new_session=True,
                    env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
                )
            except OSError as error:
                raise RunError(f"the check process cannot start: {error}") from error
            self._counters.add("checks.runner_starts")
            self._reader = asyncio.create_task(self._read(self._process), name="check-answers")
            return self._process

    async def _send(self, process: asyncio.subprocess.Process, message: Mapping[str, Any]) -> None:
        if process.stdin is None or process.stdin.is_closing():
            raise ProcessEnded("the check process ended")
        try:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            await process.stdin.drain()
        except (ConnectionError, OSError) as error:
            raise ProcessEnded(f"the check process ended: {error}") from error

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Distribute responses until the process ends, then fail all pending requests."""
        output = process.stdout
        try:
            while output is not None and (line := await output.readline()):
                answer = json.loads(line)
                pending = self._pending.get(answer["number"])
                if pending is not None and not pending.done():
                    pending.set_result(answer)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logger.error("killed the check process, because its output is invalid: %s", error)
            _kill(process)
        await _wait_for_exit(process)
        for pending in self._pending.values():
            if not pending.done():
                pending.set_exception(ProcessEnded("the check process ended during the run"))

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        _kill(process)
        if self._reader is not None:
            # Awaiting the task directly would propagate this task's own cancellation to it.
            await asyncio.wait({self._reader})


async def _wait_for_exit(process: asyncio.subprocess.Process) -> None:
    """Discard the remaining output, close the pipes and wait for the process to exit."""
    if process.stdin is not None:
        process.stdin.close()
        with contextlib.suppress(ConnectionError):
            await process.stdin.wait_closed()
    while process.stdout is not None and await process.stdout.read(65_536):
        pass
    await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    """Kill the process group. process.kill() is not used, because it reaps the process and the event loop would miss
    the exit status.
    """
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
