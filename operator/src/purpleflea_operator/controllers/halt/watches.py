"""The lists and watches of PurpleFleaHalts: which of them concern a namespace of agents, and whether all were read.

The module answers only for reads. An agent whose halts cannot be read must not start to trade, because a halt that was
not read may select it.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from purpleflea_operator import timings
from purpleflea_operator.kube.listing import Listing
from purpleflea_operator.kube.resources import HALT
from purpleflea_operator.kube.tombstones import Tombstones
from purpleflea_operator.kube.watch_scope import WatchScope
from purpleflea_operator.kube.watch_state import WatchStates
from purpleflea_operator.runtime.lifecycle import UPGRADE


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltScope:
    """The watches of PurpleFleaHalts. `operator_namespace` is empty if it is unknown.

    Then the scope Cluster applies to no halt.
    """

    operator_namespace: str
    paths: Mapping[str, str]
    """Path of each watch by namespace; the name is empty for a watch of the whole cluster."""
    states: WatchStates

    @classmethod
    def of(cls, scope: WatchScope, states: WatchStates) -> "HaltScope":
        """Return the watches of PurpleFleaHalts in a watch scope."""
        paths = scope.paths_by_namespace(HALT)
        return cls(operator_namespace=scope.operator_namespace, paths=paths, states=states)


class HaltReads:
    """What was read of the halts. `clock` returns monotonic seconds."""

    def __init__(self, scope: HaltScope, *, clock: Callable[[], float]) -> None:
        self._scope = scope
        self._clock = clock
        self._listings: dict[str, Listing] = {}
        """The last complete list, by namespace."""
        self._tombstones = Tombstones()
        self._readable_s = float("-inf")
        """Monotonic time from which the events that a refused watch missed have been received."""

    def are_known(self, namespace: str) -> bool:
        """Return whether all halts that can apply to agents of a namespace have been read."""
        return self._names(namespace) <= self._listings.keys()

    def unread_reason(self, namespace: str) -> str:
        """Return why halts that can apply to agents of a namespace cannot be read, and the remedy; empty if they can.

        If the discovery document lacks the kind, it is not watched, and there are no halts. If it has the kind, a list
        with the response 404 can have halts, because an API server that starts responds so, too.
        """
        for name in sorted(self._names(namespace)):
            state = self._scope.states.get(self._scope.paths[name])
            if state is None:
                continue
            where = f"of namespace {name}" if name else "of the cluster"
            if state.refusal == 404:
                return (
                    f"the API server does not serve the purplefleahalts {where} (HTTP 404); if it is not "
                    "starting, install the CRD again: kubectl apply --server-side -f crds/"
                )
            if state.refusal:
                return (
                    f"the API server refuses the list of the purplefleahalts {where} (HTTP {state.refusal}); grant "
                    f"list and watch on purplefleahalts with the roles of the chart: {UPGRADE}"
                )
            if name not in self._listings or self._clock() < self._readable_s:
                return f"the purplefleahalts {where} are not listed yet; the operator retries"
        return ""

    def on_readable(self) -> None:
        """Wait for the events that a refused watch missed, before the halts count as read again."""
        self._readable_s = self._clock() + timings.HALT_CATCH_UP_S

    def forget_lists(self) -> None:
        """Count no halts as read until the next lists."""
        self._listings.clear()

    def on_listed(self, listing: Listing) -> bool:
        """Store a complete list. Return whether it is the first one of its namespace."""
        is_first = listing.namespace not in self._listings
        self._listings[listing.namespace] = listing
        return is_first

    def mark_deleted(self, uid: str) -> None:
        """Remember that a halt was deleted, because an older event or list of it may arrive later."""
        self._tombstones.add(uid)

    def is_outdated(self, namespace: str, uid: str, version: int) -> bool:
        """Return whether a version of a halt is from before its deletion, which a later event or list may contain."""
        listing = self._listings.get("", self._listings.get(namespace))
        is_missing = listing is not None and uid not in listing.uids and version <= listing.version
        return is_missing or self._tombstones.covers(uid)

    def _names(self, namespace: str) -> set[str]:
        """Return the watches that report halts of agents in a namespace."""
        return {"", namespace, self._scope.operator_namespace} & self._scope.paths.keys()
