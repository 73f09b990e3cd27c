"""The budget of custom metrics: estimate, condition, status."""

from datetime import UTC, datetime

import pytest

from purpleflea_contract.cardinality import Sending, per_agent
from purpleflea_operator.api.agent import AgentSpec
from purpleflea_operator.controllers.agent.conditions.summary import findings
from purpleflea_operator.controllers.agent.conditions.within_budget import within_budget
from purpleflea_operator.controllers.agent.decisions.metrics_budget import estimated
from purpleflea_operator.controllers.agent.decisions.observed_state import ObservedState
from purpleflea_operator.controllers.agent.decisions.status import next_status
from purpleflea_operator.manifests.metadata import Agent
from support.builders import a_spec


def a_world(**changes):
    spec = AgentSpec.model_validate(a_spec(**changes))
    agent = Agent(namespace="trading", name="momentum", uid="u", generation=1, spec=spec)
    return ObservedState(agent=agent, generation=1)


def status_of(world, current=None):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return next_status(current or {}, world, findings(world), name="momentum", now=now)


def test_the_estimate_is_of_all_identities_together():
    markets = ["BTC-USD", "ETH-USD"]
    spec = a_world(replicas=3, markets=markets).agent.spec
    assert estimated(spec) == 3 * per_agent(Sending(markets=2))


@pytest.mark.parametrize(
    ("datadog", "sending"),
    [
        ({"legacyHistograms": True}, {"histograms": True}),
        ({"apm": {"runtimeMetrics": True}}, {"runtime": True}),
        ({"check": {"enabled": True}}, {"check": True}),
        ({"openMetrics": {"enabled": True}}, {"open_metrics": True}),
    ],
)
def test_what_the_spec_switches_on_is_in_the_estimate(datadog, sending):
    spec = a_world(datadog=datadog).agent.spec
    assert estimated(spec) == per_agent(Sending(markets=1, **sending))


def test_agents_that_send_nothing_cost_nothing():
    assert estimated(a_world(datadog={"connection": "Disabled"}).agent.spec) == 0


def test_without_a_budget_there_is_an_estimate_and_no_condition():
    world = a_world()
    assert within_budget(world) == ()
    assert status_of(world)["customMetrics"] == {"estimated": per_agent(Sending(markets=1))}


def test_more_than_the_budget_is_told_with_the_figures_and_a_remedy():
    world = a_world(replicas=10, datadog={"customMetricsBudget": 100})
    (found,) = within_budget(world)
    expected = 10 * per_agent(Sending(markets=1))
    assert (found.status, found.reason) == ("False", "BudgetExceeded")
    assert f"{expected} custom metrics are to be expected of 10 agents" in found.message
    assert "spec.datadog.customMetricsBudget" in found.message
    assert found in findings(world)
    assert status_of(world)["customMetrics"] == {"estimated": expected, "budget": 100}


def test_exactly_the_budget_is_within_it():
    exact = per_agent(Sending(markets=1))
    (found,) = within_budget(a_world(datadog={"customMetricsBudget": exact}))
    assert (found.status, found.reason) == ("True", "WithinBudget")


def test_too_many_custom_metrics_do_not_make_agents_unready():
    world = a_world(replicas=10, datadog={"customMetricsBudget": 1})
    ready = next(item for item in findings(world) if item.type == "Ready")
    assert ready.reason != "BudgetExceeded"


def test_an_invalid_spec_keeps_the_estimate_of_what_runs():
    world = ObservedState(agent=None, generation=2, invalid="spec.strategy: wrong")
    known = {"customMetrics": {"estimated": 54}}
    assert status_of(world, known)["customMetrics"] == {"estimated": 54}
    assert "customMetrics" not in status_of(world)
    assert within_budget(world) == ()
