"""The children that were rendered last, because most passes render the same children again.

Only agents of the last passes are kept, so the memory does not grow with the number of agents. The module must not
decide anything about the children, and no caller may change them.
"""

from collections import OrderedDict
from dataclasses import dataclass

from purpleflea_operator.datadog.detection.connection import Connection
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_operator.parsing import MutableManifest

LIMIT = 256
"""Agents whose children are kept. Those of one agent need 30 kB."""


@dataclass(frozen=True, slots=True)
class _Rendered:
    agent: Agent
    connection: Connection
    manifests: tuple[MutableManifest, ...]


class RenderedChildren:
    """Renders the children of agents with the same defaults."""

    def __init__(self, defaults: Defaults) -> None:
        self._defaults = defaults
        self._rendered: OrderedDict[NamespacedName, _Rendered] = OrderedDict()

    def of(self, agent: Agent, connection: Connection) -> tuple[MutableManifest, ...]:
        """Return the children of an agent, in the sequence in which they are applied."""
        key = NamespacedName(agent.namespace, agent.name)
        known = self._rendered.pop(key, None)
        if known is None or not _is_same(known, agent, connection):
            manifests = children(agent, self._defaults, connection)
            known = _Rendered(agent, connection, manifests)
        self._rendered[key] = known
        if len(self._rendered) > LIMIT:
            self._rendered.popitem(last=False)
        return known.manifests


def _is_same(known: _Rendered, agent: Agent, connection: Connection) -> bool:
    """Return whether the children would be the same ones. Specs are compared by identity, which is cheap."""
    if known.agent.spec is not agent.spec or known.connection != connection:
        return False
    return known.agent == agent
