"""Reports the deployments of one resource's service to Datadog, from the agents and the marks in the registry."""

import asyncio
from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime
from typing import Any, Literal, Protocol

from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.api.reasons import Reason
from purpleflea_operator.controllers.observability.decisions import deployments
from purpleflea_operator.controllers.observability.decisions.absences import (
    AbsenceIndex,
    Absences,
)
from purpleflea_operator.controllers.observability.decisions.deployments import DeploymentMark
from purpleflea_operator.controllers.observability.decisions.registry import ObjectRegistry
from purpleflea_operator.controllers.observability.decisions.status import SyncState
from purpleflea_operator.controllers.observability.decisions.version_rollouts import (
    Rollout,
    RolloutIndex,
    RolloutSpan,
    SpanBuilder,
    View,
)
from purpleflea_operator.controllers.observability.status_writer import ResourceWriter
from purpleflea_operator.datadog.client import errors
from purpleflea_operator.datadog.client.deployment_events import DeploymentEvents
from purpleflea_operator.kube import resources
from purpleflea_operator.kube.events import Event
from purpleflea_operator.kube.listing import SLICE
from purpleflea_operator.kube.object_cache import NamespacedName, ObjectCache


class Fleet(Protocol):
    """Versions and pods of the agents, as the watches report them."""

    def versions(self, *, env: str, service: str) -> View:
        """Return the versions of the agents of one service."""

    def pods(self, agent: str) -> Iterable[dict[str, Any]]:
        """Return the pods of an agent (namespace/name)."""

    def absences(self, *, env: str, service: str, now: datetime) -> Absences:
        """Return the identities of one service that run, and those that are absent on purpose."""


class CachedFleet:
    """Fleet from the indexes of the versions and of the absences, and from the object cache."""

    def __init__(self, index: RolloutIndex, cache: ObjectCache) -> None:
        self.index = index
        self.absence_index = AbsenceIndex()
        self._cache = cache

    def absences(self, *, env: str, service: str, now: datetime) -> Absences:
        """Return the identities of one service that run, and those that are absent on purpose."""
        return self.absence_index.view(env=env, service=service, now=now, pods=self.pods)

    def versions(self, *, env: str, service: str) -> View:
        """Return the versions of the agents of one service."""
        return self.index.view(env=env, service=service)

    def pods(self, agent: str) -> Iterable[dict[str, Any]]:
        """Return the pods of an agent (namespace/name)."""
        namespace, _, name = agent.partition("/")
        return self._cache.owned(resources.POD, NamespacedName(namespace, name))


class NoFleet:
    """Fleet without agents."""

    def absences(self, *, env: str, service: str, now: datetime) -> Absences:
        """Return no absences."""
        return Absences(running=frozenset(), absent=frozenset(), rolling=())

    def versions(self, *, env: str, service: str) -> View:
        """Return no versions."""
        return View(wanted=frozenset(), complete=())

    def pods(self, agent: str) -> Iterable[dict[str, Any]]:
        """Return no pods."""
        return ()


def is_due(spec: ObservabilitySpec, status: dict[str, Any], fleet: Fleet) -> bool:
    """Return True if a deployment must be reported or a mark has changed. This needs no requests."""
    if not reports_deployments(spec):
        return False
    return deployments.is_due(_view(spec, fleet), deployments.marks_from_status(status))


def reports_deployments(spec: ObservabilitySpec) -> bool:
    """Return True if the spec requests deployment marks."""
    return spec.features.deployments and spec.mode == "Manage"


class DeploymentReporter:
    """Reports the deployments of one resource in one pass."""

    def __init__(
        self,
        deployment_events: DeploymentEvents,
        fleet: Fleet,
        registry: ObjectRegistry,
        *,
        now: datetime,
    ) -> None:
        self._deployment_events = deployment_events
        self._fleet = fleet
        self._registry = registry
        self._now = now
        self.events: list[Event] = []

    async def run(
        self, spec: ObservabilitySpec, writer: ResourceWriter, sync_state: SyncState
    ) -> None:
        """Send a mark for each complete rollout without one. New marks are saved as Pending before they are sent.

        Raises:
            DatadogError: Datadog is unreachable or the rate limit is exceeded. The next pass continues.
        """
        if not reports_deployments(spec):
            return
        view = _view(spec, self._fleet)
        marks = deployments.retained(view, self._registry.deployments)
        unmarked = deployments.unmarked(view, marks)
        for rollout in unmarked:
            marks = deployments.with_pending(spec, marks, rollout, await self._span(rollout))
        self._registry.deployments = deployments.retained(view, marks)
        if unmarked:
            await writer.patch_status(self._registry, sync_state)
        for mark in self._registry.deployments:
            if not mark.sent and not mark.gone:
                self._replace(await self._send(spec, mark, view))

    async def _span(self, rollout: Rollout) -> RolloutSpan:
        builder = SpanBuilder(now=self._now)
        for number, agent in enumerate(rollout.agents, start=1):
            for pod in self._fleet.pods(agent):
                builder.add(pod)
            if number % SLICE == 0:
                await asyncio.sleep(0)
        return builder.span()

    async def _send(
        self, spec: ObservabilitySpec, mark: DeploymentMark, view: View
    ) -> DeploymentMark:
        agents = next((item.agents for item in view.complete if item.version == mark.version), ())
        try:
            await self._deployment_events.send_deployment(deployments.deployment_body(spec, mark))
            event = deployments.event_body(spec, mark, agents, self._now)
            if event is not None and not await self._has_event(mark):
                await self._deployment_events.send_event(event)
        except (errors.DatadogForbidden, errors.Refused, errors.DatadogNotFound) as error:
            if mark.last_error != str(error):
                self._add_event("Warning", Reason.DEPLOYMENT_NOT_MARKED, f"{mark.version}: {error}")
            return replace(mark, last_error=str(error))
        message = f"{spec.service} {mark.version} in {spec.env}"
        self._add_event("Normal", Reason.DEPLOYMENT_MARKED, message)
        return replace(mark, sent=True, last_error="")

    async def _has_event(self, mark: DeploymentMark) -> bool:
        """Return True if an earlier pass posted the event and was interrupted, or its status was lost."""
        now_s = int(self._now.timestamp())
        return await self._deployment_events.has_event(deployments.event_tag(mark), now_s=now_s)

    def _replace(self, mark: DeploymentMark) -> None:
        self._registry.deployments = tuple(
            mark if item.id == mark.id else item for item in self._registry.deployments
        )

    def _add_event(self, kind: Literal["Normal", "Warning"], reason: Reason, message: str) -> None:
        self.events.append(Event(type=kind, reason=reason, message=message))


def _view(spec: ObservabilitySpec, fleet: Fleet) -> View:
    return fleet.versions(env=spec.env, service=spec.service)
