"""The Events for a change of the status. Pure.

Only transitions of conditions cause Events. Progress does not, and neither does a first True.
"""

from collections.abc import Collection, Mapping
from typing import Any

from purpleflea_operator.kube.events import Event

QUIET_REASONS = frozenset(
    {"Progressing", "WaitingForAgents", "Disabled", "Ephemeral", "Expanding", "NotVisible"}
)
QUIET_TYPES = frozenset({"Ready", "Progressing"})
"""Conditions that repeat other conditions."""
NEGATIVE_TYPES = frozenset({"DuplicateIdentity"})
"""Conditions whose status True indicates a problem."""

WARNING_REASONS = frozenset({"OverrideIgnored"})
"""Reasons that cause a Warning even if the condition is True, because a part of the spec has no effect."""


def transitions(
    current: Mapping[str, Any], wanted: Mapping[str, Any], *, troubled: Collection[str] = ()
) -> tuple[Event, ...]:
    """Return the Events for the transitions from one status to the next.

    `troubled` are the types of conditions with a problem in their last Event. Their recovery causes an Event even after
    quiet reasons in between.
    """
    known = {item["type"]: item for item in current.get("conditions", [])}
    events = []
    for item in wanted.get("conditions", []):
        old = known.get(item["type"], {})
        is_same = (old.get("status"), old.get("reason")) == (item["status"], item["reason"])
        if is_same or item["reason"] in QUIET_REASONS or item["type"] in QUIET_TYPES:
            continue
        is_good = item["status"] == ("False" if item["type"] in NEGATIVE_TYPES else "True")
        is_good = is_good and item["reason"] not in WARNING_REASONS
        was_quiet = not old or old["reason"] in QUIET_REASONS
        if is_good and was_quiet and item["type"] not in troubled:
            continue
        events.append(
            Event(
                type="Normal" if is_good else "Warning",
                condition=item["type"],
                reason=f"{item['type']}{item['reason']}",
                message=item["message"],
            )
        )
    return tuple(events)
