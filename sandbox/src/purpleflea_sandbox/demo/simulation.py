"""The demo without root and without Docker: real control plane and operator, simulated nodes and
pods.

The operator runs as a process of this machine. No container runs, so nothing trades and no
telemetry is sent.
"""

import os
import subprocess
import sys
import time

from purpleflea_sandbox.cluster import processes
from purpleflea_sandbox.cluster.port import Options, Provider
from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.demo import installation
from purpleflea_sandbox.demo.files import DemoFiles
from purpleflea_sandbox.demo.fleet import EXAMPLE, TRADING
from purpleflea_sandbox.demo.screen import DemoSummary
from purpleflea_sandbox.demo.secrets import keys
from purpleflea_sandbox.demo.tools import Tools


class Simulation:
    """One run of the demo on a simulated cluster."""

    def __init__(self, provider: Provider, files: DemoFiles, progress: Progress) -> None:
        self._provider = provider
        self._files = files
        self._progress = progress

    def up(self) -> DemoSummary:
        """Set everything up and return the summary."""
        began = time.monotonic()
        cluster = self._provider.up(Options(), self._progress)
        tools = Tools(kubeconfig=self._provider.kubeconfig, kubectl_program=self._files.kubectl)
        with self._progress.step("install the Datadog stand-in and the custom resources"):
            secrets = keys(self._files.keys)
            installation.datadog(tools, self._files.charts, secrets)
            tools.kubectl("apply", "--server-side", f"--filename={self._files.checkout / 'crds'}")
            installation.namespace(tools, TRADING)
            installation.api_key(tools, TRADING, secrets)
        with self._progress.step("start the operator on this machine and apply the example"):
            self._files.end_operator()
            self._start_operator()
            tools.kubectl(
                "apply", f"--namespace={TRADING}", f"--filename={self._files.checkout / EXAMPLE}"
            )
            tools.kubectl(
                "wait",
                "pfa/momentum",
                f"--namespace={TRADING}",
                "--for=condition=Ready",
                "--timeout=60s",
            )
        return DemoSummary(
            kubeconfig=cluster.kubeconfig,
            real=(*cluster.real, "operator, as a process of this machine"),
            simulated=(
                *cluster.simulated,
                "no agent trades and no telemetry is sent: READY above is simulated",
                "for a real cluster use root or a Docker engine: sudo make demo",
            ),
            agents=tools.kubectl("get", "pfa", "--all-namespaces"),
            observed_agents=(),
            addresses=[("operator log", str(self._files.operator_log))],
            timings=[("all", time.monotonic() - began)],
            operator_mib=None,
            kubectl=tools.kubectl_program,
        )

    def _start_operator(self) -> None:
        environment = {
            **os.environ,
            "KUBECONFIG": str(self._provider.kubeconfig),
            "PURPLEFLEA_OPERATOR_HEALTH_PORT": "0",
        }
        with self._files.operator_log.open("ab") as log:
            started = subprocess.Popen(
                [sys.executable, "-m", "purpleflea_operator"],
                env=environment,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,
            )
        handle = processes.handle(started.pid)
        if handle is not None:
            handle.save(self._files.operator_process)
