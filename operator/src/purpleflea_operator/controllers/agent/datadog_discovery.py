"""Follows the Datadog installation: its DaemonSets, which are watched, and their node-local Services, which are not.

Services are asked for by name, when a DaemonSet is new or changed, and again every few minutes: who deletes one, or
lets it leave the node, changes no DaemonSet. A question that fails is asked again. `detect` decides what it all means.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from purpleflea_operator import parsing, timings
from purpleflea_operator.controllers.agent.node_inventory import NodeInventory
from purpleflea_operator.datadog.detection.facts import DatadogFacts
from purpleflea_operator.datadog.detection.node_agent import (
    ServiceId,
    datadog_facts,
    installer_of,
    service_of,
)
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import ObjectCache
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef
from purpleflea_operator.parsing import Manifest, table
from purpleflea_operator.runtime.workqueue import WorkQueue

logger = logging.getLogger(__name__)

ALL = "installation"


@dataclass(frozen=True, slots=True)
class _Seen:
    service: Manifest
    at: float


class DatadogDiscovery:
    """Keeps the facts about the node agent current; `clock` yields seconds."""

    def __init__(
        self,
        cluster: KubeClient,
        cache: ObjectCache,
        terrain: NodeInventory,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._terrain = terrain
        self._clock = clock
        self._services: dict[str, _Seen] = {}
        self._due: WorkQueue[str] = WorkQueue(jitter=lambda: 0.0)

    def note(self) -> None:
        """Take in that something changed that the facts are made of."""
        self._due.add(ALL)

    async def follow(self, concern: Callable[[], None]) -> None:
        """Observe whenever there is news, and now and then, until cancelled; `concern` is called when facts changed."""
        self._due.add_after(ALL, timings.SERVICE_RECHECK_S)
        try:
            while True:
                await self._due.take()
                await self._look(concern)
                self._due.finish(ALL)
        finally:
            self._due.close()

    async def _look(self, concern: Callable[[], None]) -> None:
        try:
            if await self.observe():
                concern()
        except errors.ApiError as error:
            logger.warning("the node agent's Service is unknown", extra={"error": str(error)})
            self._due.retry(ALL, hold_s=error.retry_after_s)
        else:
            self._due.succeed(ALL)
            self._due.add_after(ALL, timings.SERVICE_RECHECK_S)

    async def observe(self) -> bool:
        """Compute the facts again; whether they changed.

        Raises:
            ApiError: A Service could not be asked for; the facts are as they were.
        """
        candidates = [
            item for item in self._cache.all(resources.DAEMON_SET) if installer_of(item) is not None
        ]
        services: dict[ServiceId, Manifest] = {}
        for item in candidates:
            service = await self._service(item)
            if service is not None:
                services[service_of(item)] = service
        terrain = self._terrain
        found = datadog_facts(candidates, services, csi_driver=terrain.csi_driver)
        is_visible = terrain.scope.sees(resources.DAEMON_SET)
        facts = replace(found, is_visible=is_visible, is_extended=terrain.is_extended)
        changed, before, terrain.facts = facts != terrain.facts, terrain.facts, facts
        if changed:
            _report(before, facts)
        # Of who never came back nobody tells.
        terrain.turns.call()
        return changed

    async def _service(self, daemon_set: dict[str, Any]) -> Manifest | None:
        """The node-local Service, if it exists; remembered for a while per version of the DaemonSet's spec."""
        metadata = table(daemon_set.get("metadata"))
        known, now = f"{metadata.get('uid')}/{metadata.get('generation', 0)}", self._clock()
        seen = self._services.get(known)
        if seen is not None and now - seen.at < timings.SERVICE_RECHECK_S:
            return seen.service
        namespace, name = service_of(daemon_set)
        if parsing.name(namespace) is None or parsing.name(name) is None:
            return None
        found = await self._cluster.get(
            ObjectRef(kind=resources.SERVICE, namespace=namespace, name=name)
        )
        self._services.pop(known, None)
        if found is not None:
            self._services[known] = _Seen(found, now)
        return found


def _report(before: DatadogFacts, facts: DatadogFacts) -> None:
    """Log what of the node agents cannot be used, once per change."""
    known = _unusable(before)
    for name, reason in sorted(_unusable(facts) - known):
        logger.warning(
            "a value of a node agent cannot be used: correct its DaemonSet or Service",
            extra={"daemon_set": name, "reason": reason},
        )


def _unusable(facts: DatadogFacts) -> set[tuple[str, str]]:
    agents = facts.node_agents
    found = {
        (f"{agent.namespace}/{agent.name}", item)
        for agent in agents
        for item in agent.invalid_values
    }
    return found | {(name, "the DaemonSet cannot be read") for name in facts.unreadable}
