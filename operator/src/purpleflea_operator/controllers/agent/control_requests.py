"""The requests of the control lane in flight: at most one task per agent, which a newer mode cancels.

A request that hangs until its timeout would delay the newer mode. The module sends nothing and decides nothing.
"""

import asyncio
import logging
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, TypeVar

from purpleflea_contract.control import Control
from purpleflea_operator.kube.object_cache import NamespacedName

logger = logging.getLogger(__name__)
T = TypeVar("T")


class SupersededError(Exception):
    """Requests were canceled, because another mode is requested."""


@dataclass(slots=True, kw_only=True)
class _InFlight:
    task: asyncio.Task[Any]
    control: Control | None
    is_superseded: bool = False


class ControlRequests:
    """The requests in flight of all agents, each with the control file that they bring to the pods."""

    def __init__(self) -> None:
        self._in_flight: dict[NamespacedName, _InFlight] = {}

    def __contains__(self, key: NamespacedName) -> bool:
        """Return whether requests of an agent are in flight."""
        return key in self._in_flight

    def control_of(self, key: NamespacedName) -> Control | None:
        """Return the control file of the requests of an agent."""
        return self._in_flight[key].control

    def cancel(self, key: NamespacedName) -> None:
        """Cancel the requests of an agent."""
        requests = self._in_flight[key]
        requests.is_superseded = True
        requests.task.cancel()

    async def perform(
        self, key: NamespacedName, control: Control | None, work: Coroutine[Any, Any, T]
    ) -> T:
        """Await the requests of an agent.

        Raises:
            SupersededError: `cancel` was called, and the requests were canceled or have failed.
        """
        task = asyncio.create_task(work, name=f"control {key.name}")
        requests = self._in_flight[key] = _InFlight(task=task, control=control)
        try:
            return await task
        except Exception as error:
            # A request that failed just before `cancel` must not delay the newer mode with its backoff.
            if requests.is_superseded:
                raise SupersededError from error
            raise
        except asyncio.CancelledError as error:
            if not task.cancelled() or _is_canceled():
                task.cancel()
                raise
            logger.info("superseded", extra={"namespace": key.namespace, "agent": key.name})
            raise SupersededError from error
        finally:
            del self._in_flight[key]


def _is_canceled() -> bool:
    """Return whether the current task itself is canceled, and not only the task that it waits for."""
    current = asyncio.current_task()
    return current is not None and current.cancelling() > 0
