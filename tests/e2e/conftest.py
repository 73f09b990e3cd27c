import contextlib
import functools
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from purpleflea_sandbox.cluster import locks, providers
from purpleflea_sandbox.cluster.port import Options, Provider
from purpleflea_sandbox.cluster.progress import TerminalProgress
from purpleflea_sandbox.demo import installation
from purpleflea_sandbox.demo.fleet_observer import FleetObserver
from purpleflea_sandbox.demo.secrets import SandboxKeys, keys
from purpleflea_sandbox.demo.tools import Tools
from purpleflea_sandbox.images import build
from support import waiting
from support.audit import AuditLog

WORKERS = int(os.environ.get("PURPLEFLEA_WORKERS", "0"))
"""Nodes besides the control plane. Only kind has some."""
LOST_NODE_AFTER_S = 20
"""Time until a node without a heartbeat is not ready; the default of 50 s is most of the time of the tests with it."""
NAME = "kind" if os.environ.get(providers.VARIABLE) == "kind" else "e2e"
OPERATOR_NAME = "purpleflea-operator"
# Every poll of the cluster starts a process.
wait_for = functools.partial(waiting.wait_for, every_s=0.2, timeout_s=180)
OPERATOR_USER = f"system:serviceaccount:{installation.OPERATOR}:purpleflea-operator"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sandbox:
    """A cluster with the Datadog stand-in, the exchange and the operator."""

    provider: Provider
    tools: Tools
    keys: SandboxKeys
    observer: FleetObserver
    checkout: Path

    @property
    def audit(self) -> AuditLog:
        return AuditLog(file=self.provider.audit_log)

    def namespace(self, name: str, *, with_key: bool = True) -> str:
        installation.namespace(self.tools, name)
        if with_key:
            installation.api_key(self.tools, name, self.keys)
        return name

    def apply_example(self, namespace: str, *, env: str = "sandbox") -> None:
        """Apply the example. Use a separate `env` if the example may also exist in another namespace."""
        file = self.checkout / "examples" / "momentum.yaml"
        manifest = yaml.safe_load(file.read_text(encoding="utf-8"))
        manifest["spec"]["datadog"]["env"] = env
        text = yaml.safe_dump(manifest)
        self.tools.kubectl("apply", f"--namespace={namespace}", "--filename=-", stdin=text)

    def patch(self, namespace: str, agent: str, change: str) -> None:
        self.tools.kubectl(
            "patch", f"pfa/{agent}", f"--namespace={namespace}", "--type=merge", f"--patch={change}"
        )

    def agent(self, namespace: str, name: str = "momentum") -> dict:
        return self.tools.get("pfa", name, f"--namespace={namespace}")

    def conditions(self, namespace: str, name: str = "momentum") -> dict[str, dict]:
        conditions = self.agent(namespace, name).get("status", {}).get("conditions", [])
        return {item["type"]: item for item in conditions}

    def wait_ready(self, namespace: str, name: str = "momentum", *, timeout_s: float = 240) -> None:
        def ready() -> bool:
            agent = self.agent(namespace, name)
            status = agent.get("status", {})
            current = status.get("observedGeneration") == agent["metadata"]["generation"]
            statuses = {item["type"]: item["status"] for item in status.get("conditions", [])}
            return current and statuses.get("Ready") == statuses.get("TelemetryReady") == "True"

        wait_for(ready, what=f"{namespace}/{name} Ready and TelemetryReady", timeout_s=timeout_s)

    def leader(self) -> str:
        """Return the operator pod that holds the lease, or an empty string if there is none."""
        lease = self.tools.get("lease", OPERATOR_NAME, f"--namespace={installation.OPERATOR}")
        return lease.get("spec", {}).get("holderIdentity", "").rpartition("_")[0]

    def pods(self, namespace: str) -> dict[str, dict]:
        items = self.tools.get("pods", f"--namespace={namespace}").get("items", [])
        return {item["metadata"]["name"]: item for item in items}


@pytest.fixture(scope="module")
def sandbox(shared_sandbox):
    """Return the sandbox of the run; the agents are deleted after each module."""
    yield shared_sandbox
    shared_sandbox.tools.kubectl("delete", "pfa,pfo", "--all", "--all-namespaces", "--timeout=180s")


