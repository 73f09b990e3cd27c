"""Watch scope of the operator: the whole cluster, or some namespaces. Pure.

With namespaces set, the operator reads no object outside them, other than the halts in its own namespace and, if it has
the rights, the node agents and nodes. Objects elsewhere are unknown, not absent, so callers must not treat them as
missing.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from purpleflea_operator.kube.resources import HALT, POD, ResourceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchScope:
    """Namespaces that the operator is bound to. Empty means the whole cluster."""

    namespaces: tuple[str, ...] = ()
    telemetry_namespaces: tuple[str, ...] = ()
    """Namespaces of node agents, if an operator that is bound to namespaces may read the cluster for the proof of
    telemetry. It then also watches the pods in them, and the kinds outside the namespaces of agents."""
    operator_namespace: str = ""
    """Namespace of the operator, which also has halts of agents in other namespaces. Empty if it is unknown."""

    def can_watch(self, kind: ResourceKind) -> bool:
        """Return True if the operator can watch all relevant objects of this kind."""
        return (
            not self.namespaces
            or not kind.outside_agent_namespaces
            or bool(self.telemetry_namespaces)
        )

    def watchable(self, kinds: Iterable[ResourceKind]) -> tuple[ResourceKind, ...]:
        """Return the kinds that the operator can watch."""
        return tuple(kind for kind in kinds if self.can_watch(kind))

    def paths(self, kind: ResourceKind) -> tuple[str, ...]:
        """Return the paths at which objects of this kind are listed and watched."""
        return tuple(self.paths_by_namespace(kind).values())

    def paths_by_namespace(self, kind: ResourceKind) -> dict[str, str]:
        """Return the paths by namespace. The name of the namespace is empty for a list of the whole cluster."""
        if not self.namespaces or (kind.outside_agent_namespaces and self.telemetry_namespaces):
            return {"": f"{kind.prefix}/{kind.plural}"}
        names = self.namespaces
        if kind is POD:
            names = tuple(dict.fromkeys((*names, *self.telemetry_namespaces)))
        if kind is HALT and self.operator_namespace and self.operator_namespace not in names:
            names = (*names, self.operator_namespace)
        return {name: f"{kind.prefix}/namespaces/{name}/{kind.plural}" for name in names}


CLUSTER_WIDE = WatchScope()
