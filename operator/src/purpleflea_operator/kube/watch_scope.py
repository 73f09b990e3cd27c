"""What part of the cluster the operator sees: all of it, or only some namespaces. Pure.

Bound to namespaces, it asks for nothing outside them. What it cannot see there, it does not know: nobody may take
"not seen" for "not there".
"""

from collections.abc import Iterable
from dataclasses import dataclass

from purpleflea_operator.kube.resources import ResourceKind


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchScope:
    """The namespaces the operator is bound to; none: the whole cluster."""

    namespaces: tuple[str, ...] = ()

    def sees(self, kind: ResourceKind) -> bool:
        """Whether all that matters of this kind can be seen."""
        return not self.namespaces or not kind.elsewhere

    def seen(self, kinds: Iterable[ResourceKind]) -> tuple[ResourceKind, ...]:
        """Those of the kinds that can be seen."""
        return tuple(kind for kind in kinds if self.sees(kind))

    def paths(self, kind: ResourceKind) -> tuple[str, ...]:
        """Where objects of this kind are listed and watched."""
        if not self.namespaces:
            return (f"{kind.prefix}/{kind.plural}",)
        return tuple(f"{kind.prefix}/namespaces/{name}/{kind.plural}" for name in self.namespaces)


CLUSTER_WIDE = WatchScope()
