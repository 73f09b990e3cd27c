"""Discovers the Datadog installation: its DaemonSets, which are watched, and their node-local Services, which are not.

A Service is read by name if its DaemonSet is new or changed, and again at intervals, because a Service can be deleted
or become cluster-wide without a change of the DaemonSet. A failed read is retried. `datadog.detection` interprets the
objects.

Any user who may create a DaemonSet can add and remove untrusted node agents. Their Services are not read, and their
changes are reported at intervals only, because each report is a pass over all agents.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from purpleflea_operator import parsing, timings
from purpleflea_operator.controllers.agent.node_inventory import NodeInventory
from purpleflea_operator.datadog.detection.facts import DatadogFacts, UntrustedNodeAgent
from purpleflea_operator.datadog.detection.node_agent import (
    ServiceId,
    datadog_facts,
    is_trusted_node_agent,
    service_of,
)
from purpleflea_operator.kube import errors, resources
from purpleflea_operator.kube.object_cache import ObjectCache
from purpleflea_operator.kube.protocol import KubeClient
from purpleflea_operator.kube.resources import ObjectRef
from purpleflea_operator.parsing import Manifest, mapping
from purpleflea_operator.runtime.workqueue import WorkQueue

logger = logging.getLogger(__name__)

EXTENDED = "(ExtendedDaemonSet)"
"""Name of an untrusted node agent of an ExtendedDaemonSet in messages, because its own name is not visible."""
ALL = "installation"
"""The only key of the queue."""


@dataclass(frozen=True, slots=True)
class _ServiceRead:
    service: Manifest
    at: float


class DatadogDiscovery:
    """Keeps the facts about the node agents current; `clock` returns seconds."""

    def __init__(
        self,
        cluster: KubeClient,
        cache: ObjectCache,
        nodes: NodeInventory,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cluster = cluster
        self._cache = cache
        self._nodes = nodes
        self._clock = clock
        self._services: dict[str, _ServiceRead] = {}
        self._untrusted_at = -timings.SERVICE_RECHECK_S
        self._due: WorkQueue[str] = WorkQueue(jitter=lambda: 0.0)

    def invalidate(self) -> None:
        """Request a new discovery, because an object that the facts depend on has changed."""
        self._due.add(ALL)

    async def run(self, *, on_change: Callable[[], None], on_discovery: Callable[[], None]) -> None:
        """Discover after changes and at intervals, until canceled.

        `on_discovery` is called after each discovery, then `on_change` if the facts have changed.
        """
        self._due.add_after(ALL, timings.SERVICE_RECHECK_S)
        try:
            while True:
                await self._due.get()
                await self._run_once(on_change, on_discovery)
                self._due.done(ALL)
        finally:
            self._due.close()

    async def _run_once(
        self, on_change: Callable[[], None], on_discovery: Callable[[], None]
    ) -> None:
        try:
            is_changed = await self.discover()
        except errors.ApiError as error:
            logger.warning(
                "the Service of a node agent cannot be read; retrying", extra={"error": str(error)}
            )
            self._due.add_rate_limited(ALL, hold_s=error.retry_after_s)
            return
        on_discovery()
        if is_changed:
            on_change()
        self._due.forget(ALL)
        self._due.add_after(ALL, timings.SERVICE_RECHECK_S)

    async def discover(self) -> bool:
        """Compute the facts again; returns whether they changed.

        Raises:
            ApiError: A Service could not be read; the facts are unchanged.
        """
        nodes = self._nodes
        services = await self._read_services()
        facts = datadog_facts(
            self._cache.all(resources.DAEMON_SET),
            services,
            trusted=nodes.trusted,
            csi_driver=nodes.csi_driver,
        )
        extended = (
            UntrustedNodeAgent(namespace=namespace, name=EXTENDED)
            for namespace in sorted(nodes.untrusted_extended)
        )
        facts = replace(
            facts,
            untrusted=(*facts.untrusted, *extended),
            is_visible=nodes.scope.can_watch(resources.DAEMON_SET),
            is_refused=nodes.hides_daemon_sets,
            is_extended=nodes.is_extended,
        )
        before = nodes.facts
        facts = self._with_paced_untrusted(before, facts)
        if facts == before:
            return False
        nodes.update_facts(facts)
        _log_unusable(before, facts)
        _log_untrusted(before, facts)
        return True

    def _with_paced_untrusted(self, before: DatadogFacts, facts: DatadogFacts) -> DatadogFacts:
        """Return the facts with the known untrusted node agents if they changed a short time ago.

        The next discovery, at the latest after the interval, reports the change.
        """
        if facts.untrusted == before.untrusted:
            return facts
        now = self._clock()
        if now - self._untrusted_at < timings.SERVICE_RECHECK_S:
            return replace(facts, untrusted=before.untrusted)
        self._untrusted_at = now
        return facts

    async def _read_services(self) -> dict[ServiceId, Manifest]:
        """Return the node-local Services of the trusted node agents."""
        services: dict[ServiceId, Manifest] = {}
        for item in list(self._cache.all(resources.DAEMON_SET)):
            if is_trusted_node_agent(item, self._nodes.trusted):
                service = await self._service(item)
                if service is not None:
                    services[service_of(item)] = service
        return services

    async def _service(self, daemon_set: dict[str, Any]) -> Manifest | None:
        """Return the node-local Service if it exists; a read is reused for the same generation of the DaemonSet."""
        metadata = mapping(daemon_set.get("metadata"))
        version, now = f"{metadata.get('uid')}/{metadata.get('generation', 0)}", self._clock()
        known = self._services.get(version)
        if known is not None and now - known.at < timings.SERVICE_RECHECK_S:
            return known.service
        namespace, name = service_of(daemon_set)
        if parsing.name(namespace) is None or parsing.name(name) is None:
            return None
        ref = ObjectRef(kind=resources.SERVICE, namespace=namespace, name=name)
        service = await self._cluster.get(ref)
        self._services.pop(version, None)
        if service is not None:
            self._services[version] = _ServiceRead(service, now)
        return service


def _log_unusable(before: DatadogFacts, facts: DatadogFacts) -> None:
    """Log values of node agents that cannot be used, once per change."""
    for name, reason in sorted(_unusable(facts) - _unusable(before)):
        logger.warning(
            "a value of a node agent cannot be used; correct its DaemonSet or Service",
            extra={"daemon_set": name, "reason": reason},
        )


def _log_untrusted(before: DatadogFacts, facts: DatadogFacts) -> None:
    """Log node agents that are not used because of their namespace, once per change."""
    known = {(item.namespace, item.name) for item in before.untrusted}
    for item in facts.untrusted:
        if (item.namespace, item.name) not in known:
            logger.warning(
                "a node agent is not used, because its namespace is not trusted: add the namespace to the chart "
                "value datadog.namespaces if it is yours",
                extra={"daemon_set": f"{item.namespace}/{item.name}"},
            )


def _unusable(facts: DatadogFacts) -> set[tuple[str, str]]:
    agents = facts.node_agents
    faults = {
        (f"{agent.namespace}/{agent.name}", item)
        for agent in agents
        for item in agent.invalid_values
    }
    return faults | {(name, "the DaemonSet cannot be read") for name in facts.unreadable}
