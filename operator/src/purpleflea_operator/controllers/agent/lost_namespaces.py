"""Namespaces whose objects the API server refuses for long, so the operator has only an outdated state of their agents.

The condition WorkloadAvailable of these agents names the refused list. If the right to write it is missing as well, an
Event about the Lease of the operator and the metric of the watches report it. Only the leader posts Events.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from purpleflea_operator import timings
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.events import Event, event_manifest
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.watch_scope import WatchScope
from purpleflea_operator.kube.watch_state import WatchStates
from purpleflea_operator.parsing import Manifest
from purpleflea_operator.runtime.lifecycle import UPGRADE
from purpleflea_operator.runtime.sweep import Sweep

logger = logging.getLogger(__name__)

NEEDED = (
    resources.AGENT,
    *(kind for kind in resources.CHILDREN if not kind.optional),
    resources.POD,
    resources.CLAIM,
)
"""Kinds without which the state of an agent is not known."""


class LostNamespaces:
    """Finds lost namespaces. `queue_agent` is called with the agents of a namespace that is lost or readable again."""

    def __init__(
        self,
        scope: WatchScope,
        states: WatchStates,
        cache: ObjectCache,
        queue_agent: Callable[[NamespacedName], None],
    ) -> None:
        self._states = states
        self._cache = cache
        self._paths = _paths(scope)
        self._reasons: dict[str, str] = {}
        """The lost namespaces. The name is empty for a list of the whole cluster."""
        self._affected: set[str] = set()
        self._sweep = Sweep(self._keys, queue_agent)
        self._timer: asyncio.TimerHandle | None = None
        self._changed = asyncio.Event()

    def reason(self, namespace: str) -> str:
        """Return why the objects of a namespace are outdated, and the remedy; empty if they are not."""
        return self._reasons.get("") or self._reasons.get(namespace, "")

    def on_refused(self) -> None:
        """Process that the API server refuses a path, or serves it again."""
        if self._timer is not None:
            self._timer.cancel()
        self._update()
        # A moment later than the refusals count, because the two clocks differ.
        delay_s = timings.OBJECTS_UNKNOWN_AFTER_S + 0.1
        self._timer = asyncio.get_running_loop().call_later(delay_s, self._update)

    def close(self) -> None:
        """Cancel the timer."""
        if self._timer is not None:
            self._timer.cancel()

    def _update(self) -> None:
        found = {name: text for name in self._paths if (text := self._refusal(name))}
        changed = {
            name
            for name in {*found, *self._reasons}
            if (name in found) is not (name in self._reasons)
        }
        # The text of a lost namespace stays, because each change is a write of the status of its agents.
        self._reasons = {name: self._reasons.get(name, text) for name, text in found.items()}
        if changed:
            self._affected |= changed
            self._sweep.start()
            self._changed.set()

    def _refusal(self, namespace: str) -> str:
        for plural, path in self._paths[namespace]:
            state = self._states.get(path)
            if state is None or not state.refusal:
                continue
            if state.refused_s() >= timings.OBJECTS_UNKNOWN_AFTER_S:
                where = f"of namespace {namespace}" if namespace else "of the cluster"
                return (
                    f"the API server refuses the list of the {plural} {where} (HTTP {state.refusal}), so this status "
                    "may be outdated, and changes of the agents are possibly not applied; grant the rights with the "
                    f"roles of the chart: {UPGRADE}"
                )
        return ""

    def _keys(self) -> list[NamespacedName]:
        affected, self._affected = self._affected, set()
        if "" in affected:
            return self._cache.agent_keys()
        return [key for name in sorted(affected) for key in self._cache.agents_in(name)]

    async def post_events(
        self, cluster: KubeClient, lease: Manifest | None, now: Callable[[], datetime]
    ) -> None:
        """Post an Event about the Lease for each namespace that is lost or readable again, until canceled.

        Without a Lease, only log it.
        """
        posted: dict[str, str] = {}
        while True:
            for name, event in _events(posted, self._reasons):
                logger.warning(event.message, extra={"namespace": name, "reason": event.reason})
                if lease is not None:
                    await _post(cluster, event_manifest(lease, event, now()))
            posted = dict(self._reasons)
            await self._changed.wait()
            self._changed.clear()


def _paths(scope: WatchScope) -> dict[str, list[tuple[str, str]]]:
    """Return the name and the path of each needed kind, by namespace."""
    found: dict[str, list[tuple[str, str]]] = {}
    for kind in NEEDED:
        for namespace, path in scope.paths_by_namespace(kind).items():
            found.setdefault(namespace, []).append((kind.plural, path))
    return found


def _events(before: Mapping[str, str], after: Mapping[str, str]) -> Sequence[tuple[str, Event]]:
    lost = [
        (name, Event(type="Warning", reason=Reason.NAMESPACE_NOT_WATCHED, message=text))
        for name, text in after.items()
        if name not in before
    ]
    found = [
        (name, Event(type="Normal", reason=Reason.NAMESPACE_WATCHED, message=_readable(name)))
        for name in before
        if name not in after
    ]
    return [*lost, *found]


def _readable(namespace: str) -> str:
    where = f"namespace {namespace}" if namespace else "the cluster"
    return f"the API server serves all lists of {where} again; its agents are reconciled"


async def _post(cluster: KubeClient, manifest: Manifest) -> None:
    try:
        await cluster.create_event(dict(manifest))
    except errors.Fenced:
        raise
    except errors.ApiError as error:
        logger.warning("an Event could not be created", extra={"error": str(error)})
