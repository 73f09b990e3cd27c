"""Marks the deployments of one resource's service in Datadog. It joins fleet, memory and announcements."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol

from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.observability.decisions import deployments, version_rollouts
from purpleflea_operator.controllers.observability.decisions.deployments import DeploymentMark
from purpleflea_operator.controllers.observability.decisions.registry import ObjectRegistry
from purpleflea_operator.controllers.observability.decisions.version_rollouts import (
    Rollout,
    Span,
    View,
)
from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.deployment_events import DeploymentEvents
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.events import Event
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache

logger = logging.getLogger(__name__)

Save = Callable[[], Awaitable[None]]


class Fleet(Protocol):
    """The agents as the watches show them."""

    def stateful_sets(self) -> Iterable[dict[str, Any]]:
        """The workloads of all agents."""

    def pods(self, agent: str) -> Iterable[dict[str, Any]]:
        """The pods of an agent (namespace/name)."""


class CachedFleet:
    """The fleet in the cache."""

    def __init__(self, cache: ObjectCache) -> None:
        self._cache = cache

    def stateful_sets(self) -> Iterable[dict[str, Any]]:
        """The workloads of all agents."""
        return self._cache.all(resources.STATEFUL_SET)

    def pods(self, agent: str) -> Iterable[dict[str, Any]]:
        """The pods of an agent (namespace/name)."""
        namespace, _, name = agent.partition("/")
        return self._cache.owned(resources.POD, NamespacedName(namespace, name))


class NoFleet:
    """No agents are known."""

    def stateful_sets(self) -> Iterable[dict[str, Any]]:
        """None."""
        return ()

    def pods(self, agent: str) -> Iterable[dict[str, Any]]:
        """None."""
        return ()


def is_due(spec: ObservabilitySpec, status: dict[str, Any], fleet: Fleet) -> bool:
    """Whether there is something to mark, or to forget. It asks nobody."""
    if not wants_marks(spec):
        return False
    return deployments.is_due(_view(spec, fleet), deployments.remembered(status))


def wants_marks(spec: ObservabilitySpec) -> bool:
    """Whether deployments are to be marked."""
    return spec.features.deployments and spec.mode == "Manage"


class DeploymentReporter:
    """One pass over the deployments of one resource."""

    def __init__(
        self,
        announcements: DeploymentEvents,
        fleet: Fleet,
        memory: ObjectRegistry,
        *,
        now: datetime,
    ) -> None:
        self._announcements = announcements
        self._fleet = fleet
        self._memory = memory
        self._now = now
        self.turns: list[Event] = []

    async def perform(self, spec: ObservabilitySpec, save: Save) -> None:
        """DeploymentMark what is rolled out and has no mark.

        Raises:
            DatadogError: Datadog is away or has had enough; the next pass goes on.
        """
        if not wants_marks(spec):
            return
        view = _view(spec, self._fleet)
        marks = deployments.kept(view, self._memory.deployments)
        new = deployments.unmarked(view, marks)
        for rollout in new:
            marks = deployments.with_pending(spec, marks, rollout, self._span(rollout))
        self._memory.deployments = deployments.kept(view, marks)
        if new:
            await save()
        for mark in self._memory.deployments:
            if not mark.sent and not mark.gone:
                self._replace(await self._sent(spec, mark, view))

    def _span(self, rollout: Rollout) -> Span:
        pods = (pod for agent in rollout.agents for pod in self._fleet.pods(agent))
        return version_rollouts.span(pods, now=self._now)

    async def _sent(
        self, spec: ObservabilitySpec, mark: DeploymentMark, view: View
    ) -> DeploymentMark:
        agents = next((item.agents for item in view.complete if item.version == mark.version), ())
        try:
            await self._announcements.deployment(deployments.deployment(spec, mark))
            event = deployments.event(spec, mark, agents, self._now)
            if event is not None and not await self._is_told(mark):
                await self._announcements.event(event)
        except (errors.Forbidden, errors.Refused, errors.NotFound) as error:
            if mark.last_error != str(error):
                self._tell("Warning", Reason.DEPLOYMENT_NOT_MARKED, f"{mark.version}: {error}")
            return replace(mark, last_error=str(error))
        self._tell(
            "Normal", Reason.DEPLOYMENT_MARKED, f"{spec.service} {mark.version} in {spec.env}"
        )
        return replace(mark, sent=True, last_error="")

    async def _is_told(self, mark: DeploymentMark) -> bool:
        """Its event may have gone out: before an earlier pass was cut off, or before a status was lost."""
        now_s = int(self._now.timestamp())
        return await self._announcements.has_event(deployments.event_tag(mark), now_s=now_s)

    def _replace(self, mark: DeploymentMark) -> None:
        self._memory.deployments = tuple(
            mark if item.id == mark.id else item for item in self._memory.deployments
        )

    def _tell(self, kind: Any, reason: Reason, message: str) -> None:
        self.turns.append(Event(type=kind, reason=reason, message=message))


def _view(spec: ObservabilitySpec, fleet: Fleet) -> View:
    return version_rollouts.view(fleet.stateful_sets(), env=spec.env, service=spec.service)
