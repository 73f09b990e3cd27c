"""Control plane as supervised units: etcd, API server, controller manager and scheduler with their
flags.

Pure. The providers `local` and `simulated` share this module; they differ only in addresses.
"""

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from purpleflea_sandbox.cluster.credentials import ADMINS, Leaf
from purpleflea_sandbox.cluster.units import Unit

SERVICE_RANGE = "10.96.0.0/16"
API_SERVICE_IP = "10.96.0.1"
API_READY = "api-ready"
ADMIN = "admin"
# With the defaults (20/30) the client-side rate limit delays the start of the controllers by 5 s.
_FAST_CLIENT = ("--kube-api-qps=500", "--kube-api-burst=1000")


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlPlane:
    """Addresses, files and programs of one control plane."""

    binaries: Mapping[str, Path]
    state: Path
    bind: str
    address: str
    port: int
    etcd_client_port: int
    etcd_peer_port: int
    extra_api_flags: tuple[str, ...] = ()
    controller_port: int | None = None
    scheduler_port: int | None = None
    audit: bool = False

    @property
    def keys(self) -> Path:
        return self.state / "pki"

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    @property
    def audit_log(self) -> Path:
        return self.logs / "audit.jsonl"

    @property
    def audit_policy(self) -> Path:
        return self.state / "etc" / "audit-policy.json"

    @property
    def server(self) -> str:
        port = "" if self.port == 443 else f":{self.port}"
        return f"https://{self.address}{port}"

    def kubeconfig(self, leaf: str) -> Path:
        return self.state / "kubeconfig" / leaf


AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "rules": [{"level": "Metadata"}],
}

CONTROLLER_MANAGER = "kube-controller-manager"
SCHEDULER = "kube-scheduler"


def leaves(*serving_names: str) -> tuple[Leaf, ...]:
    """Return the certificates that every control plane needs; the API server also serves under
    `serving_names`.
    """
    service = "kubernetes.default.svc"
    names = ("localhost", "kubernetes", "kubernetes.default", service, f"{service}.cluster.local")
    return (
        Leaf(
            file="apiserver",
            user="kube-apiserver",
            names=(*names, "127.0.0.1", API_SERVICE_IP, *serving_names),
        ),
        Leaf(file=ADMIN, user="admin", group=ADMINS),
        Leaf(file=CONTROLLER_MANAGER, user=f"system:{CONTROLLER_MANAGER}"),
        Leaf(file=SCHEDULER, user=f"system:{SCHEDULER}"),
    )


def python(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command line of a unit that runs a sandbox module (-P excludes the current folder
    from the import path).
    """
    return (sys.executable, "-P", "-m", module, *arguments)


def units(plane: ControlPlane, *, after: tuple[str, ...] = ()) -> tuple[Unit, ...]:
    """Return the units; the units without other dependencies wait for `after`."""
    return (
        Unit(name="etcd", argv=_etcd(plane), after=after),
        Unit(name="kube-apiserver", argv=_api_server(plane), after=after),
        Unit(
            name=API_READY,
            argv=python(
                "purpleflea_sandbox.cluster.wait_for_apiserver",
                plane.server,
                str(plane.keys),
                ADMIN,
            ),
            after=after,
            once=True,
        ),
        Unit(name=CONTROLLER_MANAGER, argv=_controller_manager(plane), after=(API_READY,)),
        Unit(name=SCHEDULER, argv=_scheduler(plane), after=(API_READY,)),
    )


def _etcd(plane: ControlPlane) -> tuple[str, ...]:
    client = f"http://127.0.0.1:{plane.etcd_client_port}"
    peer = f"http://127.0.0.1:{plane.etcd_peer_port}"
    return (
        str(plane.binaries["etcd"]),
        "--name=plane",
        f"--data-dir={plane.state / 'etcd'}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=plane={peer}",
        "--unsafe-no-fsync=true",
        f"--quota-backend-bytes={8 * 1024**3}",
        "--auto-compaction-retention=1",
        "--log-level=warn",
    )


def _api_server(plane: ControlPlane) -> tuple[str, ...]:
    keys = plane.keys
    return (
        str(plane.binaries["kube-apiserver"]),
        f"--etcd-servers=http://127.0.0.1:{plane.etcd_client_port}",
        f"--bind-address={plane.bind}",
        f"--secure-port={plane.port}",
        f"--advertise-address={plane.address}",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        "--allow-privileged=true",
        "--authorization-mode=Node,RBAC",
        f"--client-ca-file={keys / 'ca.crt'}",
        f"--tls-cert-file={keys / 'apiserver.crt'}",
        f"--tls-private-key-file={keys / 'apiserver.key'}",
        "--service-account-issuer=https://kubernetes.default.svc.cluster.local",
        f"--service-account-key-file={keys / 'sa.pub'}",
        f"--service-account-signing-key-file={keys / 'sa.key'}",
        f"--cert-dir={plane.state / 'apiserver'}",
        "--profiling=false",
        *plane.extra_api_flags,
        *_audit_flags(plane),
    )


def _audit_flags(plane: ControlPlane) -> tuple[str, ...]:
    if not plane.audit:
        return ()
    return (
        f"--audit-policy-file={plane.audit_policy}",
        f"--audit-log-path={plane.audit_log}",
        # In blocking mode the API server responds only after the audit line is written, so request
        # counts are exact.
        "--audit-log-mode=blocking",
        "--audit-log-maxsize=4096",
    )


def _controller_manager(plane: ControlPlane) -> tuple[str, ...]:
    keys = plane.keys
    return (
        str(plane.binaries[CONTROLLER_MANAGER]),
        *_client_flags(plane, CONTROLLER_MANAGER, plane.controller_port),
        f"--service-account-private-key-file={keys / 'sa.key'}",
        f"--root-ca-file={keys / 'ca.crt'}",
        "--use-service-account-credentials=true",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--cluster-signing-cert-file={keys / 'ca.crt'}",
        f"--cluster-signing-key-file={keys / 'ca.key'}",
        "--concurrent-statefulset-syncs=20",
    )


def _scheduler(plane: ControlPlane) -> tuple[str, ...]:
    return (
        str(plane.binaries[SCHEDULER]),
        *_client_flags(plane, SCHEDULER, plane.scheduler_port),
    )


def _client_flags(plane: ControlPlane, leaf: str, port: int | None) -> tuple[str, ...]:
    config = plane.kubeconfig(leaf)
    return (
        f"--kubeconfig={config}",
        f"--authentication-kubeconfig={config}",
        f"--authorization-kubeconfig={config}",
        f"--cert-dir={plane.state / leaf}",
        "--leader-elect=false",
        "--bind-address=127.0.0.1",
        *(() if port is None else (f"--secure-port={port}",)),
        *_FAST_CLIENT,
    )
