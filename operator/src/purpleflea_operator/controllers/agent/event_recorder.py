"""Creates the Events about transitions of an agent's conditions. A failed create delays nothing else.

The types of conditions with a reported problem are remembered, so that their recovery is reported too, whatever reasons
the condition had in between.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.agent.decisions import transitions
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.events import Event, event_manifest
from purpleflea_operator.kube.protocol import KubeClient

logger = logging.getLogger(__name__)


class EventRecorder:
    """Creates Events."""

    def __init__(self, cluster: KubeClient, *, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._now = now

    async def record(
        self,
        resource: Mapping[str, Any],
        current: Mapping[str, Any],
        wanted: Mapping[str, Any],
        troubled: set[str],
    ) -> None:
        """Create the Events for the transitions between two statuses, and update the `troubled` condition types.

        Raises:
            Fenced: This replica must not write any more.
        """
        for event in transitions.transitions(current, wanted, troubled=troubled):
            if event.type == "Warning":
                troubled.add(event.condition)
            else:
                troubled.discard(event.condition)
            await self._create(resource, event)

    async def announce_upgrade(self, resource: Mapping[str, Any], message: str) -> None:
        """Create the Event about the start of an upgrade.

        Raises:
            Fenced: This replica must not write any more.
        """
        event = Event(type="Normal", reason=Reason.OPERATOR_UPGRADE, message=message)
        await self._create(resource, event)

    async def _create(self, resource: Mapping[str, Any], event: Event) -> None:
        metadata = resource["metadata"]
        fields = {
            "namespace": metadata["namespace"],
            "agent": metadata["name"],
            "reason": event.reason,
            "detail": event.message,
        }
        logger.info("condition changed", extra=fields)
        try:
            await self._cluster.create_event(event_manifest(resource, event, self._now()))
        except errors.Fenced:
            raise
        except errors.ApiError as error:
            logger.warning("an Event could not be created", extra={**fields, "error": str(error)})
