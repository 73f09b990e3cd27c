"""Evaluate one monitor: from its definition, the data and its previous state to its next state and notifications.
Pure.

Composites are evaluated last, because they depend on the states of other monitors.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

from purpleflea_sandbox.datadog.evaluation import composite, messages, states
from purpleflea_sandbox.datadog.evaluation.conditions import Data, readings
from purpleflea_sandbox.datadog.evaluation.frames import Group
from purpleflea_sandbox.datadog.evaluation.readings import Readings
from purpleflea_sandbox.datadog.evaluation.states import GroupState, Rule, Status, Transition
from purpleflea_sandbox.datadog.evaluation.values import RefusedError
from purpleflea_sandbox.datadog.queries import read, tree

Definition = Mapping[str, Any]
Groups = Mapping[Group, GroupState]
COMPOSITE = "composite"
_LOGS = "log alert"
_NO_COMPARISON = tree.Comparison(">", 0)
_GROUP_RETENTION_S = 24 * 3600
"""Time after which a group without data is removed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One message about one group of one monitor."""

    monitor_id: str
    name: str
    group: Group
    turn: Transition
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
class Scene:
    """Input of one evaluation pass: the data, the time, and the states of the monitors evaluated before."""

    data: Data
    now: float
    members: composite.Members


@lru_cache(maxsize=2048)
def parsed(query: str, kind: str) -> tree.Condition:
    """Parse a monitor's query; the result is cached."""
    return read.condition(query, kind)


def evaluated(
    monitor: Definition,
    before: MonitorState,
    scene: Scene,
) -> tuple[MonitorState, list[Notification]]:
    """Return the next state of one monitor and its notifications. If the query changed, the state starts empty."""
    query = monitor["query"]
    if before.query != query:
        is_count_of_logs = monitor["type"] == _LOGS
        before = MonitorState(query=query, idle=Status.OK if is_count_of_logs else Status.NO_DATA)
    try:
        condition = parsed(query, monitor["type"])
        one, groups = _stepped(monitor, condition, before.groups, scene)
    except (read.UnreadableError, RefusedError, KeyError) as error:
        return replace(before, refusal=str(error), evaluated=scene.now), []
    now = scene.now
    told = list(_told(monitor, one, before.groups, groups, now))
    for note in told:
        groups[note.group] = note.state
    after = replace(before, groups=groups, refusal="", evaluated=now)
    return (after if after.status is before.status else replace(after, changed=now)), told


def in_order(definitions: Iterable[Definition]) -> Iterator[Definition]:
    """Return the monitors with composites after all others."""
    return iter(sorted(definitions, key=lambda one: bool(one["type"] == COMPOSITE)))


def _stepped(
    monitor: Definition,
    condition: tree.Condition,
    before: Groups,
    scene: Scene,
) -> tuple[Rule, dict[Group, GroupState]]:
    options = monitor.get("options") or {}
    if isinstance(condition, tree.Member | tree.Joined | tree.Negated):
        found = composite.statuses(condition, scene.members)
        one = states.rule(_NO_COMPARISON, 0, options)
        return one, {g: states.placed(before.get(g), s, scene.now) for g, s in found.items()}
    one = states.rule(condition.comparison, getattr(condition, "window_s", 0), options)
    now = scene.now - (options.get("evaluation_delay") or 0)
    return one, dict(_valued(one, before, readings(condition, scene.data, now), scene.now))


def _valued(
    one: Rule, before: Groups, found: Readings, now: float
) -> Iterator[tuple[Group, GroupState]]:
    for group in dict.fromkeys((*before, *found.groups)):
        state = states.step(
            one if group else replace(one, new_group_delay_s=0),
            before.get(group),
            found.groups.get(group),
            now,
            zero=found.zero_when_missing,
        )
        if state is not None and now - state.last_data < _GROUP_RETENTION_S:
            yield group, state


def _told(
    monitor: Definition,
    one: Rule,
    before: Groups,
    after: Groups,
    now: float,
) -> Iterator[Notification]:
    for group, state in after.items():
        turn = states.transition(one, before.get(group), state, now)
        if turn is None:
            continue
        text = messages.rendered(
            monitor.get("message", ""), turn, group, state, one.comparison.threshold
        )
        yield Notification(
            monitor_id=str(monitor["id"]),
            name=monitor["name"],
            group=group,
            turn=turn,
            state=replace(state, notified=now),
            text=text,
            handles=tuple(messages.handles(text)),
            tags=tuple(monitor.get("tags") or ()),
            at=now,
        )
