"""Thresholds, recovery, missing data and reminders, as sequences of statuses for sequences of values."""

from dataclasses import replace

import pytest

from purpleflea_sandbox.datadog.evaluation import states
from purpleflea_sandbox.datadog.evaluation.group_values import GroupValue
from purpleflea_sandbox.datadog.evaluation.states import AlertRule, GroupState, Status
from purpleflea_sandbox.datadog.queries.tree import Comparison

SHORT = {"OK": Status.OK, "W": Status.WARN, "A": Status.ALERT, "N": Status.NO_DATA}
DRAWDOWN = AlertRule(
    comparison=Comparison(">", 15),
    warning=8,
    critical_recovery=8,
    warning_recovery=6,
)
BALANCE = AlertRule(
    comparison=Comparison("<", 50),
    warning=200,
    critical_recovery=60,
    warning_recovery=220,
)
MINUTE = 60


def status_sequence(rule, values, *, zero=False):
    """Return the status after each value, with one value per minute. None is a minute without data."""
    state, statuses, now = None, [], 1000
    for value in values:
        now += MINUTE
        current = None if value is None else GroupValue(value=value, newest=now)
        state = states.step(rule, state, current, now, zero=zero)
        statuses.append(state and state.status)
    return statuses


@pytest.mark.parametrize(
    ("rule", "values", "expected"),
    [
        (DRAWDOWN, [5, 15, 16, 9, 8, 7], "OK W A A OK OK"),
        (DRAWDOWN, [8, 8.1, 7, 6], "OK W W OK"),
        (DRAWDOWN, [16, 8.1, 8, 9], "A A OK W"),
        (BALANCE, [300, 199, 49, 55, 60, 210, 221], "OK W A A W W OK"),
        (replace(DRAWDOWN, comparison=Comparison(">=", 15)), [15, 8.1, 7], "A A OK"),
        (AlertRule(comparison=Comparison(">=", 1), critical_recovery=0), [1, 0.1, 0], "A A OK"),
        (replace(BALANCE, comparison=Comparison("<=", 50)), [50, 59, 60], "A A W"),
        (AlertRule(comparison=Comparison(">", 5)), [6, 5, 6], "A OK A"),
    ],
)
def test_state_ends_only_beyond_its_recovery_threshold(rule, values, expected):
    assert status_sequence(rule, values) == [SHORT[name] for name in expected.split()]


@pytest.mark.parametrize(
    ("changes", "zero", "expected"),
    [
        ({}, False, "A A A A A"),
        ({}, True, "A OK OK OK OK"),
        ({"resolves_when_missing": True}, False, "A OK OK OK OK"),
        ({"no_data_after_s": 180}, True, "A A A N N"),
    ],
)
def test_missing_data_is_handled_as_the_monitor_configures(changes, zero, expected):
    statuses = status_sequence(
        replace(DRAWDOWN, **changes), [16, None, None, None, None], zero=zero
    )
    assert statuses == [SHORT[name] for name in expected.split()]


def test_returning_data_ends_no_data():
    rule = replace(DRAWDOWN, no_data_after_s=60)
    assert status_sequence(rule, [1, None, 1, None, 16]) == [
        Status.OK,
        Status.NO_DATA,
        Status.OK,
        Status.NO_DATA,
        Status.ALERT,
    ]


def test_no_data_counts_from_the_last_point_not_from_the_end_of_the_window():
    rule = replace(DRAWDOWN, no_data_after_s=600)
    state = states.step(rule, None, GroupValue(value=1, newest=1000), 1000, zero=False)
    state = states.step(rule, state, GroupValue(value=1, newest=1000), 1290, zero=False)
    before = states.step(rule, state, None, 1599, zero=False)
    after = states.step(rule, state, None, 1600, zero=False)
    assert (before.status, after.status) == (Status.OK, Status.NO_DATA)


def test_new_group_is_evaluated_after_its_delay():
    rule = replace(DRAWDOWN, new_group_delay_s=120)
    assert status_sequence(rule, [16, 16, 16]) == [Status.OK, Status.OK, Status.ALERT]


def test_unknown_group_without_data_has_no_state():
    assert status_sequence(DRAWDOWN, [None, 16]) == [None, Status.ALERT]


