"""Which cluster is meant: a name inside one checkout. Everything that could clash between two
clusters (folders, cgroup, lock) is derived from the identity here, and nowhere else."""

import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from purpleflea_sandbox import paths
from purpleflea_sandbox.cluster.errors import ClusterError

DEFAULT_NAME = "demo"
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,22}[a-z0-9])?")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """A name, and the checkout in which it was said."""

    name: str
    checkout: Path

    @property
    def id(self) -> str:
        digest = hashlib.sha256(str(self.checkout).encode()).hexdigest()
        return f"{self.name}-{digest[:8]}"

    @property
    def state(self) -> Path:
        """Folder of everything that belongs to the running cluster; gone after `down`."""
        return paths.state() / "clusters" / self.id

    @property
    def kept(self) -> Path:
        """Folder of what survives `down` to make the next `up` cheap; gone after `down --purge`."""
        return paths.cache() / "clusters" / self.id

    @property
    def lock(self) -> Path:
        return paths.cache() / "locks" / f"cluster-{self.id}"

    @property
    def cgroup(self) -> str:
        return f"plane-{self.id}"

    @property
    def sandbox(self) -> Path:
        return self.checkout / ".sandbox"

    @property
    def kubeconfig(self) -> Path:
        if self.name == DEFAULT_NAME:
            return self.sandbox / "kubeconfig"
        return self.sandbox / f"{self.name}.kubeconfig"


def identify(name: str, checkout: Path | None = None) -> Identity:
    """The identity of a cluster name in this checkout."""
    if not _NAME.fullmatch(name):
        raise ClusterError(
            f"'{name}' cannot be a cluster name: use 1 to 24 lower case letters, digits and inner dashes"
        )
    return Identity(name=name, checkout=checkout or paths.checkout())
