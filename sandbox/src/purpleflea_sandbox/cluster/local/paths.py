"""Paths of one local cluster, and the addresses inside its network namespace.

This module creates no file.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from purpleflea_sandbox.cluster.errors import ClusterError
from purpleflea_sandbox.cluster.identity import Identity

NODE = "node-1"
NODE_IP = "10.250.0.1"
NODE_PREFIX = 24
NODE_BRIDGE = "node0"
POD_RANGE = "10.244.0.0/16"
DNS_IP = "10.96.0.10"
CLUSTER_DOMAIN = "cluster.local"
KUBELET_PORT = 10250
# Paths that kubelet, containerd, libcni and node agents expect. Inside the cluster's mount
# namespace they are private (and short enough for Unix sockets, independent of the path of the
# state folder).
RUN = Path("/run")
KUBELET_ROOT = Path("/var/lib/kubelet")
POD_LOGS = Path("/var/log/pods")
CONTAINERD = RUN / "containerd"
CLEANUP_RUN = RUN / "containerd-cleanup"
SOCKET = "containerd.sock"
MOUNT_POINTS = (KUBELET_ROOT, Path("/var/lib/cni"), POD_LOGS, Path("/var/log/containers"))


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterPaths:
    """Folders and files of one cluster."""

    state: Path
    kept: Path
    cgroup: str

    @property
    def holder_handle(self) -> Path:
        return self.state / "run" / "holder"

    @property
    def init_handle(self) -> Path:
        return self.state / "run" / "inner"

    @property
    def report(self) -> Path:
        return self.state / "run" / "units.json"

    @property
    def plan(self) -> Path:
        return self.state / "etc" / "plan.json"

    @property
    def image_store(self) -> Path:
        return self.kept / "containerd"

    @property
    def volumes(self) -> Path:
        return self.state / "volumes"

    @property
    def hidden(self) -> Mapping[Path, Path | None]:
        """Return the replacements of the machine's paths inside the cluster: a folder of the
        cluster, or None for a tmpfs.
        """
        ours = {KUBELET_ROOT: self.state / "kubelet", POD_LOGS: self.logs / "pods"}
        return {path: ours.get(path) for path in (RUN, *MOUNT_POINTS)}

    @property
    def logs(self) -> Path:
        return self.state / "logs"

    def etc(self, name: str) -> Path:
        return self.state / "etc" / name

    def folders(self) -> tuple[Path, ...]:
        names = ("run", "logs", "logs/pods", "kubelet", "etc/cni", "ipam", "opt", "volumes")
        return (*(self.state / name for name in names), self.image_store)

    def require_visible(self) -> None:
        """Raise ClusterError if the mounts of the cluster would hide a folder that its daemons
        need.
        """
        for folder in (self.state, self.kept):
            for hidden in self.hidden:
                if folder.is_relative_to(hidden):
                    raise ClusterError(
                        f"{folder} is below {hidden}, which the cluster mounts over; "
                        "set XDG_STATE_HOME and XDG_CACHE_HOME to other folders"
                    )


def cluster_paths(identity: Identity) -> ClusterPaths:
    return ClusterPaths(state=identity.state, kept=identity.kept, cgroup=identity.cgroup)
