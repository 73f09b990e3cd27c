"""Evaluate all monitors periodically, keep their states, and pass on notifications.

Values are computed in a thread, so that the intake keeps responding even if a thousand agents send. Only the event
loop changes states.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from purpleflea_sandbox.datadog.evaluation import messages, monitors
from purpleflea_sandbox.datadog.evaluation.conditions import Data
from purpleflea_sandbox.datadog.evaluation.monitors import MonitorState, Notification
from purpleflea_sandbox.datadog.evaluation.received import Received
from purpleflea_sandbox.datadog.evaluation.states import GroupState
from purpleflea_sandbox.datadog.intake.store import Store

logger = logging.getLogger(__name__)

_NEWEST = 1_000

Definitions = Callable[[], Iterable[monitors.Definition]]
Objectives = Callable[[], Mapping[str, Mapping[str, Any]]]


class Monitoring:
    """States of all monitors by id. `listeners` receive every notification, `state_listeners` every state."""

    def __init__(
        self,
        store: Store,
        definitions: Definitions,
        objectives: Objectives,
        clock: Callable[[], float],
    ) -> None:
        self._store = store
        self._definitions = definitions
        self._objectives = objectives
        self._clock = clock
        self.states: dict[str, MonitorState] = {}
        self.notifications: deque[Notification] = deque(maxlen=_NEWEST)
        self.listeners: list[Callable[[Notification], None]] = []
        self.kept: list[Callable[[str, MonitorState], None]] = []
        self.passes = 0

    async def run(self, interval_s: float) -> None:
        """Evaluate until canceled, using at most half of the time."""
        loop = asyncio.get_running_loop()
        while True:
            began = loop.time()
            await self.once()
            await asyncio.sleep(max(interval_s, loop.time() - began))

    async def once(self) -> None:
        """Evaluate all current monitors once."""
        now = self._clock()
        wanted = list(monitors.in_order(self._definitions()))
        data = Data(
            metrics=Received(self._store), logs=self._store.logs, objectives=self._objectives()
        )
        for definition in wanted:
            await self._evaluate(definition, data, now)
        for gone in self.states.keys() - {str(one["id"]) for one in wanted}:
            del self.states[gone]
        self.passes += 1

    def state(self, monitor_id: str) -> MonitorState:
        """Return a monitor's state. If it has not been evaluated yet, the state is No Data."""
        return self.states.get(monitor_id, MonitorState())

    async def _evaluate(self, definition: monitors.Definition, data: Data, now: float) -> None:
        one = str(definition["id"])
        members = {key: state.groups for key, state in self.states.items()}
        scene = monitors.Scene(data=data, now=now, members=members)
        state, told = await asyncio.to_thread(
            monitors.evaluated, definition, self.state(one), scene
        )
        self.states[one] = state
        for keep in self.kept:
            keep(one, state)
        for note in told:
            logger.info("%s: %s is %s", note.name, messages.scope(note.group), note.turn.after)
            self.notifications.append(note)
            for listener in self.listeners:
                listener(note)


def shown_groups(state: MonitorState) -> Mapping[str, Mapping[str, Any]]:
    """Return the groups of a monitor in the API's format, by name."""
    return {messages.scope(group): _shown(one) for group, one in state.groups.items()}


def _shown(state: GroupState) -> Mapping[str, Any]:
    return {
        "status": str(state.status),
        "last_triggered_ts": int(state.triggered) or None,
        "last_resolved_ts": int(state.resolved) or None,
        "last_nodata_ts": int(state.no_data) or None,
        "last_notified_ts": int(state.notified) or None,
        "last_data_ts": int(state.last_data) or None,
    }
