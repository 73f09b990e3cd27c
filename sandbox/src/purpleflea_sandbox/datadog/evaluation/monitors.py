"""Evaluate a monitor: from its definition, the data and its previous state to its next state and notifications. Pure.

Composites are evaluated last, because they depend on the states of other monitors.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from purpleflea_sandbox.datadog.evaluation import composite, messages, states
from purpleflea_sandbox.datadog.evaluation.conditions import EvaluationData
from purpleflea_sandbox.datadog.evaluation.conditions import evaluate as evaluate_condition
from purpleflea_sandbox.datadog.evaluation.group_values import GroupValues
from purpleflea_sandbox.datadog.evaluation.states import AlertRule, GroupState, Status, Transition
from purpleflea_sandbox.datadog.evaluation.time_grid import Group
from purpleflea_sandbox.datadog.evaluation.values import UnsupportedQueryError
from purpleflea_sandbox.datadog.queries import read, tree

MonitorDefinition = Mapping[str, Any]
GroupEvent = tuple[Group, Transition, GroupState]
"""A status change of a group that is notified."""
Groups = Mapping[Group, GroupState]
COMPOSITE = "composite"
_LOGS = "log alert"
_NO_COMPARISON = tree.Comparison(">", 0)
_GROUP_RETENTION_S = 24 * 3600
"""Time after which a group without data is removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """A message about a group of a monitor."""

    monitor_id: str
    name: str
    group: Group
    transition: Transition
    state: GroupState
    text: str
    handles: tuple[str, ...]
    tags: tuple[str, ...]
    at: float


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorState:
    """State of a monitor. If it cannot be evaluated, `refusal` contains the reason."""

    query: str = ""
    idle: Status = Status.NO_DATA
    """Status if there is no group: OK for logs (no log is a count of zero), No Data for metrics."""
    groups: Groups = field(default_factory=dict)
    refusal: str = ""
    evaluated: float = 0
    changed: float = 0

    @property
    def status(self) -> Status:
        return states.worst(self.groups.values(), idle=self.idle)


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationContext:
    """Input of an evaluation pass: the data, the time, and the states of the monitors evaluated before."""

    data: EvaluationData
    now: float
    members: composite.Members


@lru_cache(maxsize=2048)
def parse_query(query: str, kind: str) -> tree.Condition:
    """Parse a monitor's query; the result is cached."""
    return read.condition(query, kind)


def evaluate(
    monitor: MonitorDefinition,
    before: MonitorState,
    context: EvaluationContext,
) -> tuple[MonitorState, list[Notification]]:
    """Return the next state of a monitor and its notifications. If the query changed, the state starts empty."""
    query = monitor["query"]
    if before.query != query:
        is_count_of_logs = monitor["type"] == _LOGS
        before = MonitorState(query=query, idle=Status.OK if is_count_of_logs else Status.NO_DATA)
    try:
        condition = parse_query(query, monitor["type"])
        rule, groups = _next_states(monitor, condition, before.groups, context)
    except (read.UnreadableError, UnsupportedQueryError, KeyError) as error:
        return replace(before, refusal=str(error), evaluated=context.now), []
    now = context.now
    notifications = [
        _notification(monitor, event, _variables(condition, rule, event, context.members), now)
        for event in _transitions(rule, before.groups, groups, now)
    ]
    for notification in notifications:
        groups[notification.group] = notification.state
    after = replace(before, groups=groups, refusal="", evaluated=now)
    return (after if after.status is before.status else replace(after, changed=now)), notifications


def composites_last(definitions: Iterable[MonitorDefinition]) -> Iterator[MonitorDefinition]:
    """Return the monitors with composites after all others."""
    return iter(sorted(definitions, key=lambda definition: bool(definition["type"] == COMPOSITE)))


def _next_states(
    monitor: MonitorDefinition,
    condition: tree.Condition,
    before: Groups,
    context: EvaluationContext,
) -> tuple[AlertRule, dict[Group, GroupState]]:
    options = monitor.get("options") or {}
    if isinstance(condition, tree.Member | tree.Joined | tree.Negated):
        statuses = composite.statuses(condition, context.members)
        rule = states.alert_rule(_NO_COMPARISON, 0, options)
        return rule, {
            group: states.with_status(before.get(group), status, context.now)
            for group, status in statuses.items()
        }
    rule = states.alert_rule(condition.comparison, getattr(condition, "window_s", 0), options)
    now = context.now - (options.get("evaluation_delay") or 0)
    return rule, dict(
        _step_groups(rule, before, evaluate_condition(condition, context.data, now), context.now)
    )


def _step_groups(
    rule: AlertRule, before: Groups, current: GroupValues, now: float
) -> Iterator[tuple[Group, GroupState]]:
    for group in dict.fromkeys((*before, *current.groups)):
        state = states.step(
            rule if group else replace(rule, new_group_delay_s=0),
            before.get(group),
            current.groups.get(group),
            now,
            zero=current.zero_when_missing,
        )
        if state is not None and now - state.last_data < _GROUP_RETENTION_S:
            yield group, state


def _transitions(
    rule: AlertRule, before: Groups, after: Groups, now: float
) -> Iterator[GroupEvent]:
    for group, state in after.items():
        transition = states.transition(rule, before.get(group), state, now)
        if transition is not None:
            yield group, transition, state


def _variables(
    condition: tree.Condition,
    rule: AlertRule,
    event: GroupEvent,
    members: composite.Members,
) -> Mapping[str, float | None]:
    group, _, state = event
    if isinstance(condition, tree.Member | tree.Joined | tree.Negated):
        return composite.values(condition, members, group)
    return {"value": state.value, "threshold": rule.comparison.threshold}


def _notification(
    monitor: MonitorDefinition,
    event: GroupEvent,
    values: Mapping[str, float | None],
    now: float,
) -> Notification:
    group, transition, state = event
    text = messages.render(monitor.get("message", ""), transition, group, values)
    return Notification(
        monitor_id=str(monitor["id"]),
        name=monitor["name"],
        group=group,
        transition=transition,
        state=replace(state, notified=now),
        text=text,
        handles=tuple(messages.handles(text)),
        tags=tuple(monitor.get("tags") or ()),
        at=now,
    )
