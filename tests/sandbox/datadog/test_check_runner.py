"""Life cycle of the check process, with interpreters that fail."""

import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from purpleflea_sandbox.datadog.node_agent.checks.runner import (
    CheckRunner,
    Interpreter,
    ProcessEnded,
    RunError,
)
from purpleflea_sandbox.datadog.node_agent.counters import Counters

REQUEST = {"id": "hello:1", "check": "hello", "init_config": {}, "instance": {}}
ANSWER = r"""sed -u 's/.*"number": \([0-9]*\).*/{"number": \1, "said": "hello"}/'"""

Make = Callable[..., CheckRunner]


@pytest.fixture
async def make(tmp_path: Path, counters: Counters) -> AsyncIterator[Make]:
    runners: list[CheckRunner] = []

    def runner(program: str | Path, timeout_s: float = 20.0) -> CheckRunner:
        python = Path(program)
        if isinstance(program, str):
            python = tmp_path / "python"
            python.write_text(f"#!/bin/sh\n{program}\n")
            python.chmod(0o755)
        interpreter = Interpreter(python=python, checks_d=tmp_path, hostname="node-1")
        runners.append(CheckRunner(interpreter, counters, timeout_s=timeout_s))
        return runners[-1]

    yield runner
    for one in runners:
        await one.close()


@pytest.fixture
def counters() -> Counters:
    return Counters()


async def test_many_requests_share_one_process(make: Make, counters: Counters) -> None:
    runner = make(ANSWER)
    answers = await asyncio.gather(*(runner.run(REQUEST) for _ in range(20)))
    assert {one["said"] for one in answers} == {"hello"}
    assert sorted(one["number"] for one in answers) == list(range(1, 21))
    assert counters.get("checks.runner_starts") == 1


async def test_hanging_process_is_killed_and_the_next_run_starts_a_new_one(
    make: Make, counters: Counters, tmp_path: Path
) -> None:
    runner = make(
        f"test -e {tmp_path}/second && exec {ANSWER}\ntouch {tmp_path}/second; exec sleep 60", 0.5
    )
    with pytest.raises(RunError, match=r"did not finish within 0\.5 s"):
        await runner.run(REQUEST)
    assert (await runner.run(REQUEST))["said"] == "hello"
    assert (counters.get("checks.timeouts"), counters.get("checks.runner_starts")) == (1, 2)


async def test_run_whose_process_ended_is_repeated_without_concurrency(
    make: Make, tmp_path: Path
) -> None:
    # The first process ends at the first request, and the other pending requests fail with it.
    runner = make(
        f"test -e {tmp_path}/second && exec {ANSWER}\nread line; touch {tmp_path}/second; exit 3"
    )
    answers = await asyncio.gather(*(runner.run(REQUEST) for _ in range(6)))
    assert {one["said"] for one in answers} == {"hello"}


@pytest.mark.parametrize(
    "program", ["echo nonsense; exec sleep 60", "echo '[]'; exec sleep 60", "exit 0"]
)
async def test_invalid_or_missing_output_is_an_error_of_the_run(make: Make, program: str) -> None:
    with pytest.raises(ProcessEnded):
        await make(program).run(REQUEST)


async def test_missing_interpreter_is_an_error_of_the_run(make: Make, tmp_path: Path) -> None:
    with pytest.raises(RunError, match="the check process cannot start"):
        await make(tmp_path / "nothing").run(REQUEST)


async def test_missing_base_classes_are_reported_in_the_response(
    make: Make, tmp_path: Path
) -> None:
    (tmp_path / "hello.py").write_text("from datadog_checks.base import AgentCheck\n")
    answer = await make(Path(sys.executable)).run(REQUEST)
    assert "No module named 'datadog_checks'" in answer["error"]
    assert (answer["metrics"], answer["service_checks"], answer["dropped"]) == ([], [], 0)


async def test_close_does_not_wait_for_a_hanging_process(make: Make, counters: Counters) -> None:
    runner = make("exec sleep 60")
    run = asyncio.create_task(runner.run(REQUEST))
    async with asyncio.timeout(10):
        while not counters.get("checks.runner_starts"):  # noqa: ASYNC110 - a counter has no event
            await asyncio.sleep(0.01)
    began = time.monotonic()
    run.cancel()
    await asyncio.gather(run, return_exceptions=True)
    await runner.close()
    assert time.monotonic() - began < 5
