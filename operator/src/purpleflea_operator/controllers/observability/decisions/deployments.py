"""Pure: deployment marks. A mark is one DORA deployment and one event in Datadog per version, not per pod.

A mark is stored as Pending before it is sent, and is kept while any agent has its version in the spec. Therefore a
pod that fails and returns causes no deployment. A version that returns after no agent had it causes a new one, so marks
in the state Gone are kept for a while. The id depends only on data that cannot be lost or differ, so the same rollout
has the same id after a lost status, and for a recreated resource.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from purpleflea_operator import timings
from purpleflea_operator.api.observability import ObservabilitySpec
from purpleflea_operator.api.observability_status import MAX_DEPLOYMENTS, MAX_ERROR_LENGTH
from purpleflea_operator.controllers.observability.decisions.version_rollouts import (
    Rollout,
    RolloutSpan,
    View,
)
from purpleflea_operator.datadog.definitions.objects import Body

MARKED = "Marked"
PENDING = "Pending"
GONE = "Gone"
ID_LENGTH = 32
MAX_NAMED_AGENTS = 20
"""Most agents that an event names."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentMark:
    """One deployment of a version."""

    version: str
    id: str
    span: RolloutSpan
    sent: bool = False
    gone: bool = False
    """True if no agent has the version in its spec any more."""
    last_error: str = ""

    def to_status(self) -> dict[str, Any]:
        """Return the mark in the format of status.deployments."""
        fields = {
            "version": self.version,
            "id": self.id,
            "startedAt": _text(self.span.started),
            "finishedAt": _text(self.span.finished),
            "state": GONE if self.gone else MARKED if self.sent else PENDING,
        }
        error = self.last_error[:MAX_ERROR_LENGTH]
        return fields | ({"lastError": error} if error else {})


def marks_from_status(status: Mapping[str, Any]) -> tuple[DeploymentMark, ...]:
    """Return the marks that a status contains. Marks that another client made unreadable are omitted."""
    marks = (_mark(item) for item in status.get("deployments") or ())
    return tuple(mark for mark in marks if mark is not None)


def unmarked(view: View, marks: Iterable[DeploymentMark]) -> tuple[Rollout, ...]:
    """Return the complete rollouts that have no mark."""
    versions = {mark.version for mark in marks if not mark.gone}
    return tuple(item for item in view.complete if item.version not in versions)


def retained(view: View, marks: Iterable[DeploymentMark]) -> tuple[DeploymentMark, ...]:
    """Return the newest marks, oldest first. A mark whose version no agent has in its spec stays Gone."""
    updated = [mark if mark.version in view.wanted else replace(mark, gone=True) for mark in marks]
    return tuple(sorted(updated, key=lambda mark: mark.span.finished)[-MAX_DEPLOYMENTS:])


def is_due(view: View, marks: tuple[DeploymentMark, ...]) -> bool:
    """Return True if a mark is missing, or if no agent has the version of a mark in its spec any more."""
    return bool(unmarked(view, marks)) or any(
        mark.version not in view.wanted for mark in marks if not mark.gone
    )


def with_pending(
    spec: ObservabilitySpec, marks: tuple[DeploymentMark, ...], rollout: Rollout, span: RolloutSpan
) -> tuple[DeploymentMark, ...]:
    """Return the marks with a new one for the rollout.

    Its id depends on former marks only if the same version had one, because then it is another deployment of this
    version.
    """
    former = [mark.id for mark in marks if mark.version == rollout.version]
    text = "\n".join((spec.env, spec.service, rollout.version, *former))
    identifier = hashlib.sha256(text.encode()).hexdigest()[:ID_LENGTH]
    others = (mark for mark in marks if mark.version != rollout.version)
    return (*others, DeploymentMark(version=rollout.version, id=identifier, span=span))


def deployment_body(spec: ObservabilitySpec, mark: DeploymentMark) -> Body:
    """Return the body of a DORA deployment. Times are in nanoseconds."""
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
    """Return the tag that identifies the event of a deployment."""
    return f"deployment_id:{mark.id}"


def event_body(
    spec: ObservabilitySpec, mark: DeploymentMark, agents: tuple[str, ...], now: datetime
) -> Body | None:
    """Return the body of an event, None if the deployment is too old for Datadog to accept its event."""
    if now - mark.span.finished > timings.DEPLOYMENT_EVENT_AGE_LIMIT:
        return None
    named = ", ".join(agents[:MAX_NAMED_AGENTS])
    hidden = len(agents) - MAX_NAMED_AGENTS
    more = f" and {hidden} more" if hidden > 0 else ""
    return {
        "title": f"{spec.service} {mark.version} is deployed to {spec.env}",
        "text": f"All pods run this version and are ready. Agents: {named}{more}.",
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
            span=RolloutSpan(started=moments[0], finished=moments[1]),
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
