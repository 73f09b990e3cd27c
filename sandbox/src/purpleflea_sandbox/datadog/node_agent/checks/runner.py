"""The process that checks run in: started when it is needed, a JSON line per request and answer, killed if it hangs.

Checks are other people's code on Datadog's base classes, which need other versions of libraries than we do. What they
do there cannot hurt the node agent: a run that fails, hangs or takes the process with it is an error of that run.
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

_LONGEST_ANSWER = 16 * 1024 * 1024
_RESTART_DELAY_S = 1.0
_AT_ONCE = check_runner.AT_ONCE


class RunError(Exception):
    """A run that brought nothing; the text says why."""


class ProcessEnded(RunError):  # noqa: N818 - named by what happened
    """The process went during the run: by this check, or by one that ran beside it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Interpreter:
    """What runs checks: a Python with Datadog's base classes, and the folder of custom checks."""

    python: Path
    checks_d: Path
    hostname: str
    version: str = "7.81.1"

    @property
    def command(self) -> Sequence[str]:
        """Isolated (-I): neither our packages nor variables of ours reach the checks."""
        program = str(Path(check_runner.__file__).resolve())
        return (str(self.python), "-I", program, str(self.checks_d), self.hostname, self.version)


class CheckRunner:
    """The process and the requests it owes an answer to."""

    def __init__(
        self, interpreter: Interpreter, counters: Counters, *, timeout_s: float = 30.0
    ) -> None:
        self._interpreter = interpreter
        self._counters = counters
        self._timeout_s = timeout_s
        self._numbers = itertools.count(1)
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._alone = asyncio.Lock()
        self._starting = asyncio.Lock()
        self._process: asyncio.subprocess.Process | None = None
        self._reader: asyncio.Task[None] | None = None
        self._owed: dict[int, asyncio.Future[Mapping[str, Any]]] = {}

    async def run(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        """The answer to one request. Raises RunError.

        Who was in the process when it ended runs once more, alone: so only the check that ends it fails.
        """
        try:
            async with self._room:
                return await self._once(request)
        except ProcessEnded:
            async with self._alone, contextlib.AsyncExitStack() as whole_room:
                for _ in range(_AT_ONCE):
                    await whole_room.enter_async_context(self._room)
                return await self._once(request)

    async def _once(self, request: Mapping[str, Any]) -> Mapping[str, Any]:
        process = await self._running()
        number = next(self._numbers)
        answer = self._owed[number] = asyncio.get_running_loop().create_future()
        try:
            await self._send(process, {**request, "number": number})
            return await asyncio.wait_for(answer, self._timeout_s)
        except TimeoutError:
            self._counters.add("checks.timeouts")
            # One thread of it hangs for good: only a new process brings it back.
            self._owed.pop(number)
            await self._stop(process)
            raise RunError(f"it did not end within {self._timeout_s:g} s") from None
        finally:
            self._owed.pop(number, None)

    async def forget(self, check_id: str) -> None:
        """Let go of the check object of an instance that runs no more."""
        if self._process is not None and self._process.returncode is None:
            await self._send(self._process, {"forget": check_id})

    async def close(self) -> None:
        """End the process."""
        if self._process is not None:
            await self._stop(self._process)

    async def _running(self) -> asyncio.subprocess.Process:
        async with self._starting:
            if self._process is not None and self._process.returncode is None:
                return self._process
            if self._process is not None:
                await asyncio.sleep(_RESTART_DELAY_S)
            try:
                self._process = await asyncio.create_subprocess_exec(
                    *self._interpreter.command,
                    stdin=asyncio.subprocess.PIPE,
                    stdout=asyncio.subprocess.PIPE,
                    limit=_LONGEST_ANSWER,
                    start_new_session=True,
                    env={"PATH": "/usr/local/bin:/usr/bin:/bin", "LANG": "C.UTF-8"},
                )
            except OSError as error:
                raise RunError(f"checks cannot run here: {error}") from error
            self._counters.add("checks.runner_starts")
            self._reader = asyncio.create_task(self._read(self._process), name="check-answers")
            return self._process

    async def _send(self, process: asyncio.subprocess.Process, message: Mapping[str, Any]) -> None:
        if process.stdin is None or process.stdin.is_closing():
            raise ProcessEnded("the process of the checks ended")
        try:
            process.stdin.write(json.dumps(message).encode() + b"\n")
            await process.stdin.drain()
        except (ConnectionError, OSError) as error:
            raise ProcessEnded(f"the process of the checks ended: {error}") from error

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        """Hand out answers until the process ends; then nobody waits for it any longer."""
        output = process.stdout
        try:
            while output is not None and (line := await output.readline()):
                answer = json.loads(line)
                owed = self._owed.get(answer["number"])
                if owed is not None and not owed.done():
                    owed.set_result(answer)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            logger.error("the process of the checks speaks nonsense, it is ended: %s", error)
            _kill(process)
        await _ended(process)
        for owed in self._owed.values():
            if not owed.done():
                owed.set_exception(ProcessEnded("the process of the checks ended during the run"))

    async def _stop(self, process: asyncio.subprocess.Process) -> None:
        _kill(process)
        if self._reader is not None:
            # An await of the task itself would hand on our own cancellation.
            await asyncio.wait({self._reader})


async def _ended(process: asyncio.subprocess.Process) -> None:
    """Wait for the end of a process whose output is of no interest any more, and close its pipes."""
    if process.stdin is not None:
        process.stdin.close()
        with contextlib.suppress(ConnectionError):
            await process.stdin.wait_closed()
    while process.stdout is not None and await process.stdout.read(65_536):
        pass
    await process.wait()


def _kill(process: asyncio.subprocess.Process) -> None:
    """With all that it started. Not by process.kill(): that reaps, and the loop would not learn how it ended."""
    if process.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
