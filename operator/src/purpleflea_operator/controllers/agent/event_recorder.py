"""Posts the Events about turns of an agent's conditions. An Event that cannot be posted holds up nothing.

It remembers which bad news were told, so that their end is told, too, whatever lies between.
"""

import logging
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from purpleflea_operator.controllers.agent.decisions import transitions
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.events import Event, event_manifest
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.kube.protocol import KubeClient

logger = logging.getLogger(__name__)


class EventRecorder:
    """Tells people of turns."""

    def __init__(self, cluster: KubeClient, *, now: Callable[[], datetime]) -> None:
        self._cluster = cluster
        self._now = now
        self._troubled: dict[NamespacedName, set[str]] = {}

    def forget(self, key: NamespacedName) -> None:
        """Forget what was told about an agent."""
        self._troubled.pop(key, None)

    async def announce(
        self,
        resource: Mapping[str, Any],
        current: Mapping[str, Any],
        wanted: Mapping[str, Any],
    ) -> None:
        """Tell of the turns from one status to the next.

        Raises:
            Fenced: This replica may not write any more.
        """
        metadata = resource["metadata"]
        troubled = self._troubled.setdefault(
            NamespacedName(metadata["namespace"], metadata["name"]), set()
        )
        for turn in transitions.transitions(current, wanted, troubled=troubled):
            if turn.type == "Warning":
                troubled.add(turn.condition)
            else:
                troubled.discard(turn.condition)
            await self._post(resource, turn)

    async def _post(self, resource: Mapping[str, Any], turn: Event) -> None:
        where = {
            "namespace": resource["metadata"]["namespace"],
            "agent": resource["metadata"]["name"],
        }
        told = {"reason": turn.reason, "detail": turn.message}
        logger.info("condition turned", extra={**where, **told})
        try:
            await self._cluster.create_event(event_manifest(resource, turn, self._now()))
        except errors.Fenced:
            raise
        except errors.ApiError as error:
            logger.warning("an Event is lost", extra={**where, **told, "error": str(error)})
