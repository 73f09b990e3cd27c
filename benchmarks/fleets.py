"""Cost of many agents for the operator, as a process against a fake API server that creates pods for StatefulSets.

The fake server shares the machine. The CPU time of the operator is measured separately.
"""

import json
import os
import re
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks import process
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
from purpleflea_operator.agent_client.http import HttpAgentClient
async def losses(self, address):
    return {}
HttpAgentClient.losses = losses  # pods are simulated here, and failed probes would be reported in each status
from purpleflea_operator.__main__ import main
sys.exit(main())
"""
DEPTH = re.compile(r"^purpleflea_operator_queue_depth (\S+)$", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Phase:
    """Results of a phase."""

    seconds: float
    cpu_s: float
    writes: Counter[str]
    reads: int
    deepest: int
    """Largest observed length of the work queue."""
    resident_mib: float
    peak_mib: float


class Operator:
    """Runs the operator as a child process with a metrics port."""

    def __init__(self, server: ApiServer, folder: Path) -> None:
        self._server = server
        self._port = _free_port()
        environment = {
            **os.environ,
            "KUBECONFIG": str(_kubeconfig(server.url, folder)),
            "PURPLEFLEA_OPERATOR_HEALTH_PORT": str(self._port),
            "PURPLEFLEA_OPERATOR_LOG_LEVEL": "WARNING",
        }
        self._process = subprocess.Popen([sys.executable, "-c", AS_IN_THE_IMAGE], env=environment)

    @property
    def pid(self) -> int:
        """Process id."""
        return self._process.pid

    def stop(self) -> None:
        """Stop the process with SIGTERM."""
        self._process.terminate()
        self._process.wait(timeout=30)

    def phase(
        self, is_complete: Callable[[], bool], *, begin: Callable[[], None] = lambda: None
    ) -> Phase:
        """Start a phase and wait until it is complete. Return the resources that it used."""
        began, cpu = time.monotonic(), process.cpu_s(self.pid)
        self._server.clear()
        begin()
        deepest = 0
        while not is_complete():
            if self._process.poll() is not None:
                raise RuntimeError(f"the operator exited with {self._process.returncode}")
            if time.monotonic() - began > LIMIT_S:
                raise TimeoutError(f"phase not complete after {LIMIT_S:g} s")
            deepest = max(deepest, self._depth())
            time.sleep(POLL_S)
        return self._phase(began, cpu, deepest)

    def idle(self, seconds: float) -> Phase:
        """Do nothing and send no requests for some seconds. Return the resources that the operator used."""
        began, cpu = time.monotonic(), process.cpu_s(self.pid)
        self._server.clear()
        time.sleep(seconds)
        return self._phase(began, cpu, 0)

    def _phase(self, began: float, cpu: float, deepest: int) -> Phase:
        requests = self._server.requests()
        return Phase(
            seconds=time.monotonic() - began,
            cpu_s=process.cpu_s(self.pid) - cpu,
            writes=Counter(item.full_resource for item in requests if item.is_write),
            reads=sum(item.verb == "get" for item in requests if item.resource),
            deepest=deepest,
            resident_mib=process.resident_mib(self.pid),
            peak_mib=process.peak_mib(self.pid),
        )

    def _depth(self) -> int:
        url = f"http://127.0.0.1:{self._port}/metrics"
        try:
            with urllib.request.urlopen(url, timeout=5) as response:
                depth = DEPTH.search(response.read().decode())
        except urllib.error.URLError:
            return 0
        return int(float(depth.group(1))) if depth else 0


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


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port
