"""Select the logs that match a search, and count them per group in a window. Pure.

A plain key is a tag or a reserved field, never an attribute. An attribute of a log line becomes a tag only if a
pipeline maps it.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase

from purpleflea_sandbox.datadog import tags as tagging
from purpleflea_sandbox.datadog.evaluation.group_values import GroupValue, GroupValues
from purpleflea_sandbox.datadog.evaluation.time_grid import Group
from purpleflea_sandbox.datadog.intake.log_store import Log, LogStore, flattened
from purpleflea_sandbox.datadog.queries import tree

_DISORDER_S = 120


def evaluate(condition: tree.LogCondition, store: LogStore, now: float) -> GroupValues:
    """Count the matching logs of the window per group."""
    counts: Counter[Group] = Counter()
    newest: dict[Group, float] = {}
    for log in matching(condition.search, store, since=now - condition.window_s, until=now):
        group = _group(log, condition.by)
        if group is not None:
            counts[group] += 1
            newest[group] = max(newest.get(group, 0), log.timestamp / 1000)
    return GroupValues(
        groups={
            group: GroupValue(value=float(count), newest=newest[group], oldest=0)
            for group, count in counts.items()
        },
        zero_when_missing=True,
        by=condition.by,
    )


def matching(
    terms: Sequence[tree.Term], store: LogStore, *, since: float = 0, until: float = float("inf")
) -> Iterator[Log]:
    """Yield logs between two times (in seconds) that match every term, newest first."""
    for log in store.newest():
        moment = log.timestamp / 1000
        if moment < since - _DISORDER_S:
            return
        if since < moment <= until and all(matches(log, term) for term in terms):
            yield log


def bind_variables(
    terms: Iterable[tree.Term], variables: Mapping[str, str]
) -> tuple[tree.Term, ...]:
    """Replace template variables in the terms by their values; "*" removes the term."""
    replaced = []
    for term in terms:
        if not term.variable:
            replaced.append(term)
        elif (value := variables.get(term.key, "*")) != "*":
            replaced.append(tree.Term(key=term.key, value=value))
    return tuple(replaced)


def matches(log: Log, term: tree.Term) -> bool:
    """Return True if a log matches a term."""
    candidates = attribute(log, term.key) if term.attribute else values(log, term.key)
    wanted = term.value if term.attribute else tagging.normalised(term.value)
    pattern = term.value if "*" in term.value else wanted
    return any(_value_matches(value, pattern) for value in candidates) != term.negated


def values(log: Log, key: str) -> Sequence[str]:
    """Return the values of a plain key in a log."""
    reserved = {"service": log.service, "host": log.host, "status": log.status}
    if key in reserved:
        return [tagging.normalised(reserved[key])]
    return [tag[len(key) + 1 :] for tag in log.tags if tag.startswith(f"{key}:")]


def attribute(log: Log, path: str) -> Sequence[str]:
    """Return the values of an attribute."""
    if path in log.attributes and not isinstance(log.attributes[path], Mapping | list):
        return [text for _, text in flattened({path: log.attributes[path]})]
    return [text for name, text in flattened(log.attributes) if name == path]


def _value_matches(value: str, pattern: str) -> bool:
    return fnmatchcase(value, pattern) if "*" in pattern else value == pattern


def _group(log: Log, by: Sequence[str]) -> Group | None:
    group = []
    for name in by:
        candidates = attribute(log, name[1:]) if name.startswith("@") else values(log, name)
        if not candidates:
            return None
        group.append((name, candidates[0]))
    return tuple(group)
