"""Pausing of failing rollouts with the partition."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_operator.controllers.agent.decisions import rollout
from purpleflea_operator.controllers.agent.decisions.rollout import effective_agent
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Defaults
from support.builders import a_pod
from support.observed_states import a_stateful_set, agent_value, observed_state

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD, NEW = "momentum-1", "momentum-2"


def a_pod_of(number, *, revision=OLD, **changes):
    found = a_pod(f"momentum-{number}", **changes)
    found["metadata"]["labels"]["controller-revision-hash"] = revision
    return found


def rolling_out(*, partition=0, current=OLD, new=NEW, observed=2):
    """The StatefulSet during a rollout."""
    found = a_stateful_set(3, ready=2, updated=1, generation=2, observed=observed)
    found["spec"]["updateStrategy"] = {
        "type": "RollingUpdate",
        "rollingUpdate": {"partition": partition},
    }
    found["status"] |= {"currentRevision": current, "updateRevision": new}
    return found


def a_rollout(*pods, stateful_set=None, **changes):
    return observed_state(
        agent=agent_value(generation=2, replicas=3),
        stateful_set=stateful_set or rolling_out(),
        pods=pods,
        **{"now": NOW, **changes},
    )


OTHERS = (a_pod_of(0), a_pod_of(1))
STARTING = a_pod_of(2, revision=NEW, ready=False)
CRASHING = a_pod_of(2, revision=NEW, ready=False, waiting="CrashLoopBackOff")
PAUSED = {"stateful_set": rolling_out(partition=2)}


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        pytest.param(a_rollout(*OTHERS, STARTING), 0, id="in progress"),
        pytest.param(a_rollout(*OTHERS, CRASHING), 2, id="the first new pod crashes"),
        pytest.param(a_rollout(*OTHERS, CRASHING, **PAUSED), 2, id="it still crashes"),
        pytest.param(a_rollout(*OTHERS, STARTING, **PAUSED), 2, id="it is starting"),
        pytest.param(
            a_rollout(*OTHERS, STARTING, unavailable_since=NOW - timedelta(minutes=11)),
            2,
            id="it exceeds the deadline",
        ),
        pytest.param(
            a_rollout(*OTHERS, a_pod_of(2, revision="momentum-3"), **PAUSED),
            2,
            id="a corrected spec is not tried yet",
        ),
        pytest.param(
            a_rollout(*OTHERS, a_pod_of(2, revision=NEW), **PAUSED), 0, id="the first pod is ready"
        ),
        pytest.param(a_rollout(*OTHERS, **PAUSED), 2, id="the first pod is being created"),
        pytest.param(
            a_rollout(
                a_pod_of(0, ready=False, waiting="CrashLoopBackOff"),
                a_pod_of(1),
                a_pod_of(2, revision=NEW),
            ),
            0,
            id="an old pod crashes",
        ),
        pytest.param(
            a_rollout(
                *OTHERS, CRASHING, stateful_set=rolling_out(partition=2, current=NEW, new=NEW)
            ),
            0,
            id="no rollout",
        ),
        pytest.param(
            a_rollout(*OTHERS, CRASHING, stateful_set=rolling_out(partition=1, observed=1)),
            1,
            id="not observed by the controller yet",
        ),
        pytest.param(
            a_rollout(*OTHERS, a_pod_of(2, revision=NEW, ready=False, deleting=True)),
            0,
            id="a new pod is terminating",
        ),
    ],
)
def test_a_failing_rollout_is_paused_and_continues_after_a_correction(observed, expected):
    assert rollout.paused_partition(observed) == expected


def test_without_a_stateful_set_no_rollout_is_paused():
    assert rollout.paused_partition(replace(a_rollout(), children={})) == 0


def test_only_a_paused_rollout_has_a_partition():
    def strategy(observed):
        agent = effective_agent(observed, observed.agent)
        return children(agent, Defaults(image="agent:1"), NO_CONNECTION)[-1]["spec"][
            "updateStrategy"
        ]

    stopped = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    assert strategy(a_rollout(*OTHERS, CRASHING)) == stopped
    assert strategy(a_rollout(*OTHERS, STARTING))["rollingUpdate"] == {"partition": 0}