@pytest.fixture(scope="session")
def shared_sandbox(repository, tmp_path_factory):
    if os.geteuid() != 0 and providers.provider(NAME, "auto").name == "simulated":
        pytest.skip("a real cluster needs root or a Docker engine; `make demo` runs without both")
    progress = TerminalProgress()
    with locks.held(repository / ".sandbox" / "e2e.lock", timeout_s=1, what="another test run"):
        archives = build.ensure((), progress)
        provider = providers.provider(NAME, "auto")
        provider.down(progress)
        provider.up(
            Options(audit=True, workers=WORKERS, lost_node_after_s=LOST_NODE_AFTER_S), progress
        )
        try:
            provider.load_images(tuple(archives.values()), progress)
            with victim_without_services(provider, repository):
                sandbox = installed(provider, repository, tmp_path_factory.mktemp("keys"))
            yield sandbox
        finally:
            provider.down(progress)


@contextlib.contextmanager
def victim_without_services(provider: Provider, repository: Path):
    """Keep exchange, intake and operator away from the node that tests disturb, if there are workers."""
    if not WORKERS:
        yield
        return
    tools = Tools(kubeconfig=provider.kubeconfig, kubectl_program=kubectl(repository))
    tools.kubectl("cordon", victim(tools))
    yield
    tools.kubectl("uncordon", victim(tools))


def workers(tools: Tools) -> list[str]:
    """Return the nodes that are not the control plane, sorted by name."""
    nodes = tools.get("nodes", "--selector=!node-role.kubernetes.io/control-plane")["items"]
    return sorted(item["metadata"]["name"] for item in nodes)


def victim(tools: Tools) -> str:
    """Return the worker that tests disturb."""
    return workers(tools)[-1]


def kubectl(repository: Path) -> Path:
    return repository / ".sandbox" / "bin" / "kubectl"


def installed(provider: Provider, repository: Path, folder: Path) -> Sandbox:
    tools = Tools(kubeconfig=provider.kubeconfig, kubectl_program=kubectl(repository))
    secrets = keys(folder / "keys.json")
    charts = repository / "sandbox" / "charts"
    installation.datadog(tools, charts, secrets)
    installation.exchange(tools, charts, secrets)
    installation.operator(tools, repository / "charts" / "purpleflea-operator")
    installation.wait_for(
        tools, installation.DATADOG, "daemonset/datadog-agent", "deployment/datadog-intake"
    )
    installation.wait_for(tools, installation.EXCHANGE, "deployment/exchange")
    installation.wait_for(tools, installation.OPERATOR, "deployment/purpleflea-operator")
    observer = FleetObserver(
        exchange=provider.expose_node_port(installation.EXCHANGE_PORT),
        exchange_token=secrets.exchange_admin_token,
        intake=provider.expose_node_port(installation.INTAKE_PORT),
    )
    return Sandbox(
        provider=provider, tools=tools, keys=secrets, observer=observer, checkout=repository
    )


FIGURES = pytest.StashKey[dict[str, str]]()


@pytest.fixture(scope="session")
def figures(pytestconfig):
    """Return the figures that are printed at the end of the run."""
    return pytestconfig.stash.setdefault(FIGURES, {})


def pytest_terminal_summary(terminalreporter, config):
    figures = config.stash.get(FIGURES, {})
    if figures:
        terminalreporter.section("figures")
    for name, value in figures.items():
        terminalreporter.write_line(f"{name}: {value}")


HERE = Path(__file__).parent
LAST = "test_rights.py"
WHOLE_TIER = pytest.StashKey[bool]()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config, items):
    """Run the tests that check the whole run last."""
    items.sort(key=lambda item: item.path == HERE / LAST)
    narrowed = (
        config.option.keyword or config.option.markexpr or getattr(config.option, "lf", False)
    )
    single = any("::" in argument for argument in config.args)
    collected = {item.path for item in items}
    config.stash[WHOLE_TIER] = not (narrowed or single) and set(HERE.glob("test_*.py")) <= collected


@pytest.fixture(scope="session")
def is_whole_tier(pytestconfig):
    """Return whether all tests on the cluster are part of this run."""
    return pytestconfig.stash[WHOLE_TIER]
