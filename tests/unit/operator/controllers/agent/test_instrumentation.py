"""The choice between a DatadogInstrumentation and annotations, and the report of one that Datadog does not use."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from purpleflea_contract import kubernetes
from purpleflea_operator import timings
from purpleflea_operator.controllers.agent.decisions import instrumentation
from purpleflea_operator.controllers.agent.decisions.conditions.telemetry import telemetry_ready
from purpleflea_operator.controllers.agent.instrumentation_support import InstrumentationSupport
from purpleflea_operator.datadog.detection.connection import selected_connection
from purpleflea_operator.datadog.detection.node_agent import datadog_facts
from support.builders import a_pod
from support.installations import helm
from support.observed_states import a_stateful_set, observed_state

NOW = datetime(2026, 1, 1, tzinfo=UTC)
KIND = kubernetes.DD_INSTRUMENTATION_KIND


def stateful_set(*, instrumented):
    found = a_stateful_set(1)
    marks = {kubernetes.ANNOTATION_COLLECTION: KIND} if instrumented else {}
    found["spec"]["template"] = {"metadata": {"annotations": marks}}
    return found


def ddi(*states, age_s=0, config=("checks", "logs"), **changes):
    return {
        "kind": KIND,
        "metadata": {
            "name": "momentum",
            "creationTimestamp": (NOW - timedelta(seconds=age_s)).isoformat(),
        },
        "spec": {"config": {key: [{}] for key in config}},
        "status": {
            "conditions": [
                {"type": kind, "status": status, "message": message}
                for kind, status, message in states
            ]
        },
        **changes,
    }


def observed(*children, **changes):
    facts = datadog_facts([helm(logs=True, dogstatsd_host_port=True, apm_host_port=True)], {})
    return observed_state(
        spec={},
        pods=[a_pod("momentum-0")],
        **{
            "datadog": facts,
            "connection": selected_connection(facts, "Auto"),
            "stateful_set": stateful_set(instrumented=True),
            "children": children,
            "now": NOW,
            **changes,
        },
    )


@pytest.mark.parametrize(
    ("is_served", "live", "is_wanted"),
    [
        (True, False, True),
        (True, None, True),
        (False, True, False),
        (None, True, True),
        (None, False, False),
        (None, None, False),
    ],
)
def test_an_agent_keeps_what_it_has_while_it_is_unknown_whether_the_kind_is_served(
    is_served, live, is_wanted
):
    workload = None if live is None else stateful_set(instrumented=live)
    state = observed_state(spec={}, stateful_set=workload)
    assert instrumentation.is_wanted(state, is_served) is is_wanted


def test_a_recreated_stateful_set_counts_too():
    state = observed_state(spec={}, recreated=stateful_set(instrumented=True))
    assert instrumentation.is_wanted(state, None)


READY = (("ChecksReady", "True", ""), ("LogsReady", "True", ""))


@pytest.mark.parametrize(
    ("child", "problem", "wait_s"),
    [
        pytest.param(ddi(*READY, age_s=9_999), "", None, id="ready"),
        pytest.param(ddi(), "", 300, id="new"),
        pytest.param(ddi(age_s=299), "", 1, id="almost due"),
        pytest.param(ddi(age_s=300), "no Cluster Agent", None, id="never processed"),
        pytest.param(ddi(READY[0], age_s=301), "no Cluster Agent", None, id="logs not processed"),
        pytest.param(
            ddi(READY[0], age_s=301, config=("checks",)), "", None, id="only checks are wanted"
        ),
        pytest.param(
            ddi(("ChecksReady", "False", "targetRef is not unique"), READY[1]),
            "targetRef is not unique",
            None,
            id="refused",
        ),
        pytest.param(
            ddi(("ChecksReady", "False", "x" * 10_000), READY[1]), "x" * 200, None, id="long text"
        ),
        pytest.param(ddi(("ChecksReady", "Unknown", ""), READY[1]), "", None, id="unknown"),
        pytest.param(ddi(age_s=301, status=[]), "no Cluster Agent", None, id="odd status"),
        pytest.param(ddi(age_s=301, status={"conditions": 5}), "no Cluster", None, id="odd list"),
        pytest.param(ddi(age_s=301, spec="x"), "", None, id="odd spec"),
        pytest.param(ddi(age_s=-9_999), "", 10_299, id="clock of another host"),
    ],
)
def test_an_object_that_datadog_does_not_use_is_reported(child, problem, wait_s):
    state = observed(child)
    found = instrumentation.problem(state)
    assert problem in found
    assert bool(found) is bool(problem)
    assert len(found) < 300
    assert instrumentation.next_check_s(state) == wait_s
    finding = telemetry_ready(state)
    assert (finding.reason == "NotCollected") is bool(problem)


def test_without_one_there_is_no_problem():
    assert instrumentation.problem(observed()) == ""
    assert instrumentation.next_check_s(observed()) is None
    assert instrumentation.next_check_s(observed(ddi(), now=None)) is None


class Changes:
    def __init__(self):
        self.states = []
        self.support = InstrumentationSupport(is_enabled=True, on_change=self.note)

    def note(self):
        self.states.append(self.support.is_served)


@pytest.mark.parametrize(
    ("statuses", "is_served", "changes"),
    [
        ([], None, []),
        (["listed"], True, []),
        ([403], None, []),
        ([403, 0], True, [True]),
        (["listed", 403], None, []),
        (["listed", 403, 0], True, [True]),
        (["listed", 404, "listed"], True, [True]),
        ([404, "wait"], False, [False]),
        (["listed", 404, 404, "wait"], False, [False]),
        (["listed", 404, 403, "wait"], None, []),
        ([404, "wait", "listed"], True, [False, True]),
        ([404, "wait", 404, "wait"], False, [False]),
    ],
)
async def test_a_kind_is_removed_only_after_some_minutes(monkeypatch, statuses, is_served, changes):
    monkeypatch.setattr(timings, "KIND_REMOVED_AFTER_S", 0.0)
    seen = Changes()
    for status in statuses:
        match status:
            case "listed":
                seen.support.on_listed()
            case "wait":
                await asyncio.sleep(0)
                await asyncio.sleep(0)
            case _:
                seen.support.on_refused(status)
    assert seen.support.is_served is is_served
    assert seen.states == changes


def test_a_kind_that_is_not_used_is_never_served():
    assert InstrumentationSupport(is_enabled=False, on_change=Changes().note).is_served is False


@pytest.mark.parametrize("is_served", [True, False, None])
def test_nothing_is_written_or_deleted_of_a_kind_that_is_not_served(is_served):
    others = [{"kind": "ConfigMap"}, {"kind": KIND}]
    found = instrumentation.writable(others, is_served)
    assert [item["kind"] for item in found] == ["ConfigMap", *([KIND] if is_served else [])]
    state = observed(ddi())
    kinds = {kind for kind, _ in instrumentation.removable(state, is_served).children}
    assert kinds == {"StatefulSet", *([KIND] if is_served else [])}
