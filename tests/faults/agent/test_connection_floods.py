"""5,000 connections that send nothing, or too slowly, from several peers: probes and halts are answered throughout."""

import contextlib
import resource
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from purpleflea_contract.control import Acknowledgement, Mode
from support.agent_process import AgentFolder, AgentProcess
from support.paper_exchange import PaperExchange
from support.waiting import wait_for

PEERS = [f"127.0.0.{number}" for number in range(2, 10)]
BURST, BURSTS = 1_250, 4
"""A burst arrives at once, and fits into the queue of the kernel of 4,096 connections."""
PROBE_TIMEOUT_S = 3.0
"""As the kubelet has, whose timeout includes the connection."""
OPEN_FILES = 1_024
"""Usual limit of a process, below the number of connections."""
SLOW = (
    b"",
    b"GET /heal",
    b"GET /healthz HTTP/1.1\r\nX: ",
    b"GET /v1/status HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\n",
    b"POST /v1/trade HTTP/1.1\r\nHost: a\r\nContent-Length: 60\r\n\r\n{",
    b"POST /v1/trade HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n40\r\n{",
)
EMPTY = "import sys\nfrom purpleflea_sdk import serve\n"
WAITS = "async def main(agent):\n    while not agent.is_stopping:\n        await agent.sleep(60)\n"
PROGRAMS = {
    "the agent of the image": None,
    "serve(function)": f"{EMPTY}{WAITS}sys.exit(serve(main))",
    "serve(app)": f"{EMPTY}from fastapi import FastAPI\nsys.exit(serve(FastAPI()))",
}


@dataclass(frozen=True, kw_only=True)
class Flooded:
    agent: AgentProcess
    folder: AgentFolder


@pytest.fixture(scope="module")
def paper_exchange() -> Iterator[PaperExchange]:
    with PaperExchange() as running:
        yield running


@pytest.fixture
def many_files() -> Iterator[None]:
    """Allow this process more open files than the agent has."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 16_384), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.fixture(params=PROGRAMS, ids=PROGRAMS)
def flooded(
    request: pytest.FixtureRequest, tmp_path: Path, paper_exchange: PaperExchange
) -> Iterator[Flooded]:
    folder = AgentFolder(tmp_path / "agent", paper_exchange.endpoints)
    text = PROGRAMS[request.param]
    program = ["-m", "purpleflea_agent"]
    if text is not None:
        program = [str(tmp_path / "agent.py")]
        Path(program[0]).write_text(text)
    with AgentProcess(folder, {}, is_traced=False, program=program) as running:
        running.wait_until_ready()
        resource.prlimit(running.pid, resource.RLIMIT_NOFILE, (OPEN_FILES, OPEN_FILES))
        yield Flooded(agent=running, folder=folder)


@pytest.mark.usefixtures("many_files")
def test_probes_and_halts_are_answered_during_a_flood_of_slow_connections(
    flooded: Flooded,
) -> None:
    agent = flooded.agent
    url, connections = agent.http.base_url, list[socket.socket]()
    try:
        for number in range(BURSTS):
            mode = Mode.HALTED if number % 2 else Mode.ACTIVE
            flooded.folder.set_mode(mode.value)
            connections += [_slow_connection(url, n) for n in range(BURST)]
            for path in ("/healthz", "/readyz"):
                _answer(url, path)
            # An order that is in flight delays the acknowledgement, and never the answer.
            wait_for(lambda mode=mode: _mode(url) is mode, what=f"the acknowledgement of {mode}")
    finally:
        for connection in connections:
            connection.close()
    wait_for(lambda: agent.probe("/readyz") == 200, what="readiness after the flood")
    assert not [line for line in agent.lines() if line["level"] in ("ERROR", "CRITICAL")]


def _mode(url: httpx.URL) -> Mode:
    return Acknowledgement.model_validate_json(_answer(url, "/v1/control")).mode


def _answer(url: httpx.URL, path: str) -> bytes:
    answer = httpx.get(f"{url}{path}", timeout=PROBE_TIMEOUT_S)
    assert answer.status_code == 200, (path, answer.text)
    return answer.content


def _slow_connection(url: httpx.URL, number: int) -> socket.socket:
    connection = socket.socket()
    connection.setblocking(False)
    connection.bind((PEERS[number % len(PEERS)], 0))
    connection.connect_ex((url.host, url.port or 0))
    with contextlib.suppress(OSError):  # not connected yet, so it stays silent
        connection.send(SLOW[number % len(SLOW)])
    return connection
