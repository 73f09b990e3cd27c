"""The `local` provider.

It starts a cluster in the sequence with the shortest time to readiness, stops it with one kill, and
detects what a crash or reboot left behind. It needs root; the parts are in the sibling modules.
"""

import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from purpleflea_sandbox.cluster import binaries, packages, processes, recipes, records
from purpleflea_sandbox.cluster.control_plane import API_READY
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.identity import Identity
from purpleflea_sandbox.cluster.local import cgroups, configs, holder, mount_points, volumes
from purpleflea_sandbox.cluster.local.image_store import ImageStore, single_program_image
from purpleflea_sandbox.cluster.local.layout import (
    CONTAINERD,
    MOUNT_POINTS,
    NODE,
    SOCKET,
    layout,
)
from purpleflea_sandbox.cluster.local.node import Node
from purpleflea_sandbox.cluster.local.published import published
from purpleflea_sandbox.cluster.port import Cluster, Options, ProviderName
from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.cluster.records import Record
from purpleflea_sandbox.cluster.view import Truth, View

_DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"

_TRUTH = Truth(
    provider="local",
    nodes=(NODE,),
    real=(
        "API server, etcd, controllers, scheduler",
        "one node: kubelet, containerd, runc",
        "Service addresses (kube-proxy) and DNS (CoreDNS)",
        "persistent volumes (folders of the node)",
    ),
    simulated=(
        "NetworkPolicy: accepted but not enforced (bridge network)",
        "external network: no traffic leaves the cluster's network namespace",
    ),
)


class Local:
    """One cluster in namespaces of this machine."""

    def __init__(self, identity: Identity) -> None:
        self._identity = identity
        self._layout = layout(identity)
        self._view = View(identity, _TRUTH, lambda: holder.is_alive(self._layout))

    @property
    def name(self) -> ProviderName:
        return _TRUTH.provider

    @property
    def kubeconfig(self) -> Path:
        return self._identity.kubeconfig

    @property
    def audit_log(self) -> Path | None:
        return self._view.audit_log

    def up(self, options: Options, progress: Progress) -> Cluster:
        _require_root()
        self._layout.check_is_visible()
        with self._view.lock():
            if self._view.is_healthy():
                self._view.require_same(options)
                self._view.publish()
                progress.note(f"cluster {self._identity.name} is already running")
                return self.status()
            if self._layout.state.exists():
                progress.note("removing the remains of an earlier run")
                self._clear()
            packages.ensure(packages.NODE, progress)
            programs = binaries.ensure(recipes.LOCAL, progress)
            node = Node(layout=self._layout, binaries=programs, audit=options.audit)
            with progress.step(f"start cluster {self._identity.name}", expected_s=5):
                self._start_or_end(node)
        return self.status()

    def down(self, progress: Progress, *, purge: bool = False) -> bool:
        with self._view.lock():
            exists = self._layout.state.exists()
            if exists:
                _require_root()
                with progress.step(f"stop cluster {self._identity.name}"):
                    self._clear()
            if purge:
                shutil.rmtree(self._identity.kept, ignore_errors=True)
                self._identity.lock.unlink()
            return exists

    def status(self) -> Cluster:
        return self._view.cluster(self._pids())

    def load_images(self, archives: Sequence[Path], progress: Progress) -> tuple[str, ...]:
        if not holder.is_alive(self._layout):
            raise ClusterError(
                f"cluster {self._identity.name} is not running; run 'cluster up' before loading images"
            )
        with progress.step("load images into the node", expected_s=5 * len(archives)):
            return ImageStore(self._runtime_socket()).load(archives)

    def publish(self, node_port: int) -> str:
        with self._view.lock():
            return published(self._layout, node_port, self.inside)

    def inside(self, argv: Sequence[str]) -> tuple[str, ...]:
        """Return a command line that runs `argv` in the network, mount and pid namespaces of the
        cluster.
        """
        process = holder.inner(self._layout)
        if process is None:
            raise ClusterError(
                f"cluster {self._identity.name} is not running; run 'cluster up' first"
            )
        enter = (packages.program("nsenter"), "--target", str(process.pid))
        return (*enter, "--net", "--mount", "--pid", "--", *argv)

    def _runtime_socket(self) -> Path:
        """Return the path of containerd's socket from outside, through the root folder of the
        cluster's pid 1.
        """
        process = holder.inner(self._layout)
        if process is None:
            raise self._view.reports.error("the cluster stopped", "supervisor")
        return Path(f"/proc/{process.pid}/root{CONTAINERD}/{SOCKET}")

    def _start_or_end(self, node: Node) -> None:
        try:
            self._start(node)
        except BaseException:
            # The logs are kept for the reader of the error; the next `up` or `down` removes them.
            self._end()
            raise

    def _start(self, node: Node) -> None:
        records.claim(self._layout.state, self.name)
        node.write()
        cgroups.create(self._layout.cgroup, cgroups.hierarchies())
        mount_points.make(MOUNT_POINTS)
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
            server = f"https://127.0.0.1:{listener.getsockname()[1]}"
            holder.start(self._layout, listener)
        # While the API server starts, load the image that every pod needs.
        self._load_pause(node.binaries["pause"])
        self._view.wait_for("kube-apiserver", lambda: self._view.reports.phase(API_READY) == "done")
        api = self._view.api(server)
        api.must_create(volumes.CLASSES_PATH, volumes.storage_class())
        self._view.wait_for_nodes(api, "kubelet")
        # The API server rejects pods until the default ServiceAccount exists.
        self._view.wait_for("kube-controller-manager", lambda: api.exists(_DEFAULT_ACCOUNT))
        kubectl = str(node.binaries["kubectl"])
        record = Record(server=server, audit=node.audit, kubectl=kubectl)
        records.save(self._layout.state, record)
        self._view.publish()

    def _load_pause(self, program: Path) -> None:
        archive = self._layout.etc("pause.tar")
        single_program_image(program, archive, name=configs.PAUSE_IMAGE)
        socket_file = self._runtime_socket()
        self._view.wait_for("containerd", socket_file.is_socket)
        ImageStore(socket_file).load((archive,))

    def _clear(self) -> None:
        self._end()
        shutil.rmtree(self._layout.state)
        self._view.unpublish()

    def _end(self) -> None:
        if not holder.end(self._layout):
            raise ClusterError(
                f"cluster {self._identity.name} was killed, but it does not stop; "
                "one of its processes is blocked in the kernel (see 'ps -eo pid,stat,wchan')"
            )
        cgroups.remove(self._layout.cgroup, cgroups.hierarchies())
        mount_points.remove(MOUNT_POINTS)

    def _pids(self) -> dict[str, int]:
        process = holder.inner(self._layout)
        if process is None:
            return {}
        outer = processes.outer_pids(process.pid)
        inner = self._view.reports.pids()
        units = {unit: outer[pid] for unit, pid in inner.items() if pid in outer}
        return {"supervisor": process.pid, **units}


def _require_root() -> None:
    if os.geteuid() != 0:
        raise ClusterError(
            "the local provider needs root (namespaces, mounts, cgroups); "
            "use sudo, a Docker engine, or --provider simulated"
        )
