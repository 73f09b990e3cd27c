"""Pure: the marks of deployments in Datadog: one DORA deployment and one event per version, not per pod.

A mark is written down as Pending before it is sent. It stays while any agent wants its version: that a pod dies and
comes back is no deployment, a version that returns after it was gone is one. Hence marks of versions that are gone are
kept for a while. The id names nothing that could be lost or differ: after a lost status, and for a resource that was
made anew, the same rollout has the same id.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from purpleflea_operator import timings
from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.api.observability_status import DEPLOYMENTS, ERROR_LENGTH
from purpleflea_operator.controllers.observability.decisions.version_rollouts import (
    Rollout,
    Span,
    View,
)
from purpleflea_operator.datadog.definitions.objects import Body

MARKED = "Marked"
PENDING = "Pending"
GONE = "Gone"
ID_LENGTH = 32
NAMED = 20
"""Most agents that an event names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentMark:
    """One deployment of a version."""

    version: str
    id: str
    span: Span
    sent: bool = False
    gone: bool = False
    """No agent wants the version any more."""
    last_error: str = ""

    def shown(self) -> dict[str, Any]:
        """The mark as the status shows it."""
        found = {
            "version": self.version,
            "id": self.id,
            "startedAt": _text(self.span.started),
            "finishedAt": _text(self.span.finished),
            "state": GONE if self.gone else MARKED if self.sent else PENDING,
        }
        return found | ({"lastError": self.last_error[:ERROR_LENGTH]} if self.last_error else {})


def remembered(status: Mapping[str, Any]) -> tuple[DeploymentMark, ...]:
    """The marks that a status tells of; what cannot be read in it is left out."""
    found = (_mark(item) for item in status.get("deployments") or ())
    return tuple(mark for mark in found if mark is not None)


def unmarked(view: View, marks: Iterable[DeploymentMark]) -> tuple[Rollout, ...]:
    """Rollouts that are complete and have no mark."""
    versions = {mark.version for mark in marks if not mark.gone}
    return tuple(item for item in view.complete if item.version not in versions)


def kept(view: View, marks: Iterable[DeploymentMark]) -> tuple[DeploymentMark, ...]:
    """The newest marks, oldest first; those whose version nobody wants are gone for good."""
    found = [mark if mark.version in view.wanted else replace(mark, gone=True) for mark in marks]
    return tuple(sorted(found, key=lambda mark: mark.span.finished)[-DEPLOYMENTS:])


def is_due(view: View, marks: tuple[DeploymentMark, ...]) -> bool:
    """Whether a mark is missing, or one has outlived its version."""
    return bool(unmarked(view, marks)) or any(
        mark.version not in view.wanted for mark in marks if not mark.gone
    )


def with_pending(
    spec: ObservabilitySpec, marks: tuple[DeploymentMark, ...], rollout: Rollout, span: Span
) -> tuple[DeploymentMark, ...]:
    """The marks with a new one. Its id depends on what was there before only if the version was: then it is another
    deployment of the same."""
    before = [mark.id for mark in marks if mark.version == rollout.version]
    text = "\n".join((spec.env, spec.service, rollout.version, *before))
    identifier = hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]
    others = (mark for mark in marks if mark.version != rollout.version)
    return (*others, DeploymentMark(version=rollout.version, id=identifier, span=span))


def deployment(spec: ObservabilitySpec, mark: DeploymentMark) -> Body:
    """What is sent as a DORA deployment; times are in nanoseconds."""
    attributes = {
        "id": mark.id,
        "service": spec.service,
        "env": spec.env,
        "version": mark.version,
        "team": spec.team,
        "started_at": _nanoseconds(mark.span.started),
        "finished_at": _nanoseconds(mark.span.finished),
    }
    return {"data": {"attributes": attributes}}


def event_tag(mark: DeploymentMark) -> str:
    """By which the event of a deployment is found again."""
    return f"deployment_id:{mark.id}"


def event(
    spec: ObservabilitySpec, mark: DeploymentMark, agents: tuple[str, ...], now: datetime
) -> Body | None:
    """What is sent as an event; None where it is too late for one."""
    if now - mark.span.finished > timings.DEPLOYMENT_EVENT_AGE_LIMIT:
        return None
    named = ", ".join(agents[:NAMED])
    more = f" and {len(agents) - NAMED} more" if len(agents) > NAMED else ""
    return {
        "title": f"{spec.service} {mark.version} is deployed to {spec.env}",
        "text": f"All pods run it and are ready. Agents: {named}{more}.",
        "date_happened": int(mark.span.finished.timestamp()),
        "aggregation_key": mark.id,
        "alert_type": "info",
        "source_type_name": "kubernetes",
        "tags": [
            f"env:{spec.env}",
            f"service:{spec.service}",
            f"version:{mark.version}",
            f"team:{spec.team}",
            event_tag(mark),
        ],
    }


def _mark(item: Mapping[str, Any]) -> DeploymentMark | None:
    try:
        moments = [datetime.fromisoformat(item[name]) for name in ("startedAt", "finishedAt")]
        return DeploymentMark(
            version=str(item["version"]),
            id=str(item["id"]),
            span=Span(started=moments[0], finished=moments[1]),
            sent=item.get("state") == MARKED,
            gone=item.get("state") == GONE,
            last_error=str(item.get("lastError") or ""),
        )
    except (KeyError, ValueError, TypeError):
        return None


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _nanoseconds(moment: datetime) -> int:
    return int(moment.timestamp()) * 10**9
