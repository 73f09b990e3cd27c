"""Watch scope of the operator: the whole cluster, or some namespaces. Pure.

With namespaces set, the operator reads no object outside them, other than the halts in its own namespace. Objects
elsewhere are unknown, not absent, so callers
must not treat them as missing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from purpleflea_operator.kube.resources import HALT, ResourceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchScope:
    """Namespaces that the operator is bound to. Empty means the whole cluster."""

    namespaces: tuple[str, ...] = ()
    operator_namespace: str = ""
    """Namespace of the operator, which also has halts of agents in other namespaces. Empty if it is unknown."""

    def can_watch(self, kind: ResourceKind) -> bool:
        """Return True if the operator can watch all relevant objects of this kind."""
        return not self.namespaces or not kind.outside_agent_namespaces

    def watchable(self, kinds: Iterable[ResourceKind]) -> tuple[ResourceKind, ...]:
        """Return the kinds that the operator can watch."""
        return tuple(kind for kind in kinds if self.can_watch(kind))

    def paths(self, kind: ResourceKind) -> tuple[str, ...]:
        """Return the paths at which objects of this kind are listed and watched."""
        return tuple(self.paths_by_namespace(kind).values())

    def paths_by_namespace(self, kind: ResourceKind) -> dict[str, str]:
        """Return the paths by namespace. The name of the namespace is empty for a list of the whole cluster."""
        if not self.namespaces:
            return {"": f"{kind.prefix}/{kind.plural}"}
        names = self.namespaces
        if kind is HALT and self.operator_namespace and self.operator_namespace not in names:
            names = (*names, self.operator_namespace)
        return {name: f"{kind.prefix}/namespaces/{name}/{kind.plural}" for name in names}


CLUSTER_WIDE = WatchScope()
