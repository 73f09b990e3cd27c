"""`serve`: the process around an agent of your own. Each agent is a real process with the mounts of an operator."""

import re
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from purpleflea_agent import serve
from purpleflea_contract import metrics
from purpleflea_contract.control import Acknowledgement
from support.agent_process import AgentFolder, AgentProcess
from support.receivers.dogstatsd import DogStatsdSink
from support.waiting import wait_for

HEADER = """
import asyncio, sys, time
from fastapi import FastAPI
from purpleflea_agent import SendBlocked, metrics, serve
"""
WORKS = "async def main(agent):\n    while not agent.is_stopping:\n        await agent.sleep(60)\n"
UNPRINTABLE = """
class Unprintable(Exception):
    def __str__(self):
        raise ValueError(self)
"""
FORKS = """
import os, time
from purpleflea_agent import metrics

metrics.record_heartbeat()
child = os.fork()
if child == 0:
    metrics.record_heartbeat()
    time.sleep(2.5)
    os._exit(0)
os.waitpid(child, 0)
metrics.emitter().close()
"""


class Program:
    """Starts agents from the text of their program."""

    def __init__(self, mounts: AgentFolder, folder: Path, environment: dict[str, str]) -> None:
        self._mounts = mounts
        self._path = folder / "agent.py"
        self._environment = environment

    def started(self, text: str, last: str = "sys.exit(serve(main))") -> AgentProcess:
        self._path.write_text(f"{HEADER}\n{text}\n{last}\n")
        program = [str(self._path)]
        return AgentProcess(self._mounts, self._environment, is_traced=False, program=program)


@pytest.fixture
def program(mounts: AgentFolder, tmp_path: Path, sink: DogStatsdSink) -> Program:
    return Program(mounts, tmp_path, sink.environment)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("async def main(agent):\n    raise ValueError('no price')", "ValueError: no price"),
        ("async def main(agent):\n    return", "it returned"),
        ("async def main(agent):\n    raise asyncio.CancelledError", "it was canceled"),
        ("def main(agent):\n    raise KeyError('x')", "KeyError: 'x'"),
        ("def main(agent):\n    sys.exit(3)", "SystemExit: 3"),
        ("def main(agent):\n    next(iter(()))", "RuntimeError: the function raised StopIteration"),
        ("def main(agent):\n    raise BaseException('panic')", "BaseException: panic"),
        ("async def main(agent):\n    raise BaseException('panic')", "BaseException: panic"),
        (
            f"{UNPRINTABLE}async def main(agent):\n    raise Unprintable",
            "Unprintable: <__main__.Unprintable object>",
        ),
    ],
)
def test_the_end_of_the_function_fails_readiness_and_liveness(
    program: Program, text: str, reason: str
) -> None:
    with program.started(text) as agent:
        wait_for(lambda: agent.probe("/readyz") == 503, what="the probe fails")
        assert agent.probe("/healthz") == 503
        detail = agent.http.get("/readyz").json()["detail"]
        assert re.sub(" at 0x[0-9a-f]+", "", detail) == f"the agent's function ended: {reason}"
        (line,) = [line for line in agent.lines() if line["level"] == "CRITICAL"]
        assert line["message"].startswith("The agent's function")
        assert agent.terminate() == 1


@pytest.mark.parametrize(
    "text",
    [
        WORKS + "    await asyncio.sleep(0.1)\n    metrics.record_heartbeat()",
        "def main(agent):\n    while not agent.is_stopping:\n        agent.wait(60)\n    metrics.record_heartbeat()",
        "class Main:\n    async def __call__(self, agent):\n        await agent.sleep(60)\n"
        "        metrics.record_heartbeat()\nmain = Main()",
    ],
)
def test_a_signal_lets_the_function_finish_and_its_last_metric_is_sent(
    program: Program, text: str, sink: DogStatsdSink
) -> None:
    with program.started(text) as agent:
        agent.wait_until_ready()
        assert sink.of(metrics.HEARTBEAT.name) == []
        assert agent.terminate() == 0
        assert agent.stderr == []
    sink.catch_up()
    assert len(sink.of(metrics.HEARTBEAT.name)) == 1


def test_a_function_that_ignores_the_signal_ends_within_the_grace_period(
    mounts: AgentFolder, tmp_path: Path
) -> None:
    text = "async def main(agent):\n    while True:\n        await asyncio.sleep(60)"
    short = Program(mounts, tmp_path, {"PURPLEFLEA_GRACE_PERIOD_S": "6"})
    with short.started(text) as agent:
        agent.wait_until_ready()
        assert agent.terminate() == 0
        assert "did not return in time" in agent.output


