"""Pure: what is about to be made is written down before it is, and what may still be on its way is waited for.

A create without an answer, or one of a pass that was cut off, may take effect late: a look that does not show the
object is no proof before some time has passed.
"""

from dataclasses import replace
from datetime import datetime

from purpleflea_operator import timings
from purpleflea_operator.api.observability_status import State
from purpleflea_operator.controllers.observability.decisions.desired import DesiredState
from purpleflea_operator.controllers.observability.decisions.payloads import Wanted
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.controllers.observability.observation import Observation
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference


def is_creatable(wanted: Wanted, sight: Observation) -> bool:
    """Whether it is missing and Datadog would take it."""
    if not sight.is_missing(wanted) or wanted.kind is ObjectKind.LOG_INDEX_ORDER:
        return False
    return wanted.kind is not ObjectKind.METRIC_TAGS or wanted.key in sight.survey.reporting


def record_intent(
    memory: ObjectRegistry, goal: DesiredState, sight: Observation, now: datetime
) -> tuple[bool, frozenset[Reference]]:
    """Write down what will be made; whether there is any, and what has to wait."""
    new, waiting = False, set()
    for wanted in goal.wanted:
        reference = wanted.definition.reference
        if not is_creatable(wanted, sight):
            continue
        entry = memory.get(reference)
        if entry is not None and is_pending(entry) and not _is_over(entry, now):
            waiting.add(reference)
            memory.put(dated(entry, now))
        else:
            new = True
            memory.put(ObjectRecord(kind=wanted.kind, key=wanted.key, state=State.CREATING))
    memory.arrange(item.definition.reference for item in goal.wanted)
    return new, frozenset(waiting)


def discard_intent(memory: ObjectRegistry, waiting: frozenset[Reference]) -> None:
    """The pass ends early: what it announced and did not come to is surely not made. What had no answer is dated."""
    for entry in tuple(memory):
        if is_pending(entry) and not entry.since and entry.reference not in waiting:
            memory.put(replace(entry, state=State.WAITING, last_error="not yet tried"))


def is_pending(entry: ObjectRecord) -> bool:
    """Whether it may be made, or have been made without our knowing."""
    return entry.state is State.CREATING and not entry.id


def dated(entry: ObjectRecord, now: datetime) -> ObjectRecord:
    """The entry with the time from which it is waited for."""
    return entry if _since(entry) else replace(entry, since=now.isoformat(timespec="seconds"))


def _is_over(entry: ObjectRecord, now: datetime) -> bool:
    since = _since(entry)
    return since is not None and now - since >= timings.LATE_CREATE


def _since(entry: ObjectRecord) -> datetime | None:
    """None also where somebody wrote something else there."""
    try:
        found = datetime.fromisoformat(entry.since)
    except ValueError:
        return None
    return found if found.tzinfo else None
