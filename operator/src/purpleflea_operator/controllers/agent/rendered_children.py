"""The children that were rendered last, because most passes render the same children again.

Only those of the agents of the last passes are kept, as JSON, so the memory does not grow with the number of agents.
Parsing needs a third of the time that rendering needs. The module must not decide anything about the children.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace

import orjson

from purpleflea_operator.datadog.detection.connection import Connection
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from purpleflea_operator.parsing import MutableManifest

LIMIT = 1024
"""Agents whose children are kept. Those of one agent need 8 kB, and 25 kB as objects."""


@dataclass(frozen=True, slots=True)
class _Rendered:
    agent: Agent
    connection: Connection
    uses_instrumentation: bool
    manifests: bytes


class RenderedChildren:
    """Renders the children of agents with the same defaults."""

    def __init__(self, defaults: Defaults) -> None:
        self._defaults = {
            uses: replace(defaults, uses_instrumentation=uses) for uses in (False, True)
        }
        self._rendered: OrderedDict[NamespacedName, _Rendered] = OrderedDict()

    def of(
        self, agent: Agent, connection: Connection, *, uses_instrumentation: bool = False
    ) -> tuple[MutableManifest, ...]:
        """Return the children of an agent, in the sequence in which they are applied."""
        key = NamespacedName(agent.namespace, agent.name)
        known = self._rendered.pop(key, None)
        is_same_way = known is not None and known.uses_instrumentation is uses_instrumentation
        if known is not None and is_same_way and _is_same(known, agent, connection):
            self._rendered[key] = known
            return tuple(orjson.loads(known.manifests))
        manifests = children(agent, self._defaults[uses_instrumentation], connection)
        content = orjson.dumps(manifests)
        self._rendered[key] = _Rendered(agent, connection, uses_instrumentation, content)
        if len(self._rendered) > LIMIT:
            self._rendered.popitem(last=False)
        return manifests


def _is_same(known: _Rendered, agent: Agent, connection: Connection) -> bool:
    """Return whether the children would be the same ones. Specs are compared by identity, which is cheap."""
    if known.agent.spec is not agent.spec or known.connection != connection:
        return False
    return known.agent == agent