def test_a_halt_is_acknowledged_when_the_request_in_flight_was_answered(
    program: Program, mounts: AgentFolder, tmp_path: Path
) -> None:
    text = (
        "async def main(agent):\n"
        "    with agent.sending():\n"
        "        agent.not_ready = 'sending'\n"
        "        while not (agent.environment.state_dir / 'answer').exists():\n"
        "            await asyncio.sleep(0.05)\n"
        "    agent.not_ready = None\n"
        "    agent.left_undone = 'an order'\n"
        "    while agent.may_trade:\n"
        "        await asyncio.sleep(0.05)\n"
        "    try:\n"
        "        with agent.sending():\n"
        "            agent.left_undone = 'sent in spite of the halt'\n"
        "    except SendBlocked:\n"
        "        agent.left_undone = None\n"
        "    await agent.sleep(60)\n"
    )
    with program.started(text) as agent:
        wait_for(lambda: agent.probe("/readyz") == 503, what="an order is being sent")
        assert agent.http.get("/readyz").json()["detail"] == "sending"
        assert agent.probe("/healthz") == 200
        mounts.set_mode("Halted")
        before = acknowledged(agent)
        assert (before.mode, before.sending, before.at_rest) == ("Active", True, False)
        mounts.state.mkdir(exist_ok=True)
        (mounts.state / "answer").touch()
        wait_for(lambda: acknowledged(agent).at_rest, what="the halt is acknowledged")
        after = acknowledged(agent)
        assert (after.mode, after.left_undone, after.sending) == ("Halted", None, False)
        assert agent.probe("/readyz") == 200
        assert agent.terminate() == 0


def acknowledged(agent: AgentProcess) -> Acknowledgement:
    return Acknowledgement.model_validate_json(agent.http.get("/v1/control").content)


@pytest.mark.parametrize("last", ["sys.exit(serve(app))", "sys.exit(serve(main, app=app))"])
def test_paths_of_an_application_are_served_with_its_start_and_stop(
    program: Program, last: str
) -> None:
    text = (
        f"{WORKS}\n"
        "import contextlib\n"
        "@contextlib.asynccontextmanager\n"
        "async def lifespan(app):\n"
        "    app.state.started = True\n"
        "    yield\n"
        "    metrics.record_heartbeat()\n"
        "app = FastAPI(lifespan=lifespan)\n"
        "@app.get('/mine')\n"
        "async def mine():\n"
        "    return app.state.started\n"
        "@app.get('/v1/control')\n"
        "async def wrong():\n"
        "    return 'not an acknowledgement'\n"
    )
    with program.started(text, last) as agent:
        agent.wait_until_ready()
        assert agent.http.get("/mine").json() is True
        assert acknowledged(agent).mode == "Active"
        assert agent.http.get("/v1/status").json()["telemetry_dropped"] == 0
        assert b"# TYPE" in agent.http.get("/metrics").content
        assert agent.http.get("/nosuch").status_code == 404
        assert agent.terminate() == 0


def test_a_port_in_use_and_a_wrong_variable_are_one_log_line(
    mounts: AgentFolder, tmp_path: Path
) -> None:
    for variable in ({"PURPLEFLEA_HTTP_HOST": "192.0.2.1"}, {"PURPLEFLEA_GRACE_PERIOD_S": "x"}):
        with Program(mounts, tmp_path, variable).started(WORKS) as agent:
            assert agent.wait() == 2
            (line,) = [line for line in agent.lines() if line["level"] == "CRITICAL"]
            assert "PURPLEFLEA_" in line["message"]
            assert agent.stderr == []


async def main(agent: object) -> None:
    """Return at once."""


async def without_arguments() -> None:
    """Return at once."""


def two_arguments(agent: object, other: object) -> None:
    """Return at once."""


def keyword_only(*, agent: object) -> None:
    """Return at once."""


def yields(agent: object) -> Iterator[object]:
    """Be a generator."""
    yield agent


async def yields_later(agent: object) -> AsyncIterator[object]:
    """Be an asynchronous generator."""
    yield agent


WRONG = [
    pytest.param(None, "a function of one argument, or an application", id="nothing"),
    pytest.param("main", "or an application, not str", id="a name"),
    pytest.param(yields, "without yield", id="a generator"),
    pytest.param(yields_later, "without yield", id="an asynchronous generator"),
    pytest.param(without_arguments, "one argument, the Agent: too many", id="no argument"),
    pytest.param(two_arguments, "one argument, the Agent: missing.*other", id="two arguments"),
    pytest.param(keyword_only, "one argument, the Agent: too many", id="a keyword"),
]


@pytest.mark.parametrize(("function", "message"), WRONG)
def test_serve_refuses_a_function_that_it_cannot_call(function: Any, message: str) -> None:
    with pytest.raises(TypeError, match=message):
        serve(function)


def test_serve_refuses_the_coroutine_of_a_function() -> None:
    coroutine: Any = main(None)
    with pytest.raises(TypeError, match=r"serve\(main\) instead of serve\(main\(\)\)"):
        serve(coroutine)


async def test_serve_refuses_to_run_in_an_event_loop() -> None:
    with pytest.raises(RuntimeError, match="call it outside of async functions"):
        serve(main)


def test_serve_refuses_to_run_in_another_thread_than_the_main_thread() -> None:
    with ThreadPoolExecutor(1) as pool:
        call = pool.submit(serve, main)
    with pytest.raises(RuntimeError, match="call it in the main thread"):
        call.result()


def test_a_point_before_a_fork_is_sent_once_and_a_child_process_sends_its_own(
    mounts: AgentFolder, tmp_path: Path, sink: DogStatsdSink
) -> None:
    path = tmp_path / "forks.py"
    path.write_text(FORKS)
    with AgentProcess(mounts, sink.environment, is_traced=False, program=[str(path)]) as process:
        assert process.wait() == 0
    sink.catch_up()
    assert [point.values for point in sink.of(metrics.HEARTBEAT.name)] == [(1.0,), (1.0,)]
