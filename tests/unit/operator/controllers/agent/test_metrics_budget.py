"""The budget of custom metrics: estimate, condition and status."""

from datetime import UTC, datetime

import pytest

from purpleflea_contract.cardinality import Sending, per_agent
from purpleflea_operator.controllers.agent.decisions.conditions.summary import findings
from purpleflea_operator.controllers.agent.decisions.conditions.within_budget import within_budget
from purpleflea_operator.controllers.agent.decisions.metrics_budget import estimated
from purpleflea_operator.controllers.agent.decisions.status import next_status
from support.observed_states import agent_value, observed_state


def with_spec(**changes):
    return observed_state(agent=agent_value(**changes))


def status_of(observed, current=None):
    now = datetime(2026, 1, 1, tzinfo=UTC)
    return next_status(current or {}, observed, findings(observed), name="momentum", now=now)


def test_the_estimate_is_of_all_identities_together():
    markets = ["BTC-USD", "ETH-USD"]
    spec = with_spec(replicas=3, markets=markets).agent.spec
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
def test_enabled_features_are_in_the_estimate(datadog, sending):
    spec = with_spec(datadog=datadog).agent.spec
    assert estimated(spec) == per_agent(Sending(markets=1, **sending))


def test_agents_that_send_nothing_cost_nothing():
    assert estimated(with_spec(datadog={"connection": "Disabled"}).agent.spec) == 0


def test_without_a_budget_there_is_an_estimate_and_no_condition():
    observed = with_spec()
    assert within_budget(observed) == ()
    assert status_of(observed)["customMetrics"] == {"estimated": per_agent(Sending(markets=1))}


def test_an_exceeded_budget_is_reported_with_figures_and_a_remedy():
    observed = with_spec(replicas=10, datadog={"customMetricsBudget": 100})
    (found,) = within_budget(observed)
    expected = 10 * per_agent(Sending(markets=1))
    assert (found.status, found.reason) == ("False", "BudgetExceeded")
    assert f"10 agents are expected to send {expected} custom metrics" in found.message
    assert "spec.datadog.customMetricsBudget" in found.message
    assert found in findings(observed)
    assert status_of(observed)["customMetrics"] == {"estimated": expected, "budget": 100}


def test_exactly_the_budget_is_within_it():
    exact = per_agent(Sending(markets=1))
    (found,) = within_budget(with_spec(datadog={"customMetricsBudget": exact}))
    assert (found.status, found.reason) == ("True", "WithinBudget")


def test_too_many_custom_metrics_do_not_make_agents_unready():
    observed = with_spec(replicas=10, datadog={"customMetricsBudget": 1})
    ready = next(item for item in findings(observed) if item.type == "Ready")
    assert ready.reason != "BudgetExceeded"


def test_an_invalid_spec_keeps_the_estimate_of_the_last_valid_version():
    observed = observed_state(agent=None, generation=2, invalid="spec.strategy: wrong")
    known = {"customMetrics": {"estimated": 54}}
    assert status_of(observed, known)["customMetrics"] == {"estimated": 54}
    assert "customMetrics" not in status_of(observed)
    assert within_budget(observed) == ()
