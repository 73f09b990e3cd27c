"""Evaluate all monitors periodically, keep their states, and pass on notifications.

Values are computed in a thread, so that the intake keeps responding even if a thousand agents send. Only the event
loop changes states.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

from purpleflea_sandbox.datadog.evaluation import messages, monitors
from purpleflea_sandbox.datadog.evaluation.conditions import EvaluationData
from purpleflea_sandbox.datadog.evaluation.data_source import StoreSource
from purpleflea_sandbox.datadog.evaluation.monitors import MonitorState, Notification
from purpleflea_sandbox.datadog.evaluation.states import GroupState
from purpleflea_sandbox.datadog.evaluation.time_grid import Group
from purpleflea_sandbox.datadog.intake.store import Store

logger = logging.getLogger(__name__)

_MAX_NOTIFICATIONS = 1_000

Mute = Callable[[tuple[str, ...], Group, str], bool]
"""Whether a downtime applies to a monitor with these tags, one of its groups, and a status."""
ListDefinitions = Callable[[], Iterable[monitors.MonitorDefinition]]
ListObjectives = Callable[[], Mapping[str, Mapping[str, Any]]]


class MonitorRunner:
    """States of all monitors by id. `listeners` receive every notification, `state_listeners` every state."""

    def __init__(
        self,
        store: Store,
        definitions: ListDefinitions,
        objectives: ListObjectives,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._objectives = objectives
        self._clock = clock
        self.states: dict[str, MonitorState] = {}
        self.notifications: deque[Notification] = deque(maxlen=_MAX_NOTIFICATIONS)
        self.listeners: list[Callable[[Notification], None]] = []
        self.state_listeners: list[Callable[[str, MonitorState], None]] = []
        self.passes = 0
        self.mute: Mute = lambda *_: False
        self.announce_end: Mute = lambda *_: False
        self._muted: dict[tuple[str, Group], Notification] = {}

    async def run(self, interval_s: float) -> None:
        """Evaluate until canceled, using at most half of the time."""
        loop = asyncio.get_running_loop()
        while True:
            started = loop.time()
            await self.once()
            await asyncio.sleep(max(interval_s, loop.time() - started))

    async def once(self) -> None:
        """Evaluate all current monitors once."""
        now = self._clock()
        wanted = list(monitors.composites_last(self._definitions()))
        data = EvaluationData(
            metrics=StoreSource(self._store), logs=self._store.logs, objectives=self._objectives()
        )
        for definition in wanted:
            await self._evaluate(definition, data, now)
        for deleted in self.states.keys() - {str(definition["id"]) for definition in wanted}:
            del self.states[deleted]
        self.passes += 1

    def state(self, monitor_id: str) -> MonitorState:
        """Return a monitor's state. If it has not been evaluated yet, the state is No Data."""
        return self.states.get(monitor_id, MonitorState())

    async def _evaluate(
        self, definition: monitors.MonitorDefinition, data: EvaluationData, now: float
    ) -> None:
        monitor_id = str(definition["id"])
        members = {key: state.groups for key, state in self.states.items()}
        context = monitors.EvaluationContext(data=data, now=now, members=members)
        state, notifications = await asyncio.to_thread(
            monitors.evaluate, definition, self.state(monitor_id), context
        )
        self.states[monitor_id] = state
        for on_state in self.state_listeners:
            on_state(monitor_id, state)
        for notification in self._unmuted(definition, state, notifications):
            logger.info(
                "%s: %s is %s",
                notification.name,
                messages.scope(notification.group),
                notification.transition.after,
            )
            self.notifications.append(notification)
            for on_notification in self.listeners:
                on_notification(notification)

    def _unmuted(
        self,
        definition: monitors.MonitorDefinition,
        state: MonitorState,
        notifications: Iterable[Notification],
    ) -> Iterator[Notification]:
        """Yield the notifications outside a downtime, and those that are still due after one has expired."""
        monitor_id, tags = str(definition["id"]), tuple(definition.get("tags") or ())
        for notification in notifications:
            if self.mute(tags, notification.group, notification.transition.after):
                self._muted[monitor_id, notification.group] = notification
            else:
                self._muted.pop((monitor_id, notification.group), None)
                yield notification
        for key, notification in list(self._muted.items()):
            group, after = notification.group, notification.transition.after
            if key[0] != monitor_id or self.mute(tags, group, after):
                continue
            del self._muted[key]
            current = state.groups.get(group)
            is_due = current is not None and current.status is after
            if is_due and self.announce_end(tags, group, after):
                yield notification


def api_groups(state: MonitorState) -> Mapping[str, Mapping[str, Any]]:
    """Return the groups of a monitor in the API's format, by name."""
    return {
        messages.scope(group): _api_group(group_state)
        for group, group_state in state.groups.items()
    }


def _api_group(state: GroupState) -> Mapping[str, Any]:
    return {
        "status": str(state.status),
        "last_triggered_ts": int(state.triggered) or None,
        "last_resolved_ts": int(state.resolved) or None,
        "last_nodata_ts": int(state.no_data) or None,
        "last_notified_ts": int(state.notified) or None,
        "last_data_ts": int(state.last_data) or None,
    }