def test_monitor_that_requires_a_full_window_waits_for_it():
    rule = replace(DRAWDOWN, needs_full_window=True, window_s=300)
    state = states.step(rule, None, GroupValue(value=16, newest=100, oldest=90), 100, zero=False)
    assert state.status is Status.OK
    state = states.step(rule, state, GroupValue(value=16, newest=390, oldest=90), 390, zero=False)
    assert state.status is Status.ALERT


def test_a_division_by_zero_is_missing_data():
    state = states.step(DRAWDOWN, None, GroupValue(value=16, newest=1), 1, zero=False)
    state = states.step(DRAWDOWN, state, GroupValue(value=None, newest=2), 2, zero=True)
    assert (state.status, state.value) == (Status.OK, 0)


def test_times_of_transitions_are_stored():
    rule = replace(DRAWDOWN, no_data_after_s=60)
    state = None
    for now, value in ((100, 16), (200, 1), (300, None)):
        current = GroupValue(value=value, newest=now) if value else None
        state = states.step(rule, state, current, now, zero=False)
    assert (state.triggered, state.resolved, state.no_data, state.changed) == (100, 200, 300, 300)


def transition(rule, before, after, now=1000, **changes):
    def state(status):
        return GroupState(status=status, value=1, first_seen=0, last_data=0, changed=0, **changes)

    return states.transition(rule, before and state(before), state(after), now)


@pytest.mark.parametrize(
    ("before", "after", "is_notified"),
    [
        (None, Status.OK, False),
        (None, Status.ALERT, True),
        (Status.OK, Status.WARN, True),
        (Status.WARN, Status.ALERT, True),
        (Status.ALERT, Status.WARN, True),
        (Status.ALERT, Status.OK, True),
        (Status.ALERT, Status.ALERT, False),
        (Status.OK, Status.NO_DATA, False),
    ],
)
def test_transitions_are_notified(before, after, is_notified):
    assert (transition(DRAWDOWN, before, after) is not None) == is_notified


def test_missing_data_is_notified_if_the_monitor_requests_it():
    rule = replace(DRAWDOWN, no_data_after_s=60)
    assert transition(rule, Status.OK, Status.NO_DATA) is not None


@pytest.mark.parametrize(
    ("status", "notified", "is_notified"),
    [
        (Status.ALERT, 940, True),
        (Status.ALERT, 941, False),
        (Status.ALERT, 0, False),
        (Status.WARN, 100, False),
        (Status.OK, 100, False),
        (Status.NO_DATA, 100, True),
    ],
)
def test_alert_is_notified_again_after_the_interval(status, notified, is_notified):
    rule = replace(DRAWDOWN, renotify_s=60)
    reminder = transition(rule, status, status, notified=notified)
    assert (reminder is not None and reminder.is_reminder) == is_notified


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, AlertRule(comparison=Comparison(">", 1), window_s=300)),
        (
            {"notify_no_data": True, "no_data_timeframe": 10, "new_group_delay": 60},
            AlertRule(
                comparison=Comparison(">", 1),
                window_s=300,
                new_group_delay_s=60,
                no_data_after_s=600,
            ),
        ),
        (
            {"notify_no_data": True},
            AlertRule(comparison=Comparison(">", 1), window_s=300, no_data_after_s=600),
        ),
        (
            {"on_missing_data": "show_and_notify_no_data", "renotify_interval": 5},
            AlertRule(
                comparison=Comparison(">", 1), window_s=300, no_data_after_s=300, renotify_s=300
            ),
        ),
        (
            {"on_missing_data": "default", "timeout_h": 2},
            AlertRule(comparison=Comparison(">", 1), window_s=300, resolves_after_s=7200),
        ),
        (
            {"on_missing_data": "resolve", "require_full_window": True},
            AlertRule(
                comparison=Comparison(">", 1),
                window_s=300,
                resolves_when_missing=True,
                needs_full_window=True,
            ),
        ),
    ],
)
def test_an_alert_rule_is_created_from_api_options(options, expected):
    assert states.alert_rule(Comparison(">", 1), 300, options) == expected
