"""Old and new status -> the Events to post. Pure.

The severity of a reason (api.explanations) decides: reasons that are in progress or quiet post no Event, and the first
True of a condition posts none either.
"""

from collections.abc import Collection, Mapping
from typing import Any, Literal

from purpleflea_operator.api.explanations.agent import AGENT_REASONS, WITHOUT_EVENTS
from purpleflea_operator.api.reasons import Severity
from purpleflea_operator.kube.events import Event


def transitions(
    current: Mapping[str, Any], wanted: Mapping[str, Any], *, troubled: Collection[str] = ()
) -> tuple[Event, ...]:
    """Return the Events for the changes from one status to the next.

    `troubled` has the types of conditions whose last Event was a Warning: their recovery passes through quiet reasons,
    and is worth an Event.
    """
    known = {item["type"]: item for item in current.get("conditions", [])}
    events = []
    for item in wanted.get("conditions", []):
        kind, old = item["type"], known.get(item["type"], {})
        severity = AGENT_REASONS.severity(kind, item["reason"])
        is_same = (old.get("status"), old.get("reason")) == (item["status"], item["reason"])
        if is_same or kind in WITHOUT_EVENTS or not severity.posts_events:
            continue
        was_quiet = not old or not AGENT_REASONS.severity(kind, old["reason"]).posts_events
        if severity is Severity.NORMAL and was_quiet and kind not in troubled:
            continue
        events.append(_event(item, "Normal" if severity is Severity.NORMAL else "Warning"))
    return tuple(events)


def _event(condition: Mapping[str, Any], kind: Literal["Normal", "Warning"]) -> Event:
    return Event(
        type=kind,
        condition=condition["type"],
        reason=f"{condition['type']}{condition['reason']}",
        message=condition["message"],
    )
