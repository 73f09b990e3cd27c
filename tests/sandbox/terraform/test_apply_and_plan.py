"""After an apply with the real provider, a plan is empty, and a destroy leaves nothing.

These tests run only if PURPLEFLEA_TF_PROVIDER names a provider binary. The form of the generated texts is tested
without it in tests/unit/operator/datadog/definitions/test_terraform.py.
"""

import itertools

import pytest

from purpleflea_contract.metrics import METRICS
from support import terraform
from support.datadog_api import DatadogApi
from support.observability_scenario import SERVICE, TYPES
from support.terraform import TerraformFolder

pytestmark = [
    pytest.mark.timeout(1200),
    pytest.mark.skipif(
        not (terraform.PROVIDER and terraform.PROGRAM),
        reason="needs terraform and a provider binary in PURPLEFLEA_TF_PROVIDER",
    ),
]
EXACT = {
    "order_latency": {
        "critical": 1_000_000,
        "critical_recovery": 12.345678,
        "warning": 1.5,
        "warning_recovery": 0.0000001,
    },
    "objective": {"target": 99.95, "warning": 99.99},
    "fast_burn": {"rate": 1000, "long_window": "2h", "short_window": "10m"},
    "env": "prod_eu/1",
    "renotify_minutes": 0,
}
EVERYTHING = {
    "features": {"metrics": True, "anomalies": True, "log_index": True, "scanner": True},
    "log_index": {"name": "agents", "others": ["main"]},
}


@pytest.fixture
def api():
    """An organization with one log index."""
    with DatadogApi() as running:
        index = {"name": "main", "filter": {"query": "*"}, "exclusion_filters": []}
        running.organisation.logs.indexes["main"] = index
        yield running


@pytest.fixture
def folder(api, tmp_path, repository):
    return TerraformFolder(tmp_path, repository / "observability" / "terraform", api.url)


@pytest.mark.parametrize(
    "variables", [{}, EXACT, EVERYTHING], ids=["defaults", "exact-numbers", "everything"]
)
def test_a_plan_after_an_apply_is_empty(api, folder, variables):
    if variables is EVERYTHING:
        for metric in METRICS:
            api.report(metric.name, TYPES[metric.type.value], [f"service:{SERVICE}"])
    folder.configure(**variables)
    folder.validate()
    folder.apply()
    has_changes, text = folder.plan()
    assert not has_changes, text
    assert api.organisation.scanner.groups
    folder.destroy()
    organisation = api.organisation
    assert not organisation.monitors
    assert not organisation.dashboards
    assert not organisation.metric_tags
    assert list(organisation.logs.indexes) == ["main"]


OPTIONS = {
    "env": {"env": "staging/eu-1"},
    "service": {"service": "other.agent"},
    "team": {"team": "desk_2"},
    "currency": {"currency": "usdt"},
    "runbooks_url": {"runbooks_url": "https://wiki.example.com/a%20b/$x"},
    "renotify_minutes": {"renotify_minutes": 1440},
    "drawdown": {"drawdown": {"critical": 99.5, "critical_recovery": 12.345678}},
    "balance": {"balance": {"critical": 0.000001, "critical_recovery": 0.000002}},
    "error_rate": {"error_rate": {"critical": 99.999999}},
    "order_latency": {"order_latency": {"window": "1h"}},
    "escrow_failures": {"escrow_failures": {"critical": 1_000_000_000}},
    "heartbeat": {"heartbeat": {"window": "24h"}},
    "halted": {"halted": {"critical": 168.5}},
    "operator_silent": {"operator_silent": {"window": "24h"}},
    "objective": {"objective": {"target": 99.999, "warning": 99.9999}},
    "slow_burn": {"slow_burn": {"rate": 1.000001}},
    "notifications": {
        "notifications": {
            "paging": ["@slack-a-b", "@pagerduty-x", "@oncall-y", "@a@example.com"],
            "trading": [],
            "infrastructure": ["@webhook-h"],
            "halt": ['@workflow-halt-agent(agent_id="{{agent_id.name}}")'],
        }
    },
}
FEATURES = ("anomalies", "log_index", "metrics", "scanner")


def test_a_plan_is_empty_after_each_combination_of_features(api, folder):
    for metric in METRICS:
        api.report(metric.name, TYPES[metric.type.value], [f"service:{SERVICE}"])
    for chosen in itertools.product((True, False), repeat=len(FEATURES)):
        features = dict(zip(FEATURES, chosen, strict=True))
        folder.configure(features=features, log_index={"name": "agents", "others": ["main"]})
        folder.apply()
        has_changes, text = folder.plan()
        assert not has_changes, (features, text)
    folder.destroy()
    assert not api.organisation.monitors


def test_a_plan_is_empty_after_each_option(api, folder):
    for name, variables in OPTIONS.items():
        folder.configure(**variables)
        folder.apply()
        has_changes, text = folder.plan()
        assert not has_changes, (name, text)
    folder.configure(**{key: value for one in OPTIONS.values() for key, value in one.items()})
    folder.apply()
    has_changes, text = folder.plan()
    assert not has_changes, text


def test_metrics_that_never_reported_do_not_fail_a_first_apply(api, folder):
    folder.configure()
    folder.apply()
    assert api.organisation.metric_tags == {}
    for metric in METRICS:
        api.report(metric.name, TYPES[metric.type.value], [f"service:{SERVICE}"])
    folder.configure(features={"metrics": True})
    folder.apply()
    assert len(api.organisation.metric_tags) == len(METRICS)
    assert not folder.plan()[0]


def test_an_edit_in_datadog_is_planned(api, folder):
    folder.configure()
    folder.apply()
    monitor = next(iter(api.organisation.monitors.values()))
    monitor.definition["message"] = "edited"
    assert folder.plan()[0]


def test_exclusion_filters_of_users_are_kept(api, folder):
    folder.configure(**{**EVERYTHING, "features": {"log_index": True}})
    folder.apply()
    filters = [{"name": "a", "is_enabled": True, "filter": {"query": "x", "sample_rate": 1.0}}]
    api.organisation.logs.indexes["agents"]["exclusion_filters"] = filters
    assert not folder.plan()[0]
    log_index = {"name": "agents", "others": ["main"], "retention_days": 7}
    folder.configure(features={"log_index": True}, log_index=log_index)
    folder.apply()
    stored = api.organisation.logs.indexes["agents"]
    assert (stored["num_retention_days"], stored["exclusion_filters"]) == (7, filters)


def test_a_burn_rate_that_is_never_exceeded_is_refused(folder):
    folder.configure(fast_burn={"rate": 100})
    with pytest.raises(AssertionError, match="Resource precondition failed"):
        folder.apply()
