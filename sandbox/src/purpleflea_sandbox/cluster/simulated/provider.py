"""The `simulated` provider: starts a control plane on the loopback interface with simulated nodes,
as any user.

Its status states that nothing runs in the pods.
"""

import json
import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path

from purpleflea_sandbox.cluster import (
    binaries,
    build_specs,
    certificates,
    control_plane,
    kubeconfig,
    records,
    volumes,
)
from purpleflea_sandbox.cluster.cluster_status import ClusterStatus, ProviderInfo
from purpleflea_sandbox.cluster.control_plane import ADMIN, API_READY, ControlPlane, python
from purpleflea_sandbox.cluster.credentials import ADMINS, Leaf, pair
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.identity import Identity
from purpleflea_sandbox.cluster.port import Cluster, Options, ProviderName
from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.cluster.records import ClusterRecord
from purpleflea_sandbox.cluster.simulated import ports, stages
from purpleflea_sandbox.cluster.simulated.session import Session
from purpleflea_sandbox.cluster.units import Unit

_NODES = "kwok"
_VOLUMES = "volumes"
_CLIENTS = (ADMIN, control_plane.CONTROLLER_MANAGER, control_plane.SCHEDULER, _NODES, _VOLUMES)
_DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"
_INFO = ProviderInfo(
    provider="simulated",
    nodes=stages.NODES,
    real=("API server, etcd, controllers, scheduler",),
    simulated=(
        "nodes and pods: they become Ready in the API, but nothing runs in them "
        "(no logs, exec, probes, ports, DNS)",
        "persistent volumes: bound but never mounted",
    ),
)


class Simulated:
    """One control plane of this user."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._session = Session(identity.state)
        self._status = ClusterStatus(identity, _INFO, self._session.is_alive)

    @property
    def name(self) -> ProviderName:
        return _INFO.provider

    @property
    def kubeconfig(self) -> Path:
        return self._identity.kubeconfig

    @property
    def audit_log(self) -> Path | None:
        return self._status.audit_log

    def up(self, options: Options, progress: Progress) -> Cluster:
        with self._status.lock():
            if self._status.is_healthy():
                self._status.require_compatible(options)
                self._status.write_kubeconfig()
                progress.note(f"cluster {self._identity.name} is already running")
                return self.status()
            if self._identity.state.exists():
                progress.note("removing the remains of an earlier run")
                self._clear()
            programs = binaries.ensure(build_specs.SIMULATED, progress)
            with progress.step(f"start cluster {self._identity.name}", expected_s=5):
                self._start_or_end(self._plane(programs, options))
        return self.status()

    def down(self, progress: Progress, *, purge: bool = False) -> bool:
        with self._status.lock():
            exists = self._identity.state.exists()
            if exists:
                with progress.step(f"stop cluster {self._identity.name}"):
                    self._clear()
            if purge:
                shutil.rmtree(self._identity.kept, ignore_errors=True)
                self._identity.lock.unlink()
            return exists

    def status(self) -> Cluster:
        leader = self._session.leader()
        pids = {} if leader is None else {"supervisor": leader, **self._status.reports.pids()}
        return self._status.cluster(pids)

    def expose_node_port(self, node_port: int) -> str:
        raise ClusterError(
            f"cannot open port {node_port}, because the pods of a simulated cluster do not run"
        )

    def load_images(self, archives: Sequence[Path], progress: Progress) -> tuple[str, ...]:
        progress.note(
            f"skipped {len(archives)} image archives, because simulated pods run no images"
        )
        return ()

    def _plane(self, programs: Mapping[str, Path], options: Options) -> ControlPlane:
        client, peer, api, controllers, scheduler = ports.reserve(5)
        return ControlPlane(
            binaries=programs,
            state=self._identity.state,
            bind=ports.HOST,
            address=ports.HOST,
            port=api,
            etcd_client_port=client,
            etcd_peer_port=peer,
            controller_port=controllers,
            scheduler_port=scheduler,
            audit=options.audit,
            extra_api_flags=("--endpoint-reconciler-type=none",),
        )

    def _start_or_end(self, plane: ControlPlane) -> None:
        try:
            self._start(plane)
        except BaseException:
            # The logs are kept for the reader of the error; the next `up` or `down` removes them.
            self._end()
            raise

    def _start(self, plane: ControlPlane) -> None:
        records.record_provider(self._identity.state, self.name)
        _write(plane)
        self._session.start()
        self._status.wait_for(
            "kube-apiserver", lambda: self._status.reports.phase(API_READY) == "done"
        )
        api = self._status.api(plane.server)
        api.ensure_created(volumes.CLASSES_PATH, volumes.storage_class())
        for name in stages.NODES:
            api.ensure_created("/api/v1/nodes", stages.node(name))
        self._status.wait_for_nodes(api, _NODES)
        self._status.wait_for("kube-controller-manager", lambda: api.exists(_DEFAULT_ACCOUNT))
        record = ClusterRecord(
            server=plane.server,
            audit=plane.audit,
            kubectl=str(plane.binaries["kubectl"]),
        )
        records.save(self._identity.state, record)
        self._status.write_kubeconfig()

    def _clear(self) -> None:
        self._end()
        shutil.rmtree(self._identity.state)
        self._status.remove_kubeconfig()

    def _end(self) -> None:
        if not self._session.end():
            raise ClusterError(f"the processes of cluster {self._identity.name} do not exit")


def _write(plane: ControlPlane) -> None:
    for name in ("run", "logs", "etc", "volumes"):
        (plane.state / name).mkdir(parents=True, exist_ok=True)
    clients = (
        Leaf(file=_NODES, user="kwok", group=ADMINS),
        Leaf(file=_VOLUMES, user="volume-provisioner", group=ADMINS),
    )
    certificates.issue(plane.keys, (*control_plane.leaves(), *clients))
    for leaf in _CLIENTS:
        config = plane.kubeconfig(leaf)
        kubeconfig.write(config, server=plane.server, pair=pair(plane.keys, leaf), name=leaf)
    plan = {
        "units": [asdict(unit) for unit in _units(plane)],
        "logs": str(plane.logs),
        "report": str(plane.state / "run" / "units.json"),
        "environment": {
            "PATH": os.environ.get("PATH", "/usr/bin:/bin"),
            "HOME": str(plane.state),
            "PYTHONUNBUFFERED": "1",
        },
    }
    texts = {
        "plan.json": json.dumps(plan),
        "audit-policy.json": json.dumps(control_plane.AUDIT_POLICY),
        "stages.yaml": stages.documents(),
    }
    for name, text in texts.items():
        (plane.state / "etc" / name).write_text(text)


def _units(plane: ControlPlane) -> tuple[Unit, ...]:
    kwok = (
        str(plane.binaries["kwok"]),
        f"--kubeconfig={plane.kubeconfig(_NODES)}",
        f"--config={plane.state / 'etc' / 'stages.yaml'}",
        "--manage-all-nodes=true",
        f"--cidr={stages.POD_RANGE}",
        f"--node-ip={ports.HOST}",
        "--node-lease-duration-seconds=40",
        # Empty: no kubelet port, so that two clusters never use the same port.
        "--server-address=",
    )
    provisioner = python(
        "purpleflea_sandbox.cluster.provisioner",
        str(plane.kubeconfig(_VOLUMES)),
        str(plane.state / "volumes"),
    )
    return (
        *control_plane.units(plane),
        Unit(name=_NODES, argv=kwok, after=(API_READY,)),
        Unit(name=_VOLUMES, argv=provisioner, after=(API_READY,)),
    )
