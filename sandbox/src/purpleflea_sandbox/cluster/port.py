"""The interface of a cluster provider and the values that cross it. No provider is known here."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, Protocol

from purpleflea_sandbox.cluster.progress import Progress

ProviderName = Literal["kind", "local", "simulated"]
State = Literal["running", "starting", "stale", "stopped"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """What is known of one cluster at one moment."""

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
    """What a new cluster is asked to be."""

    audit: bool = False


class Provider(Protocol):
    """One way to have one named cluster."""

    @property
    def name(self) -> ProviderName: ...

    @property
    def kubeconfig(self) -> Path: ...

    @property
    def audit_log(self) -> Path | None: ...

    def up(self, options: Options, progress: Progress) -> Cluster:
        """Bring the cluster up; return at once when it already runs and is healthy."""
        ...

    def down(self, progress: Progress, *, purge: bool = False) -> bool:
        """Remove the cluster (with `purge` its kept images too); say whether there was one."""
        ...

    def status(self) -> Cluster: ...

    def publish(self, node_port: int) -> str:
        """The HTTP address on this machine at which a NodePort Service answers."""
        ...

    def load_images(self, archives: Sequence[Path], progress: Progress) -> tuple[str, ...]:
        """Make the images of OCI archives usable by pods; return the names that were not there before."""
        ...
