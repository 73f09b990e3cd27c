"""Sets up the demo step by step until all agents trade and their telemetry arrives; measures each
step.

Every step is idempotent, so a second run, or a run after a crash, continues with the existing
objects.
"""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from purpleflea_sandbox.cluster.port import Options, Provider
from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.demo import definitions, installation
from purpleflea_sandbox.demo.errors import DemoError
from purpleflea_sandbox.demo.files import DemoFiles
from purpleflea_sandbox.demo.fleet_observer import FleetObserver
from purpleflea_sandbox.demo.screen import DemoSummary
from purpleflea_sandbox.demo.secrets import keys
from purpleflea_sandbox.demo.tools import Tools
from purpleflea_sandbox.images import build

TRADING = "trading"
EXAMPLE = Path("examples/momentum.yaml")
REPORTING_TIMEOUT_S = 120


class Fleet:
    """One run of the demo on one cluster."""

    def __init__(self, provider: Provider, files: DemoFiles, progress: Progress) -> None:
        self._provider = provider
        self._files = files
        self._progress = progress
        self._timings: list[tuple[str, float]] = []

    def up(self) -> DemoSummary:
        """Set everything up and return the summary."""
        began = time.monotonic()
        with self._timed("images"):
            archives = build.ensure((), self._progress)
        with self._timed("cluster"):
            ports = (installation.INTAKE_PORT, installation.EXCHANGE_PORT)
            cluster = self._provider.up(Options(node_ports=ports), self._progress)
        with self._timed("load images"):
            self._provider.load_images(tuple(archives.values()), self._progress)
        tools = Tools(
            kubeconfig=self._provider.kubeconfig,
            kubectl_program=self._files.kubectl,
        )
        with self._timed("install Datadog stand-in, exchange, operator"):
            self._install(tools, archives)
        with self._timed("agents: applied, Ready, trading, telemetry received"):
            observer, observed_agents = self._start_agents(tools, archives)
        with self._timed("monitors, SLO and dashboard: created by the operator"):
            self._create_observability(tools, observer)
        self._timings.append(("all", time.monotonic() - began))
        return DemoSummary(
            kubeconfig=cluster.kubeconfig,
            real=(
                *cluster.real,
                "operator and agents, in containers",
                "Datadog's original trace intake",
            ),
            simulated=(
                *cluster.simulated,
                "Datadog: a stand-in receives the data that the node agent would forward",
                "Purple Flea: a paper exchange, no real money",
            ),
            agents=tools.kubectl("get", "pfa", "--all-namespaces"),
            observed_agents=observed_agents,
            addresses=_addresses(observer),
            timings=self._timings,
            operator_mib=_operator_mib(tools),
            kubectl=tools.kubectl_program,
        )

    def _install(self, tools: Tools, archives: dict[str, Path]) -> None:
        charts, secrets = self._files.charts, self._keys()
        with (
            self._progress.step(
                "install the Datadog stand-in, the exchange, the operator", expected_s=15
            ),
            ThreadPoolExecutor(max_workers=3) as pool,
        ):
            tasks = [
                pool.submit(installation.datadog, tools, charts, secrets),
                pool.submit(installation.exchange, tools, charts, secrets),
                pool.submit(
                    installation.operator,
                    tools,
                    self._files.operator_chart,
                    **definitions.OPERATOR_VALUES,
                ),
            ]
            for task in tasks:
                task.result()
            for name, image, workloads in (
                (
                    installation.DATADOG,
                    "datadog",
                    ("daemonset/datadog-agent", "deployment/datadog-intake"),
                ),
                (installation.EXCHANGE, "exchange", ("deployment/exchange",)),
                (installation.OPERATOR, "operator", ("deployment/purpleflea-operator",)),
            ):
                for workload in workloads:
                    installation.restart_if_image_changed(
                        tools, name, archives[image].stem, workload
                    )
                installation.wait_for(tools, name, *workloads)

    def _start_agents(self, tools: Tools, archives: dict[str, Path]) -> tuple[FleetObserver, Any]:
        installation.namespace(tools, TRADING)
        installation.api_key(tools, TRADING, self._keys())
        observer = self._observer()
        example = self._files.checkout / EXAMPLE
        wanted = yaml.safe_load(example.read_text(encoding="utf-8"))
        name, replicas = wanted["metadata"]["name"], wanted["spec"]["replicas"]
        with self._progress.step(
            f"apply {EXAMPLE}; wait until agents trade and telemetry arrives", expected_s=20
        ):
            tools.kubectl("apply", f"--namespace={TRADING}", f"--filename={example}")
            installation.restart_if_image_changed(
                tools, TRADING, archives["agent"].stem, f"statefulset/{name}"
            )
            for condition in ("Ready", "TelemetryReady"):
                tools.kubectl(
                    "wait",
                    f"pfa/{name}",
                    f"--namespace={TRADING}",
                    f"--for=condition={condition}",
                    f"--timeout={REPORTING_TIMEOUT_S}s",
                )
            names = [f"{name}-{ordinal}" for ordinal in range(replicas)]
            return observer, observer.wait_until_reporting(names, timeout_s=REPORTING_TIMEOUT_S)

    def _create_observability(self, tools: Tools, observer: FleetObserver) -> None:
        with self._progress.step(
            "wait until the operator has created monitors and dashboard", expected_s=10
        ):
            definitions.apply(tools, self._keys())
            observer.wait_for_page(timeout_s=REPORTING_TIMEOUT_S)

    def _observer(self) -> FleetObserver:
        return FleetObserver(
            exchange=self._provider.expose_node_port(installation.EXCHANGE_PORT),
            exchange_token=self._keys().exchange_admin_token,
            intake=self._provider.expose_node_port(installation.INTAKE_PORT),
        )

    def _keys(self) -> Any:
        return keys(self._files.keys)

    @contextmanager
    def _timed(self, step: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        self._timings.append((step, time.monotonic() - began))


def _addresses(observer: FleetObserver) -> list[tuple[str, str]]:
    return [
        ("fleet page", observer.page),
        ("metrics received", f"{observer.intake}/received/metrics?name=agent.trade.pnl_usd"),
        ("traces received", f"{observer.intake}/received/traces?name=agent.order.execute"),
        ("logs received", f"{observer.intake}/received/logs?attribute=event_type:trade_executed"),
        ("exchange, API", f"{observer.exchange}/openapi.json"),
    ]


def _operator_mib(tools: Tools) -> float | None:
    """Return the working set of the operator container in MiB, as reported by the kubelet."""
    nodes = tools.get("nodes")["items"]
    for node in nodes:
        path = f"/api/v1/nodes/{node['metadata']['name']}/proxy/metrics/resource"
        try:
            text = tools.kubectl("get", f"--raw={path}")
        except DemoError:
            return None
        for line in text.splitlines():
            if (
                line.startswith("container_memory_working_set_bytes")
                and 'container="operator"' in line
            ):
                return float(line.split("} ")[1].split()[0]) / 2**20
    return None
