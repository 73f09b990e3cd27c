"""Mutes the heartbeat monitor of one resource for the agents that the operator stops, removes or replaces.

Downtimes are listed only while one may exist, which the status records before the first is created. So a resource whose
agents all run costs no request here.
"""

from datetime import UTC, datetime, timedelta

from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.controllers.observability.decisions import absences, downtimes
from purpleflea_operator.controllers.observability.decisions.downtimes import Changes
from purpleflea_operator.controllers.observability.decisions.registry import ObjectRegistry
from purpleflea_operator.controllers.observability.decisions.status import SyncState
from purpleflea_operator.controllers.observability.deployment_reporter import Fleet
from purpleflea_operator.controllers.observability.status_writer import ResourceWriter
from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.downtimes import Downtimes
from purpleflea_operator.parsing import timestamp


def sets_downtimes(spec: ObservabilitySpec) -> bool:
    """Return True if the spec requests downtimes."""
    return spec.features.downtimes and spec.mode == "Manage"


class DowntimeReporter:
    """The downtimes of one resource in one pass. `refusal` is the reason for which Datadog refused them."""

    def __init__(
        self, client: Downtimes, fleet: Fleet, registry: ObjectRegistry, *, now: datetime
    ) -> None:
        self._client = client
        self._fleet = fleet
        self._registry = registry
        self._now = now

    async def run(
        self, spec: ObservabilitySpec, writer: ResourceWriter, sync_state: SyncState
    ) -> None:
        """Create, reduce and cancel downtimes. The first may be Pending in the status without a request.

        Raises:
            DatadogError: Datadog is unreachable or the rate limit is exceeded. The next pass continues.
        """
        now, registry = self._now, self._registry
        view = self._fleet.absences(env=spec.env, service=spec.service, now=now)
        replaced = frozenset[str]()
        for agent in view.rolling:
            replaced |= absences.being_replaced(self._fleet.pods(agent), now)
        until = timestamp(registry.silenced_until)
        wanted = sets_downtimes(spec) and bool(view.absent or replaced)
        if until is not None and until <= now:
            until, registry.silenced_until = None, ""
        if until is None and not wanted:
            return
        try:
            found = downtimes.downtimes_of(writer.uid, await self._client.list())
            plan = downtimes.changes(view, replaced, found, now)
            if not sets_downtimes(spec):
                plan = Changes(reductions={}, cancels=tuple(item.id for item in found))
            await self._save(plan, writer, sync_state)
            await self._apply(plan, writer.uid)
        except (errors.DatadogForbidden, errors.Refused, errors.DatadogNotFound) as error:
            registry.downtime_error = str(error)
            return
        registry.downtime_error = ""
        left = {item.id for item in found} - set(plan.cancels)
        if not left and not plan.creates:
            registry.silenced_until = ""

    async def _save(self, plan: Changes, writer: ResourceWriter, sync_state: SyncState) -> None:
        """Record the end of the longest downtime before it is created, so that it is looked for after a crash."""
        known = timestamp(self._registry.silenced_until) or datetime.min.replace(tzinfo=UTC)
        latest = max((end for _, end in plan.creates), default=known)
        if latest > known:
            rounded = latest.replace(minute=0, second=0, microsecond=0) + timedelta(hours=1)
            self._registry.silenced_until = rounded.strftime("%Y-%m-%dT%H:%M:%SZ")
            await writer.patch_status(self._registry, sync_state)

    async def _apply(self, plan: Changes, uid: str) -> None:
        for identities, end in plan.creates:
            await self._client.create(downtimes.create_body(uid, identities, end, self._now))
        for identifier, identities in plan.reductions.items():
            await self._client.set_scope(identifier, downtimes.scope(identities))
        for identifier in plan.cancels:
            await self._client.cancel(identifier)
