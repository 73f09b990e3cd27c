"""Requests of the operator with many agents, as a process against a fake API server that creates pods for StatefulSets.

The fake server costs less than a real one, so times and memory would mislead. benchmarks.scale measures them.
"""

import json
import os
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from support.apiserver.server import ApiServer
from support.builders import a_datadog_daemon_set, an_agent

NAMESPACE = "trading"
POLL_S = 0.25
LIMIT_S = 600.0
IDLE_S = 20.0
WATCHES = 14
"""Kinds that the operator watches. Each is listed once before its watch."""
AS_IN_THE_IMAGE = """
import sys
sys.modules["kubernetes"] = None  # kopf imports it if it is installed; the image does not have it
from purpleflea_contract.status_report import StatusReport
from purpleflea_operator.agent_client.http import HttpAgentClient
async def status(self, address):
    return StatusReport(telemetry_dropped_by_signal={})
HttpAgentClient.status = status  # pods are simulated here, and failed probes would be reported in each status
from purpleflea_operator.__main__ import main
sys.exit(main())
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Results of a phase."""

    writes: Counter[str]
    reads: int
    """Requests for single objects."""
    lists: int


class Operator:
    """Runs the operator as a child process."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self._server = server
        environment = {
            **os.environ,
            "KUBECONFIG": str(_kubeconfig(server.url, folder)),
            "PURPLEFLEA_OPERATOR_HEALTH_PORT": "0",
            "PURPLEFLEA_OPERATOR_LOG_LEVEL": "WARNING",
        }
        self._process = subprocess.Popen([sys.executable, "-c", AS_IN_THE_IMAGE], env=environment)

    def stop(self) -> None:
        """Stop the process with SIGTERM."""
        self._process.terminate()
        self._process.wait(timeout=30)

    def phase(
        self, is_complete: Callable[[], bool], *, begin: Callable[[], None] = lambda: None
    ) -> Phase:
        """Start a phase and wait until it is complete. Return its requests."""
        began = time.monotonic()
        self._server.clear()
        begin()
        while not is_complete():
            if self._process.poll() is not None:
                raise RuntimeError(f"the operator exited with {self._process.returncode}")
            if time.monotonic() - began > LIMIT_S:
                raise TimeoutError(f"phase not complete after {LIMIT_S:g} s")
            time.sleep(POLL_S)
        return self._phase()

    def idle(self, seconds: float) -> Phase:
        """Do nothing for some seconds. Return the requests of the operator."""
        self._server.clear()
        time.sleep(seconds)
        return self._phase()

    def _phase(self) -> Phase:
        requests = self._server.requests()
        return Phase(
            writes=Counter(item.full_resource for item in requests if item.is_write),
            reads=sum(item.verb == "get" for item in requests if item.resource),
            lists=sum(item.verb == "list" for item in requests if item.resource),
        )


def measure(agents: int) -> dict[str, Phase]:
    """Run all phases: created, idle, changed, restarted."""
    phases = {}
    with ApiServer(runs_statefulsets=True, history_limit=100_000) as server:
        server.put(a_datadog_daemon_set(host_ports=True))
        with _running(server) as operator:
            operator.phase(lambda: _has_started(server))
            phases["created"] = operator.phase(
                lambda: _all_ready(server), begin=lambda: _create(server, agents)
            )
            phases["idle"] = operator.idle(IDLE_S)
            phases["changed"] = operator.phase(
                lambda: _all_ready(server), begin=lambda: _change(server, agents)
            )
        with _running(server) as operator:
            phases["restarted"] = operator.phase(lambda: _has_started(server))
    return phases


@contextmanager
def _running(server: ApiServer) -> Iterator[Operator]:
    with TemporaryDirectory() as folder:
        operator = Operator(server, Path(folder))
        try:
            yield operator
        finally:
            operator.stop()


def _all_ready(server: ApiServer) -> bool:
    return all(_is_ready(item) for item in server.objects("PurpleFleaAgent"))


def _is_ready(agent: dict[str, object]) -> bool:
    metadata, status = agent["metadata"], agent.get("status") or {}
    if status.get("observedGeneration") != metadata["generation"]:  # type: ignore[index, attr-defined]
        return False
    conditions = {item["type"]: item["status"] for item in status["conditions"]}  # type: ignore[index]
    return conditions.get("Ready") == "True"


def _has_started(server: ApiServer) -> bool:
    return server.open_watches() >= WATCHES


def _create(server: ApiServer, agents: int) -> None:
    for number in range(agents):
        server.put(an_agent(f"agent-{number:05}", uid=f"uid-{number}"))


def _change(server: ApiServer, agents: int) -> None:
    for number in range(agents):
        change = {"spec": {"markets": ["BTC-USD", "ETH-USD"]}}
        server.patch("PurpleFleaAgent", NAMESPACE, f"agent-{number:05}", change)


def _kubeconfig(url: str, folder: Path) -> Path:
    file = folder / "kubeconfig"
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [{"name": "c", "cluster": {"server": url}}],
        "users": [{"name": "u", "user": {}}],
    }
    file.write_text(json.dumps(content))
    return file
