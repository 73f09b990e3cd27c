"""Creates the Events about transitions of an agent's conditions, beside the passes and at a limited rate.

One shared cause, such as a node agent that is removed, can change the conditions of all agents at once. No pass waits
for an Event, and the Events about the trading mode precede the others. An Event that cannot be created is only logged.

The types of conditions with a reported problem are remembered, so that their recovery is reported too, whatever reasons
the condition had in between.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

from purpleflea_operator import timings
from purpleflea_operator.api.agent_status import ConditionType
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions import transitions
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.events import Event, event_manifest
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.parsing import Manifest

logger = logging.getLogger(__name__)

BURST = 50
"""Events that are created without a delay."""
MAX_PENDING = 5000
"""Events that wait. If there are more, the oldest ones are dropped, because the conditions have the same facts."""

Sleep = Callable[[float], Awaitable[None]]


class EventRecorder:
    """Creates Events one after another; `clock` returns monotonic seconds."""

    def __init__(
        self,
        cluster: KubeClient,
        *,
        now: Callable[[], datetime],
        clock: Callable[[], float],
        sleep: Sleep = asyncio.sleep,
    ) -> None:
        self._cluster = cluster
        self._now = now
        self._clock = clock
        self._sleep = sleep
        self._urgent: deque[Manifest] = deque(maxlen=MAX_PENDING)
        self._others: deque[Manifest] = deque(maxlen=MAX_PENDING)
        self._used_up_at = float("-inf")
        self._sender: asyncio.Task[None] | None = None

    def close(self) -> None:
        """Drop the Events that wait."""
        if self._sender is not None:
            self._sender.cancel()

    def record(
        self,
        resource: Mapping[str, Any],
        current: Mapping[str, Any],
        wanted: Mapping[str, Any],
        troubled: set[str],
    ) -> None:
        """Queue the Events for the transitions between two statuses, and update the `troubled` condition types."""
        for event in transitions.transitions(current, wanted, troubled=troubled):
            if event.type == "Warning":
                troubled.add(event.condition)
            else:
                troubled.discard(event.condition)
            self._add(resource, event)

    def announce_upgrade(self, resource: Mapping[str, Any], message: str) -> None:
        """Queue the Event about the start of an upgrade."""
        self._add(resource, Event(type="Normal", reason=Reason.OPERATOR_UPGRADE, message=message))

    def _add(self, resource: Mapping[str, Any], event: Event) -> None:
        metadata = resource["metadata"]
        fields = {
            "namespace": metadata["namespace"],
            "agent": metadata["name"],
            "reason": event.reason,
            "detail": event.message,
        }
        logger.info("condition changed", extra=fields)
        is_urgent = event.condition == ConditionType.TRADING_ACTIVE
        queue = self._urgent if is_urgent else self._others
        queue.append(event_manifest(resource, event, self._now()))
        if self._sender is None or self._sender.done():
            self._sender = asyncio.create_task(self._send(), name="events")

    async def _send(self) -> None:
        while self._urgent or self._others:
            if wait_s := self._wait_s():
                await self._sleep(wait_s)
                continue
            manifest = (self._urgent or self._others).popleft()
            self._used_up_at = max(self._used_up_at, self._clock()) + timings.EVENT_INTERVAL_S
            try:
                await self._cluster.create_event(manifest)
            except errors.Fenced:
                self._urgent.clear()
                self._others.clear()
            except errors.ApiError as error:
                logger.warning("an Event could not be created", extra=_fields(manifest, error))
                self._used_up_at = max(self._used_up_at, self._clock() + error.retry_after_s)

    def _wait_s(self) -> float:
        """Return the seconds until the next Event may be created; 0 if it may be created now."""
        allowed_at = self._used_up_at - (BURST - 1) * timings.EVENT_INTERVAL_S
        return max(0.0, allowed_at - self._clock())


def _fields(manifest: Manifest, error: Exception) -> dict[str, str]:
    about = manifest["involvedObject"]
    return {
        "namespace": about["namespace"],
        "agent": about["name"],
        "reason": manifest["reason"],
        "error": str(error),
    }
