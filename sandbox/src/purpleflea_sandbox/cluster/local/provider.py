"""The `local` provider.

It starts a cluster in the sequence with the shortest time to readiness, stops it with one kill, and
detects what a crash or reboot left behind. It needs root; the parts are in the sibling modules.
"""

import os
import shutil
import socket
from collections.abc import Sequence
from pathlib import Path

from purpleflea_sandbox.cluster import binaries, build_specs, packages, processes, records, volumes
from purpleflea_sandbox.cluster.cluster_status import ClusterStatus, ProviderInfo
from purpleflea_sandbox.cluster.control_plane import API_READY
from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.identity import Identity
from purpleflea_sandbox.cluster.local import (
    cgroups,
    configs,
    mount_points,
    namespace_holder,
)
from purpleflea_sandbox.cluster.local.image_store import ImageStore, single_program_image
from purpleflea_sandbox.cluster.local.node import Node
from purpleflea_sandbox.cluster.local.node_ports import open_node_port
from purpleflea_sandbox.cluster.local.paths import (
    CONTAINERD,
    MOUNT_POINTS,
    NODE,
    SOCKET,
    cluster_paths,
)
from purpleflea_sandbox.cluster.port import Cluster, Options, ProviderName
from purpleflea_sandbox.cluster.progress import Progress
from purpleflea_sandbox.cluster.records import ClusterRecord

_DEFAULT_ACCOUNT = "/api/v1/namespaces/default/serviceaccounts/default"

_INFO = ProviderInfo(
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
        self._paths = cluster_paths(identity)
        self._status = ClusterStatus(
            identity, _INFO, lambda: namespace_holder.is_alive(self._paths)
        )

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
        _require_root()
        self._paths.require_visible()
        with self._status.lock():
            if self._status.is_healthy():
                self._status.require_compatible(options)
                self._status.write_kubeconfig()
                progress.note(f"cluster {self._identity.name} is already running")
                return self.status()
            if self._paths.state.exists():
                progress.note("removing the remains of an earlier run")
                self._clear()
            packages.ensure(packages.NODE, progress)
            programs = binaries.ensure(build_specs.LOCAL, progress)
            node = Node(paths=self._paths, binaries=programs, audit=options.audit)
            with progress.step(f"start cluster {self._identity.name}", expected_s=5):
                self._start_or_end(node)
        return self.status()

    def down(self, progress: Progress, *, purge: bool = False) -> bool:
        with self._status.lock():
            exists = self._paths.state.exists()
            if exists:
                _require_root()
                with progress.step(f"stop cluster {self._identity.name}"):
                    self._clear()
            if purge:
                shutil.rmtree(self._identity.kept, ignore_errors=True)
                self._identity.lock.unlink()
            return exists

    def status(self) -> Cluster:
        return self._status.cluster(self._pids())

    def load_images(self, archives: Sequence[Path], progress: Progress) -> tuple[str, ...]:
        if not namespace_holder.is_alive(self._paths):
            raise ClusterError(
                f"cluster {self._identity.name} is not running; run 'cluster up' before loading images"
            )
        with progress.step("load images into the node", expected_s=5 * len(archives)):
            return ImageStore(self._runtime_socket()).load(archives)

    def expose_node_port(self, node_port: int) -> str:
        with self._status.lock():
            return open_node_port(self._paths, node_port, self.command_inside)

    def command_inside(self, argv: Sequence[str]) -> tuple[str, ...]:
        """Return a command line that runs `argv` in the network, mount and pid namespaces of the
        cluster.
        """
        process = namespace_holder.init_process(self._paths)
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
        process = namespace_holder.init_process(self._paths)
        if process is None:
            raise self._status.reports.error("the cluster stopped", "supervisor")
        return Path(f"/proc/{process.pid}/root{CONTAINERD}/{SOCKET}")

    def _start_or_end(self, node: Node) -> None:
        try:
            self._start(node)
        except BaseException:
            # The logs are kept for the reader of the error; the next `up` or `down` removes them.
            self._end()
            raise

    def _start(self, node: Node) -> None:
        records.record_provider(self._paths.state, self.name)
        node.write()
        cgroups.create(self._paths.cgroup, cgroups.hierarchies())
        mount_points.create(MOUNT_POINTS)
        with socket.create_server(("127.0.0.1", 0), backlog=512) as listener:
            server = f"https://127.0.0.1:{listener.getsockname()[1]}"
            namespace_holder.start(self._paths, listener)
        # While the API server starts, load the image that every pod needs.
        self._load_pause(node.binaries["pause"])
        self._status.wait_for(
            "kube-apiserver", lambda: self._status.reports.phase(API_READY) == "done"
        )
        api = self._status.api(server)
        api.ensure_created(volumes.CLASSES_PATH, volumes.storage_class())
        self._status.wait_for_nodes(api, "kubelet")
        # The API server rejects pods until the default ServiceAccount exists.
        self._status.wait_for("kube-controller-manager", lambda: api.exists(_DEFAULT_ACCOUNT))
        kubectl = str(node.binaries["kubectl"])
        record = ClusterRecord(server=server, audit=node.audit, kubectl=kubectl)
        records.save(self._paths.state, record)
        self._status.write_kubeconfig()

    def _load_pause(self, program: Path) -> None:
        archive = self._paths.etc("pause.tar")
        single_program_image(program, archive, name=configs.PAUSE_IMAGE)
        socket_file = self._runtime_socket()
        self._status.wait_for("containerd", socket_file.is_socket)
        ImageStore(socket_file).load((archive,))

    def _clear(self) -> None:
        self._end()
        shutil.rmtree(self._paths.state)
        self._status.remove_kubeconfig()

    def _end(self) -> None:
        if not namespace_holder.end(self._paths):
            raise ClusterError(
                f"cluster {self._identity.name} was killed, but it does not stop; "
                "one of its processes is blocked in the kernel (see 'ps -eo pid,stat,wchan')"
            )
        cgroups.remove(self._paths.cgroup, cgroups.hierarchies())
        mount_points.remove(MOUNT_POINTS)

    def _pids(self) -> dict[str, int]:
        process = namespace_holder.init_process(self._paths)
        if process is None:
            return {}
        outer = processes.outer_pids(process.pid)
        inner = self._status.reports.pids()
        units = {unit: outer[pid] for unit, pid in inner.items() if pid in outer}
        return {"supervisor": process.pid, **units}


def _require_root() -> None:
    if os.geteuid() != 0:
        raise ClusterError(
            "the local provider needs root (namespaces, mounts, cgroups); "
            "use sudo, a Docker engine, or --provider simulated"
        )
