"""Builders and fixtures for tests of the Datadog stand-in: pods, log files, an intake and a node agent in process."""

import asyncio
import itertools
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from purpleflea_sandbox.datadog import intake_app, servers
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.node_agent.app import NodeAgent, Ports
from purpleflea_sandbox.datadog.node_agent.pods import Container, Pod, PodMemory
from purpleflea_sandbox.datadog.node_agent.settings import NodeAgentSettings

API_KEY = "test-key"
UID = "6f2d5b0e-7a3c-4a52-9a27-2f4f7f0f3c11"

Eventually = Callable[[Callable[[], Any]], Awaitable[Any]]


@pytest.fixture
def eventually() -> Eventually:
    """Wait until the condition returns a true value, and return it."""

    async def wait(condition: Callable[[], Any]) -> Any:
        async with asyncio.timeout(15):
            while True:
                value = condition()
                if isinstance(value, Awaitable):
                    value = await value
                if value:
                    return value
                await asyncio.sleep(0.02)

    return wait


@pytest.fixture
def momentum_pod() -> Pod:
    return Pod(
        uid=UID,
        namespace="trading",
        name="momentum-0",
        labels={
            "tags.datadoghq.com/env": "prod",
            "tags.datadoghq.com/service": "pf-agent",
            "tags.datadoghq.com/version": "1.4.2",
        },
        annotations={
            "ad.datadoghq.com/tags": '{"agent_id":"momentum-0","strategy":"momentum"}',
            "ad.datadoghq.com/agent.logs": json.dumps(
                [
                    {
                        "source": "python",
                        "service": "pf-agent",
                        "log_processing_rules": [
                            {
                                "type": "mask_sequences",
                                "name": "keys",
                                "pattern": "pf_live_[a-z0-9]+",
                                "replace_placeholder": "[key]",
                            }
                        ],
                    }
                ]
            ),
        },
        containers=(
            Container(name="agent", id="c0ffee", image="localhost/purpleflea-agent:0.1.0"),
        ),
        owner_kind="StatefulSet",
        owner_name="momentum",
    )


class LogFolder:
    """Folder in which a container runtime writes a container's log."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rotations = itertools.count(1)
        path.mkdir(parents=True)

    def write(
        self, *texts: str, file: str = "0.log", stream: str = "stdout", flag: str = "F"
    ) -> None:
        with (self.path / file).open("a") as log:
            log.writelines(
                f"2026-11-22T10:00:00.123456789Z {stream} {flag} {text}\n" for text in texts
            )

    def rotate(self, file: str = "0.log") -> Path:
        """Rotate as the kubelet does: rename the file, and the runtime opens a new one."""
        target = self.path / f"{file}.20261122-10000{next(self._rotations)}"
        (self.path / file).rename(target)
        (self.path / file).touch()
        return target


@pytest.fixture
def log_folder(tmp_path: Path) -> LogFolder:
    return LogFolder(tmp_path / "pods" / f"trading_momentum-0_{UID}" / "agent")


@dataclass(frozen=True, kw_only=True)
class Intake:
    """An intake in process: its URL and its store."""

    url: str
    store: Store


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as one:
        yield one


@pytest.fixture
async def intake() -> AsyncIterator[Intake]:
    store = Store()
    async with servers.served(intake_app.application(store, API_KEY), "127.0.0.1", 0) as port:
        yield Intake(url=f"http://127.0.0.1:{port}", store=store)


StartAgent = Callable[..., AbstractAsyncContextManager[tuple[NodeAgent, Ports]]]


@pytest.fixture
def start_agent(
    intake: Intake, session: aiohttp.ClientSession, momentum_pod: Pod, tmp_path: Path
) -> StartAgent:
    """Start a node agent with one pod; keyword arguments change its settings."""

    @asynccontextmanager
    async def start(**changes: Any) -> AsyncIterator[tuple[NodeAgent, Ports]]:
        values: dict[str, Any] = {
            "intake_url": intake.url,
            "api_key": API_KEY,
            "hostname": "node-1",
            "dogstatsd_port": 0,
            "trace_listen_port": 0,
            "health_port": 0,
            "apm_enabled": False,
            "pod_logs": tmp_path / "pods",
            "run_dir": tmp_path / "run",
            "flush_interval_s": 0.1,
            "last_flush_s": 0.5,
        }
        memory = PodMemory()
        memory.put(momentum_pod)
        agent = NodeAgent(NodeAgentSettings(**(values | changes)), session, memory)
        async with agent.running() as ports:
            yield agent, ports

    return start
