"""Interface of a cluster provider and the values it uses.

This module does not depend on any provider.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from purpleflea_sandbox.cluster.progress import Progress

ProviderName = Literal["kind", "local", "simulated"]
State = Literal["running", "starting", "stale", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """Snapshot of the observed state of one cluster."""

    name: str
    identity: str
    provider: ProviderName
    state: State
    kubeconfig: Path
    ready: bool = False
    api: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    real: tuple[str, ...] = ()
    simulated: tuple[str, ...] = ()
    pids: Mapping[str, int] = field(default_factory=dict)
    audit_log: Path | None = None
    logs: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Options for a new cluster."""

    audit: bool = False
    workers: int = 0
    """Nodes besides the control plane; only for kind. Without workers, the control plane runs pods."""
    node_image: str = ""
    """Node image of kind; empty for the default of kind."""
    lost_node_after_s: int = 0
    """Seconds without a heartbeat after which a node is not ready; only for kind. 0 is the default of Kubernetes."""
    node_ports: tuple[int, ...] = ()
    """Ports of NodePort Services that are reachable at an address of this machine."""


class Provider(Protocol):
    """Manages one named cluster."""

    @property
    def name(self) -> ProviderName: ...

    @property
    def kubeconfig(self) -> Path: ...

    @property
    def audit_log(self) -> Path | None: ...

    def up(self, options: Options, progress: Progress) -> Cluster:
        """Start the cluster; return immediately if it is already running and healthy."""
        ...

    def down(self, progress: Progress, *, purge: bool = False) -> bool:
        """Remove the cluster, and its cached images if `purge` is set; return whether a cluster
        existed.
        """
        ...

    def status(self) -> Cluster: ...

    def expose_node_port(self, node_port: int) -> str:
        """Return the HTTP address on this machine that forwards to a NodePort Service.

        With kind, a port that was in the options is reachable from outside the network of the engine.
        """
        ...

    def load_images(self, archives: Sequence[Path], progress: Progress) -> tuple[str, ...]:
        """Load the images of OCI archives; return the names that were not present before."""
        ...
