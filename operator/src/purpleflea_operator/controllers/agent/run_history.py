"""Whether agents have ever run: from every event of their pods, and from the time for which each was observed.

A pass reads the cache some time after an event, so it can miss a pod that runs for a moment. Therefore each event
counts. After a gap, which is a start of the operator or a list that replaces an interrupted watch, an agent counts as
one that ran, unless its objects prove the opposite (`decisions.first_run`). In doubt it keeps its identity, because it
can hold positions.
"""

from purpleflea_operator.controllers.agent.decisions import first_run, gather
from purpleflea_operator.controllers.agent.decisions.observed_state import has_run
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache, owner_of
from purpleflea_operator.kube.resources import ResourceKind
from purpleflea_operator.parsing import Manifest


class RunHistory:
    """The history of all agents."""

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache
        self._ran: set[NamespacedName] = set()
        """Agents that ran, or may have run."""
        self._observed: dict[str, str] = {}
        """Namespaces of the agents, by UID, that have been observed since a moment at which they had not run."""

    def on_event(self, kind: ResourceKind, event_type: str | None, manifest: Manifest) -> None:
        """Process an event, also an outdated one, at O(1). Objects of lists have no event type."""
        key = owner_of(manifest)
        if key is None:
            return
        metadata = manifest["metadata"]
        if kind is resources.AGENT and event_type == "ADDED":
            self._observed[metadata["uid"]] = metadata["namespace"]
        ran = (kind is resources.STATEFUL_SET and first_run.was_ready(manifest)) or (
            kind is resources.POD and has_run(manifest) and gather.is_identity(manifest, key.name)
        )
        if ran and key not in self._ran and self._cache.agent(key) is not None:
            self._ran.add(key)

    def on_pods_listed(self, namespace: str) -> None:
        """Process a list of the pods of a namespace, or of all: pods can have run unseen before it."""
        self._observed = {
            uid: place for uid, place in self._observed.items() if namespace not in ("", place)
        }

    def forget(self, key: NamespacedName | None, uid: str) -> None:
        """Remove an agent that does not exist any more."""
        self._observed.pop(uid, None)
        if key is not None:
            self._ran.discard(key)

    def never_started(self, resource: Manifest) -> bool:
        """Return whether no container of an agent has ever run."""
        metadata = resource["metadata"]
        key = NamespacedName(metadata["namespace"], metadata["name"])
        if key in self._ran:
            return False
        pods, workloads = gather.agent_pods(self._cache, key), gather.workloads(self._cache, key)
        if not first_run.never_started(resource, pods, workloads):
            return False
        if metadata["uid"] in self._observed:
            return True
        claims = self._cache.owned(resources.CLAIM, key)
        if first_run.is_proven(resource, workloads, pods, claims):
            self._observed[metadata["uid"]] = key.namespace
            return True
        self._ran.add(key)
        return False
