"""The control plane of the benchmark: a simulated cluster with audit log, the chart's objects, and users with tokens.

Each writer is a ServiceAccount, because the API server exempts administrators from its fairness limits, and because the
audit log attributes requests to users.
"""

import json
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from benchmarks import process, report
from purpleflea_sandbox.cluster import locks, providers
from purpleflea_sandbox.cluster.port import Cluster, Options
from purpleflea_sandbox.cluster.progress import Progress
from support.audit import AuditLog
from support.builders import a_datadog_daemon_set
from support.rights import rendered

CLUSTER = "scale"
SYSTEM, AGENTS, DATADOG = "purpleflea-system", "trading", "datadog"
OPERATOR, LOADER = "purpleflea-operator", "scale-loader"
USERS = {
    name: f"system:serviceaccount:{SYSTEM}:{account}"
    for name, account in {"operator": OPERATOR, "loader": LOADER}.items()
}
PROGRAMS = {
    "API server": "kube-apiserver",
    "etcd": "etcd",
    "controller manager": "kube-controller-manager",
    "scheduler": "kube-scheduler",
    "kwok": "kwok",
}
WORKLOADS = ("Deployment", "PodDisruptionBudget")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plane:
    """A running control plane with everything installed except the operator process."""

    cluster: Cluster
    folder: Path
    """Folder for files of this plane; it is removed with the plane."""

    @property
    def audit(self) -> AuditLog:
        """The log of all requests."""
        return AuditLog(file=_existing(self.cluster.audit_log))

    def kubeconfig(self, account: str) -> Path:
        """Return the kubeconfig of a ServiceAccount."""
        return self.folder / f"{account}.kubeconfig"

    def cpu_s(self) -> dict[str, float]:
        """Return the CPU seconds of each program of the control plane."""
        return {
            name: process.cpu_s(self.cluster.pids[unit])
            for name, unit in PROGRAMS.items()
            if unit in self.cluster.pids
        }


def lock() -> AbstractContextManager[None]:
    """Hold the lock of the control plane, because a second benchmark would stop the plane of the first."""
    return locks.held(
        report.DOCS.parents[1] / ".sandbox" / "scale.lock", timeout_s=1, what="another benchmark"
    )


@contextmanager
def running(progress: Progress) -> Iterator[Plane]:
    """Start a new control plane; stop it at the end."""
    provider = providers.provider(CLUSTER, "simulated")
    provider.down(progress)
    with TemporaryDirectory(prefix="scale-") as folder:
        try:
            plane = Plane(cluster=provider.up(Options(audit=True), progress), folder=Path(folder))
            with progress.step("install the chart's objects"):
                _install(plane)
            yield plane
        finally:
            provider.down(progress)


def _install(plane: Plane) -> None:
    for name in (SYSTEM, AGENTS, DATADOG):
        _kubectl(plane, "create", "namespace", name)
    chart = [item for item in rendered() if item["kind"] not in WORKLOADS]
    _apply(plane, [*chart, _daemon_set(), *_loader()])
    for account in (OPERATOR, LOADER):
        _write_kubeconfig(plane, account)
    _kubectl(plane, "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    _kubectl(plane, "rollout", "status", f"--namespace={DATADOG}", "daemonset", "--timeout=60s")


def _daemon_set() -> dict[str, Any]:
    """Return a node agent, so that the connection and the coverage of nodes are as in production."""
    manifest = a_datadog_daemon_set(namespace=DATADOG, host_ports=True)
    labels = {"app": "datadog-agent"}
    template = {"metadata": {"labels": labels}, **manifest["spec"]["template"]}
    keep = ("name", "namespace", "labels")
    return {
        "apiVersion": manifest["apiVersion"],
        "kind": manifest["kind"],
        "metadata": {key: manifest["metadata"][key] for key in keep},
        "spec": {"selector": {"matchLabels": labels}, "template": template},
    }


def _loader() -> list[dict[str, Any]]:
    subject = {"kind": "ServiceAccount", "name": LOADER, "namespace": SYSTEM}
    group = "rbac.authorization.k8s.io"
    return [
        {
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": LOADER, "namespace": SYSTEM},
        },
        {
            "apiVersion": f"{group}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": LOADER},
            "roleRef": {"apiGroup": group, "kind": "ClusterRole", "name": "cluster-admin"},
            "subjects": [subject],
        },
    ]


def _write_kubeconfig(plane: Plane, account: str) -> None:
    admin = json.loads(plane.cluster.kubeconfig.read_text())
    ca = plane.folder / "ca.crt"
    if not ca.exists():
        shutil.copy(_existing(plane.cluster.logs).parent / "pki" / "ca.crt", ca)
    token = _kubectl(
        plane, "create", "token", account, f"--namespace={SYSTEM}", "--duration=24h"
    ).strip()
    server = admin["clusters"][0]["cluster"]["server"]
    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "current-context": "c",
        "contexts": [{"name": "c", "context": {"cluster": "c", "user": "u"}}],
        "clusters": [
            {"name": "c", "cluster": {"server": server, "certificate-authority": str(ca)}}
        ],
        "users": [{"name": "u", "user": {"token": token}}],
    }
    plane.kubeconfig(account).write_text(json.dumps(content))


def _existing(path: Path | None) -> Path:
    if path is None:
        raise RuntimeError("the control plane has no audit log")
    return path


def _apply(plane: Plane, manifests: list[Mapping[str, Any]] | list[dict[str, Any]]) -> None:
    _kubectl(plane, "apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(manifests))


def _kubectl(plane: Plane, *arguments: str, stdin: str = "") -> str:
    program = plane.cluster.kubeconfig.parent / "bin" / "kubectl"
    command = [str(program), f"--kubeconfig={plane.cluster.kubeconfig}", *arguments]
    done = subprocess.run(
        command, input=stdin, capture_output=True, text=True, check=False, timeout=120
    )
    if done.returncode != 0:
        raise RuntimeError(f"kubectl {' '.join(arguments[:3])} failed: {done.stderr[-500:]}")
    return done.stdout
