"""State of a composite monitor, computed per group from the states of its members. Pure.

As in Datadog, Alert, Warn and No Data are true and OK is false. && returns the mildest status of both sides, || the
worst.
"""

import string
from collections.abc import Mapping

from purpleflea_sandbox.datadog.evaluation.states import SEVERITY, GroupState, Status
from purpleflea_sandbox.datadog.evaluation.time_grid import UNGROUPED, Group
from purpleflea_sandbox.datadog.evaluation.values import UnsupportedQueryError
from purpleflea_sandbox.datadog.queries import tree

Members = Mapping[str, Mapping[Group, GroupState]]


def statuses(condition: tree.CompositeCondition, members: Members) -> Mapping[Group, Status]:
    """Return the status of every group that the members share. A member without groups is combined with every group."""
    ids = _ids(condition)
    if missing := [identifier for identifier in ids if identifier not in members]:
        raise UnsupportedQueryError(f"missing monitors: {', '.join(missing)}")
    grouped = [
        set(members[identifier]) for identifier in ids if set(members[identifier]) - {UNGROUPED}
    ]
    common = set.intersection(*grouped) if grouped else {UNGROUPED}
    return {group: _status(condition, members, group) for group in sorted(common)}


def values(
    condition: tree.CompositeCondition, members: Members, group: Group
) -> Mapping[str, float | None]:
    """Return the values of the members by variable: a.value is that of the first member in the query."""
    named = zip(string.ascii_lowercase, dict.fromkeys(_ids(condition)), strict=False)
    states = ((letter, members[identifier]) for letter, identifier in named)
    found = ((letter, items.get(group) or items.get(UNGROUPED)) for letter, items in states)
    return {f"{letter}.value": state.value if state else None for letter, state in found}


def _ids(condition: tree.CompositeCondition) -> tuple[str, ...]:
    match condition:
        case tree.Member(identifier):
            return (identifier,)
        case tree.Negated(part):
            return _ids(part)
        case tree.Joined(_, left, right):
            return (*_ids(left), *_ids(right))


def _status(condition: tree.CompositeCondition, members: Members, group: Group) -> Status:
    match condition:
        case tree.Member(identifier):
            states = members[identifier]
            state = states.get(group) or states.get(UNGROUPED)
            return state.status if state else Status.NO_DATA
        case tree.Negated(part):
            negated = _status(part, members, group)
            return Status.ALERT if negated is Status.OK else Status.OK
        case tree.Joined(operator, left, right):
            sides = (_status(left, members, group), _status(right, members, group))
            chosen = min if operator == "&&" else max
            return chosen(sides, key=SEVERITY.index)
