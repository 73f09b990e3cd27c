"""Identity of a cluster: a name within one checkout.

All names that could conflict between two clusters (folders, cgroup, lock) are derived from the
identity in this module only.
"""

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
    """Cluster name and the checkout in which it is used."""

    name: str
    checkout: Path

    @property
    def id(self) -> str:
        digest = hashlib.sha256(str(self.checkout).encode()).hexdigest()
        return f"{self.name}-{digest[:8]}"

    @property
    def state(self) -> Path:
        """Folder of all files of the running cluster; `down` removes it."""
        return paths.state() / "clusters" / self.id

    @property
    def kept(self) -> Path:
        """Folder of the files that survive `down` so that the next `up` is faster; `down --purge`
        removes it.
        """
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
    """Return the identity of a cluster name in this checkout.

    Raises ClusterError if the name is not valid.
    """
    if not _NAME.fullmatch(name):
        raise ClusterError(
            f"'{name}' is not a valid cluster name; use 1 to 24 lower case letters, digits and inner dashes"
        )
    return Identity(name=name, checkout=checkout or paths.checkout())
