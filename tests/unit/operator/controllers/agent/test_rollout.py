"""Where a rollout that fails stops, over frozen worlds."""

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
BRAKED = {"stateful_set": rolling_out(partition=2)}


@pytest.mark.parametrize(
    ("observed", "expected"),
    [
        pytest.param(a_rollout(*OTHERS, STARTING), 0, id="on its way"),
        pytest.param(a_rollout(*OTHERS, CRASHING), 2, id="the first new pod crashes"),
        pytest.param(a_rollout(*OTHERS, CRASHING, **BRAKED), 2, id="it still does"),
        pytest.param(a_rollout(*OTHERS, STARTING, **BRAKED), 2, id="it runs for a moment"),
        pytest.param(
            a_rollout(*OTHERS, STARTING, unavailable_since=NOW - timedelta(minutes=11)),
            2,
            id="it is not ready for too long",
        ),
        pytest.param(
            a_rollout(*OTHERS, a_pod_of(2, revision="momentum-3"), **BRAKED),
            2,
            id="a spec that may mend it is not tried yet",
        ),
        pytest.param(
            a_rollout(*OTHERS, a_pod_of(2, revision=NEW), **BRAKED), 0, id="the first pod is well"
        ),
        pytest.param(a_rollout(*OTHERS, **BRAKED), 2, id="the first pod is being made"),
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
            id="not seen by its controller yet",
        ),
        pytest.param(
            a_rollout(*OTHERS, a_pod_of(2, revision=NEW, ready=False, deleting=True)),
            0,
            id="a new pod is ending",
        ),
    ],
)
def test_a_rollout_that_fails_is_stopped_and_goes_on_when_mended(observed, expected):
    assert rollout.partition(observed) == expected


def test_without_a_workload_nothing_is_stopped():
    assert rollout.partition(replace(a_rollout(), children={})) == 0


def test_the_brake_is_the_partition_of_the_workload_and_there_is_none_otherwise():
    def strategy(observed):
        agent = effective_agent(observed, observed.agent)
        return children(agent, Defaults(image="agent:1"), NO_CONNECTION)[-1]["spec"][
            "updateStrategy"
        ]

    stopped = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    assert strategy(a_rollout(*OTHERS, CRASHING)) == stopped
    assert strategy(a_rollout(*OTHERS, STARTING)) == {"type": "RollingUpdate"}
