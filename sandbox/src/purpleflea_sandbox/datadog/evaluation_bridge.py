"""Connect the organization with the evaluation and the fleet page: pass definitions on, and write monitor states
back.

This is the only module that depends on all three; it contains no other logic.
"""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

import aiohttp
from aiohttp import web

from purpleflea_sandbox.datadog import fleet_page
from purpleflea_sandbox.datadog.api import downtimes
from purpleflea_sandbox.datadog.api.organisation import Organisation
from purpleflea_sandbox.datadog.evaluation.monitors import MonitorState
from purpleflea_sandbox.datadog.evaluation.time_grid import Group
from purpleflea_sandbox.datadog.monitor_runner import MonitorRunner, api_groups
from purpleflea_sandbox.datadog.web.definitions import Body
from purpleflea_sandbox.datadog.webhooks import Webhooks

EVALUATION_INTERVAL_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class OrganisationDefinitions:
    """Definitions of an organization, through the interface of the evaluation and the fleet page."""

    organisation: Organisation
    addresses: Mapping[str, str] = field(default_factory=dict)

    def all_dashboards(self) -> Iterable[Body]:
        return self.organisation.dashboards.values()

    def all_monitors(self) -> Iterable[Body]:
        return [
            {"id": monitor.id, **monitor.definition}
            for monitor in self.organisation.monitors.values()
        ]

    def all_objectives(self) -> Mapping[str, Body]:
        return self.organisation.slos

    def webhooks(self) -> Mapping[str, str]:
        return self.addresses


class EvaluationBridge:
    """Evaluation of an organization, and its fleet page."""

    def __init__(self, organisation: Organisation, webhooks: Mapping[str, str]) -> None:
        self._organisation = organisation
        self.definitions = OrganisationDefinitions(organisation=organisation, addresses=webhooks)
        self.monitor_runner = MonitorRunner(
            organisation.data,
            self.definitions.all_monitors,
            self.definitions.all_objectives,
            self._now,
        )
        self.monitor_runner.mute = self._is_muted
        self.monitor_runner.announce_end = self._announces_end
        self.webhooks = Webhooks(self.definitions.webhooks)
        self.monitor_runner.listeners.append(self.webhooks.enqueue)
        self.monitor_runner.state_listeners.append(self._store_state)

    def add_routes(self, app: web.Application) -> None:
        """Mount the fleet page."""
        organisation = self._organisation
        fleet_page.add_routes(
            app, organisation.data, self.definitions, self.monitor_runner, organisation.now
        )

    @asynccontextmanager
    async def running(self, interval_s: float = EVALUATION_INTERVAL_S) -> AsyncIterator[None]:
        """Evaluate and notify while the block runs."""
        async with aiohttp.ClientSession() as session:
            tasks = [
                asyncio.create_task(self.monitor_runner.run(interval_s)),
                asyncio.create_task(self.webhooks.run(session)),
            ]
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                    with suppress(asyncio.CancelledError):
                        await task

    def _now(self) -> float:
        return self._organisation.now()

    def _is_muted(self, tags: tuple[str, ...], group: Group, _: str) -> bool:
        return downtimes.is_muted(self._organisation, tags, _names(group))

    def _announces_end(self, tags: tuple[str, ...], group: Group, status: str) -> bool:
        return downtimes.announces_end(self._organisation, tags, _names(group), status)

    def _store_state(self, monitor_id: str, state: MonitorState) -> None:
        monitor = self._organisation.monitors.get(int(monitor_id))
        if monitor is not None:
            monitor.overall_state = str(state.status)
            monitor.state_modified = state.changed or None
            monitor.groups = dict(api_groups(state))


def _names(group: Group) -> list[str]:
    return [f"{name}:{value}" for name, value in group]
