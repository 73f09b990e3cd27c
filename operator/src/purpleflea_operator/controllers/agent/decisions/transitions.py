"""Old and new status -> the Events worth posting. Pure.

Events tell of turns only; what is on its way is no news, and a first True neither.
"""

from collections.abc import Collection, Mapping
from typing import Any

from purpleflea_operator.kube.events import Event

QUIET_REASONS = frozenset(
    {"Progressing", "WaitingForAgents", "Disabled", "Ephemeral", "Expanding", "NotVisible"}
)
QUIET_TYPES = frozenset({"Ready", "Progressing"})
"""They repeat what another condition says."""
BAD_TYPES = frozenset({"DuplicateIdentity"})
"""Conditions whose True is the bad news."""

WARNING_REASONS = frozenset({"OverrideIgnored"})
"""Told even where the condition is True: not all is as the user wrote it."""


def transitions(
    current: Mapping[str, Any], wanted: Mapping[str, Any], *, troubled: Collection[str] = ()
) -> tuple[Event, ...]:
    """The turns from one status to the next that people should hear of.

    `troubled` are types of conditions whose last news were bad: a recovery passes through quiet reasons, and is news.
    """
    known = {item["type"]: item for item in current.get("conditions", [])}
    found = []
    for item in wanted.get("conditions", []):
        old = known.get(item["type"], {})
        turned = (old.get("status"), old.get("reason")) != (item["status"], item["reason"])
        if not turned or item["reason"] in QUIET_REASONS or item["type"] in QUIET_TYPES:
            continue
        is_good = item["status"] == ("False" if item["type"] in BAD_TYPES else "True")
        is_good = is_good and item["reason"] not in WARNING_REASONS
        was_quiet = not old or old["reason"] in QUIET_REASONS
        if is_good and was_quiet and item["type"] not in troubled:
            continue
        found.append(
            Event(
                type="Normal" if is_good else "Warning",
                condition=item["type"],
                reason=f"{item['type']}{item['reason']}",
                message=item["message"],
            )
        )
    return tuple(found)
