"""Pure: what is about to be made is written down before it is, and what may still be on its way is waited for.

A create without an answer, or one of a pass that was cut off, may take effect late: a look that does not show the
object is no proof before some time has passed.
"""

from dataclasses import replace
from datetime import datetime, timedelta

from purpleflea_operator.api.observability_status import State
from purpleflea_operator.controllers.observability.decisions.desired import Goal
from purpleflea_operator.controllers.observability.decisions.payloads import Wanted
from purpleflea_operator.controllers.observability.decisions.registry import Entry, Memory
from purpleflea_operator.controllers.observability.observation import Sight
from purpleflea_operator.datadog.definitions.objects import Kind, Reference

LATE = timedelta(seconds=10)
"""How long a create without an answer may still take effect."""


def can_be_made(wanted: Wanted, sight: Sight) -> bool:
    """Whether it is missing and Datadog would take it."""
    if not sight.is_missing(wanted) or wanted.kind is Kind.LOG_INDEX_ORDER:
        return False
    return wanted.kind is not Kind.METRIC_TAGS or wanted.key in sight.survey.reporting


def announce(
    memory: Memory, goal: Goal, sight: Sight, now: datetime
) -> tuple[bool, frozenset[Reference]]:
    """Write down what will be made; whether there is any, and what has to wait."""
    new, waiting = False, set()
    for wanted in goal.wanted:
        reference = wanted.definition.reference
        if not can_be_made(wanted, sight):
            continue
        entry = memory.get(reference)
        if entry is not None and is_open(entry) and not _is_over(entry, now):
            waiting.add(reference)
            memory.put(dated(entry, now))
        else:
            new = True
            memory.put(Entry(kind=wanted.kind, key=wanted.key, state=State.CREATING))
    memory.arrange(item.definition.reference for item in goal.wanted)
    return new, frozenset(waiting)


def recall(memory: Memory, waiting: frozenset[Reference]) -> None:
    """The pass ends early: what it announced and did not come to is surely not made. What had no answer is dated."""
    for entry in tuple(memory):
        if is_open(entry) and not entry.since and entry.reference not in waiting:
            memory.put(replace(entry, state=State.WAITING, last_error="not yet tried"))


def is_open(entry: Entry) -> bool:
    """Whether it may be made, or have been made without our knowing."""
    return entry.state is State.CREATING and not entry.id


def dated(entry: Entry, now: datetime) -> Entry:
    """The entry with the time from which it is waited for."""
    return entry if _since(entry) else replace(entry, since=now.isoformat(timespec="seconds"))


def _is_over(entry: Entry, now: datetime) -> bool:
    since = _since(entry)
    return since is not None and now - since >= LATE


def _since(entry: Entry) -> datetime | None:
    """None also where somebody wrote something else there."""
    try:
        found = datetime.fromisoformat(entry.since)
    except ValueError:
        return None
    return found if found.tzinfo else None
