"""A node agent and an intake in process, with the interpreter that has the base classes of Datadog for checks."""

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from purpleflea_sandbox.datadog import intake_app, servers
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.node_agent.app import NodeAgent
from purpleflea_sandbox.datadog.node_agent.pods import PodMemory
from purpleflea_sandbox.datadog.node_agent.settings import NodeAgentSettings

API_KEY = "made-up-key"


@pytest.fixture
def checks_python(repository: Path) -> Path:
    python = repository / ".venv-check" / "bin" / "python"
    if not python.exists():
        pytest.skip("there is no .venv-check: run `make test-check`")
    return python


class StandIn:
    """One intake, and the pods of the node agent that reports to it."""

    def __init__(self, url: str, store: Store, session: aiohttp.ClientSession) -> None:
        self.url = url
        self.store = store
        self.session = session
        self.pods = PodMemory()
        self.agent: NodeAgent | None = None

    async def received(self, route: str) -> Any:
        async with self.session.get(f"{self.url}/received/{route}") as response:
            assert response.status == 200, await response.text()
            return await response.json()

    def count(self, name: str) -> int:
        assert self.agent is not None
        return self.agent.counters.get(name)


Start = Callable[..., AbstractAsyncContextManager[StandIn]]


@pytest.fixture
def start(checks_python: Path, repository: Path, tmp_path: Path) -> Start:
    """A function that starts a stand-in; keywords change the settings of the node agent."""

    @asynccontextmanager
    async def started(**changes: Any) -> AsyncIterator[StandIn]:
        store = Store()
        async with (
            servers.served(intake_app.application(store, API_KEY), "127.0.0.1", 0) as port,
            aiohttp.ClientSession() as session,
        ):
            stand_in = StandIn(f"http://127.0.0.1:{port}", store, session)
            values: dict[str, Any] = {
                "intake_url": stand_in.url,
                "api_key": API_KEY,
                "hostname": "node-1",
                "dogstatsd_port": 0,
                "trace_listen_port": 0,
                "health_port": 0,
                "apm_enabled": False,
                "run_dir": tmp_path / "run",
                "flush_interval_s": 0.2,
                "checks_python": checks_python,
                "checks_d": repository / "agent_check",
                "conf_d": tmp_path / "conf.d",
            }
            stand_in.agent = NodeAgent(
                NodeAgentSettings(**(values | changes)), session, stand_in.pods
            )
            async with stand_in.agent.running():
                yield stand_in

    return started
