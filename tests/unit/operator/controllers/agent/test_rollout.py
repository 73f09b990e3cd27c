"""Where a rollout that fails stops, over frozen worlds."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.controllers.agent.decisions import rollout
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState, pod
from purpleflea_operator.controllers.agent.decisions.rollout import effective_agent
from purpleflea_operator.datadog.detection.connection import NO_CONNECTION
from purpleflea_operator.manifests.children import children
from purpleflea_operator.manifests.metadata import Agent, Defaults
from support.builders import a_pod, a_spec

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)
OLD, NEW = "momentum-1", "momentum-2"


def a_pod_of(number, *, revision=OLD, **changes):
    found = a_pod(f"momentum-{number}", **changes)
    found["metadata"]["labels"]["controller-revision-hash"] = revision
    return found


def a_stateful_set(*, partition=0, current=OLD, new=NEW, observed=2):
    return {
        "kind": "StatefulSet",
        "metadata": {"name": "momentum", "generation": 2},
        "spec": {
            "replicas": 3,
            "updateStrategy": {"type": "RollingUpdate", "rollingUpdate": {"partition": partition}},
        },
        "status": {
            "replicas": 3,
            "readyReplicas": 2,
            "updatedReplicas": 1,
            "observedGeneration": observed,
            "currentRevision": current,
            "updateRevision": new,
        },
    }


def a_world(*pods, stateful_set=None, **changes):
    spec = AgentSpec.model_validate(a_spec(replicas=3))
    agent = Agent(namespace="trading", name="momentum", uid="u", generation=2, spec=spec)
    live = {("StatefulSet", "momentum"): stateful_set or a_stateful_set()}
    found = [pod(item) for item in pods]
    return ObservedState(agent=agent, generation=2, children=live, pods=found, now=NOW, **changes)


OTHERS = (a_pod_of(0), a_pod_of(1))
STARTING = a_pod_of(2, revision=NEW, ready=False)
CRASHING = a_pod_of(2, revision=NEW, ready=False, waiting="CrashLoopBackOff")
BRAKED = {"stateful_set": a_stateful_set(partition=2)}


@pytest.mark.parametrize(
    ("world", "expected"),
    [
        pytest.param(a_world(*OTHERS, STARTING), 0, id="on its way"),
        pytest.param(a_world(*OTHERS, CRASHING), 2, id="the first new pod crashes"),
        pytest.param(a_world(*OTHERS, CRASHING, **BRAKED), 2, id="it still does"),
        pytest.param(a_world(*OTHERS, STARTING, **BRAKED), 2, id="it runs for a moment"),
        pytest.param(
            a_world(*OTHERS, STARTING, unavailable_since=NOW - timedelta(minutes=11)),
            2,
            id="it is not ready for too long",
        ),
        pytest.param(
            a_world(*OTHERS, a_pod_of(2, revision="momentum-3"), **BRAKED),
            2,
            id="a spec that may mend it is not tried yet",
        ),
        pytest.param(
            a_world(*OTHERS, a_pod_of(2, revision=NEW), **BRAKED), 0, id="the first pod is well"
        ),
        pytest.param(a_world(*OTHERS, **BRAKED), 2, id="the first pod is being made"),
        pytest.param(
            a_world(
                a_pod_of(0, ready=False, waiting="CrashLoopBackOff"),
                a_pod_of(1),
                a_pod_of(2, revision=NEW),
            ),
            0,
            id="an old pod crashes",
        ),
        pytest.param(
            a_world(
                *OTHERS, CRASHING, stateful_set=a_stateful_set(partition=2, current=NEW, new=NEW)
            ),
            0,
            id="no rollout",
        ),
        pytest.param(
            a_world(*OTHERS, CRASHING, stateful_set=a_stateful_set(partition=1, observed=1)),
            1,
            id="not seen by its controller yet",
        ),
        pytest.param(
            a_world(*OTHERS, a_pod_of(2, revision=NEW, ready=False, deleting=True)),
            0,
            id="a new pod is ending",
        ),
    ],
)
def test_a_rollout_that_fails_is_stopped_and_goes_on_when_mended(world, expected):
    assert rollout.partition(world) == expected


def test_without_a_workload_nothing_is_stopped():
    assert rollout.partition(replace(a_world(), children={})) == 0


def test_the_brake_is_the_partition_of_the_workload_and_there_is_none_otherwise():
    def strategy(world):
        agent = effective_agent(world, world.agent)
        return children(agent, Defaults(image="agent:1"), NO_CONNECTION)[-1]["spec"][
            "updateStrategy"
        ]

    stopped = {"type": "RollingUpdate", "rollingUpdate": {"partition": 2}}
    assert strategy(a_world(*OTHERS, CRASHING)) == stopped
    assert strategy(a_world(*OTHERS, STARTING)) == {"type": "RollingUpdate"}
