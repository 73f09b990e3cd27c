import re
from collections import Counter
from dataclasses import replace

import pytest
from datadog_api_client.v1.model.dashboard import Dashboard
from datadog_api_client.v1.model.logs_index import LogsIndex
from datadog_api_client.v1.model.logs_indexes_order import LogsIndexesOrder
from datadog_api_client.v1.model.logs_pipeline import LogsPipeline
from datadog_api_client.v1.model.monitor import Monitor
from datadog_api_client.v1.model.notebook_create_request import NotebookCreateRequest
from datadog_api_client.v1.model.service_level_objective_request import (
    ServiceLevelObjectiveRequest,
)
from datadog_api_client.v2.model.metric_tag_configuration_create_request import (
    MetricTagConfigurationCreateRequest,
)
from datadog_api_client.v2.model.sensitive_data_scanner_group_create_request import (
    SensitiveDataScannerGroupCreateRequest,
)
from datadog_api_client.v2.model.sensitive_data_scanner_rule_create_request import (
    SensitiveDataScannerRuleCreateRequest,
)

from purpleflea_operator.api.observability import Notifications
from purpleflea_operator.api.thresholds import LEVELS, Balance, Drawdown, Thresholds
from purpleflea_operator.datadog.definitions import catalog, dashboard
from purpleflea_operator.datadog.definitions.monitor_builder import check_levels
from purpleflea_operator.datadog.definitions.objects import (
    ORGANIZATION_SCANNER,
    Definition,
    ObjectKind,
    Reference,
    resolved,
)
from purpleflea_operator.datadog.definitions.parameters import (
    Feature,
    Parameters,
    notifications,
)
from purpleflea_sandbox.datadog.queries import read, tree
from support import datadog_models

MODELS = {
    ObjectKind.MONITOR: Monitor,
    ObjectKind.SLO: ServiceLevelObjectiveRequest,
    ObjectKind.DASHBOARD: Dashboard,
    ObjectKind.LOG_PIPELINE: LogsPipeline,
    ObjectKind.LOG_INDEX: LogsIndex,
    ObjectKind.LOG_INDEX_ORDER: LogsIndexesOrder,
    ObjectKind.METRIC_TAGS: MetricTagConfigurationCreateRequest,
    ObjectKind.SCANNER_GROUP: SensitiveDataScannerGroupCreateRequest,
    ObjectKind.SCANNER_RULE: SensitiveDataScannerRuleCreateRequest,
    ObjectKind.NOTEBOOK: NotebookCreateRequest,
}
EVERYTHING = catalog.everything(Parameters())
MONITORS = [item for item in EVERYTHING if item.kind is ObjectKind.MONITOR]


def by_name(item):
    return f"{item.kind}-{item.key}" if isinstance(item, Definition) else None


def created(definition):
    return resolved(definition, dict.fromkeys(definition.references, "1234567"))


def condition_of(monitor):
    return read.condition(created(monitor)["query"], monitor.body["type"])


@pytest.mark.parametrize("definition", EVERYTHING, ids=by_name)
def test_datadogs_models_have_every_key_and_value(definition):
    assert datadog_models.faults(created(definition), MODELS[definition.kind]) == []


def test_the_comparison_detects_keys_that_the_models_ignore(parameters):
    body = dashboard.definitions(parameters)[0].body
    first = body["widgets"][0]
    first["definition"] |= {"color_preference": "background"}
    assert any("color_preference" in fault for fault in datadog_models.faults(body, Dashboard))
    broken = MONITORS[0].body | {"type": "nosuch"}
    assert datadog_models.faults(broken, Monitor) != []


def test_keys_are_unique_within_their_kind():
    seen = Counter(item.reference for item in EVERYTHING)
    assert [reference for reference, times in seen.items() if times > 1] == []


def test_referenced_objects_come_first():
    earlier = {ORGANIZATION_SCANNER}
    for item in EVERYTHING:
        assert set(item.references) <= earlier, item.key
        earlier.add(item.reference)


@pytest.mark.parametrize("definition", EVERYTHING, ids=by_name)
def test_a_body_has_the_tokens_of_its_references_and_no_others(definition):
    tokens = set(re.findall(r"<[a-z-]+:[a-z0-9-]+>", repr(definition.body)))
    assert tokens == {reference.token for reference in definition.references}
    assert not re.search(r"<[a-z-]+:[a-z0-9-]+>", repr(created(definition)))


def test_an_unknown_id_is_an_error():
    degraded = next(item for item in MONITORS if item.key == "degraded")
    with pytest.raises(KeyError):
        resolved(degraded, {degraded.references[0]: "1"})


def test_the_composite_joins_its_members_by_reference():
    degraded = next(item for item in MONITORS if item.key == "degraded")
    ids = dict(zip(degraded.references, ("11", "12"), strict=True))
    assert set(ids) == {
        Reference(kind=ObjectKind.MONITOR, key="api-error-rate"),
        Reference(kind=ObjectKind.MONITOR, key="order-latency-p95"),
    }
    joined = read.condition(resolved(degraded, ids)["query"], "composite")
    assert joined == tree.Joined("&&", tree.Member("11"), tree.Member("12"))


def test_the_members_of_the_composite_have_the_same_groups():
    groups = {
        leaf.by
        for item in MONITORS
        if item.key in ("api-error-rate", "order-latency-p95")
        for leaf in tree.leaves(condition_of(item).expression)
    }
    assert groups == {("agent_id",)}


@pytest.mark.parametrize("monitor", MONITORS, ids=by_name)
def test_thresholds_agree_with_the_query(monitor):
    condition = condition_of(monitor)
    if isinstance(condition, tree.Joined | tree.Negated):
        assert "thresholds" not in monitor.body["options"]
        return
    thresholds = monitor.body["options"]["thresholds"]
    assert condition.comparison.threshold == thresholds["critical"]
    levels = [thresholds[name] for name in LEVELS if name in thresholds]
    falling = condition.comparison.operator.startswith(">")
    assert levels == sorted(levels, reverse=falling)
    if "critical_recovery" in thresholds:
        assert thresholds["critical_recovery"] != thresholds["critical"]


@pytest.mark.parametrize("monitor", MONITORS, ids=by_name)
def test_a_metric_monitor_with_a_warning_has_recovery_levels(monitor):
    thresholds = monitor.body["options"].get("thresholds", {})
    if monitor.body["type"] == "query alert" and "warning" in thresholds:
        assert {"critical_recovery", "warning_recovery"} <= set(thresholds)
    if monitor.body["type"] == "log alert":
        assert not {"critical_recovery", "warning_recovery"} & set(thresholds)


@pytest.mark.parametrize("monitor", MONITORS, ids=by_name)
def test_a_monitor_names_an_existing_runbook_and_a_recipient(monitor, repository):
    message = monitor.body["message"]
    name = re.search(r"Runbook: \S+/([a-z0-9-]+\.md)$", message)
    assert name, message
    assert (repository / "docs" / "runbooks" / name[1]).is_file()
    assert ("@slack-" in message) == (monitor.key not in ONLY_PARTS)
    opened = re.findall(r"{{#(\w+)}}", message)
    assert opened == re.findall(r"{{/(\w+)}}", message)
    missing = str(monitor.body["options"].get("on_missing_data", ""))
    assert ("is_no_data" in opened) == (missing == "show_and_notify_no_data")


def test_only_alerts_about_money_start_a_workflow_that_halts(parameters):
    halting = notifications(Notifications(halt=("workflow:halt-agent",)))
    bodies = {
        item.key: item.body["message"]
        for item in catalog.everything(replace(parameters, notifications=halting))
        if item.kind is ObjectKind.MONITOR
    }
    started = '@workflow-halt-agent(agent_id="{{agent_id.name}}")'
    assert {key for key, message in bodies.items() if started in message} == {
        "drawdown",
        "position-mismatch",
    }
    for key in ("drawdown", "position-mismatch"):
        assert bodies[key].count(started) == 1
        assert started in bodies[key].split("{{/is_alert}}")[0]


ONLY_PARTS = {"wallet-balance", "wallet-unfunded"}
"""Members of a composite that notifies in their place."""


@pytest.mark.parametrize("monitor", MONITORS, ids=by_name)
def test_a_recovery_is_announced_only_after_an_alert(monitor):
    message = monitor.body["message"]
    assert not re.search(r"is_(warning_)?recovery", message)
    if monitor.key in ONLY_PARTS:
        return
    recovery = re.search(r"{{#is_alert_recovery}}\n(.*?)\n@", message, re.DOTALL)
    assert recovery
    assert len(recovery[1]) > 20
    can_warn = "warning" in monitor.body["options"].get("thresholds", {})
    assert ("is_alert_to_warning" in message) == (can_warn or monitor.body["type"] == "composite")


@pytest.mark.parametrize("monitor", MONITORS, ids=by_name)
def test_a_group_that_is_gone_does_not_stay_in_alert(monitor):
    """A count without data is zero. Any other metric monitor resolves after a time without data."""
    options = monitor.body["options"]
    if monitor.body["type"] == "query alert":
        assert 1 <= options["timeout_h"] <= 24
        assert not ("on_missing_data" in options and "notify_no_data" in options)
    if monitor.body["type"] == "log alert":
        assert options["on_missing_data"] == "default"


def test_every_runbook_has_a_monitor(repository):
    pages = {path.stem for path in (repository / "docs" / "runbooks").glob("*.md")} - {"README"}
    linked = {re.search(r"([a-z0-9-]+)\.md$", monitor.body["message"])[1] for monitor in MONITORS}
    assert pages == linked
    listed = (repository / "docs" / "runbooks" / "README.md").read_text()
    assert [page for page in pages if f"]({page}.md)" not in listed] == []


def test_only_monitors_on_traces_and_on_the_operator_have_other_groups_than_agents():
    other = {}
    for monitor in MONITORS:
        match condition_of(monitor):
            case tree.MetricCondition(expression=expression):
                groups = {leaf.by for leaf in tree.leaves(expression)}
            case tree.LogCondition(by=by):
                groups = {by}
            case _:
                continue
        if groups != {("agent_id",)}:
            other[monitor.key] = groups
    # Trace metrics have no agent_id, so this monitor is about the exchange and not about an agent.
    assert other == {
        "order-span-p95": {()},
        "halted": {("kube_cluster_name",)},
        "operator-silent": {("kube_cluster_name",)},
    }


def test_the_published_thresholds_are_the_defaults():
    thresholds = {item.key: item.body["options"].get("thresholds") for item in MONITORS}
    assert thresholds["drawdown"] == {
        "critical": 15,
        "critical_recovery": 8,
        "warning": 8,
        "warning_recovery": 6,
    }
    assert thresholds["wallet-balance"]["critical"] == 50
    assert thresholds["wallet-balance"]["warning"] == 200
    assert thresholds["api-error-rate"]["critical"] == 5
    assert thresholds["order-latency-p95"]["critical"] == 1000
    assert thresholds["escrow-failures"]["critical"] == 5


@pytest.mark.parametrize(
    ("drawdown", "wrong"),
    [
        (Drawdown(critical=15, warning=20), "warning"),
        (Drawdown(critical=15, critical_recovery=15), "critical_recovery"),
        (Drawdown(critical=15, critical_recovery=5, warning=8), "warning"),
        (Drawdown(critical=15, warning=8, warning_recovery=9), "warning_recovery"),
    ],
)
def test_contradicting_thresholds_are_refused_by_name(parameters, drawdown, wrong):
    with pytest.raises(ValueError, match=rf"drawdown: .* must be above {wrong} "):
        catalog.everything(replace(parameters, thresholds=Thresholds(drawdown=drawdown)))


def test_levels_of_a_monitor_that_fires_below_must_rise(parameters):
    thresholds = Thresholds(balance=Balance(critical=70))
    refused = r"wallet-balance: critical .70. must be below critical_recovery .60."
    with pytest.raises(ValueError, match=refused):
        catalog.everything(replace(parameters, thresholds=thresholds))


@pytest.mark.parametrize(
    ("levels", "above", "side"),
    [
        ({"critical": 15, "warning": 20}, True, "above"),
        ({"critical": 15, "warning": 15}, True, "above"),
        ({"critical": 50, "warning": 40}, False, "below"),
        ({"critical": 50, "warning": 50}, False, "below"),
    ],
)
def test_levels_without_recoveries_are_checked_too(levels, above, side):
    with pytest.raises(ValueError, match=rf"m: critical .* must be {side} warning"):
        check_levels("m", levels, above=above)


@pytest.mark.parametrize("above", [True, False])
def test_only_critical_recovery_and_warning_may_be_equal(above):
    sequence = [15, 8, 8, 6] if above else [6, 8, 8, 15]
    names = ("critical", "critical_recovery", "warning", "warning_recovery")
    check_levels("m", dict(zip(names, sequence, strict=True)), above=above)


def test_anomaly_monitors_and_log_index_are_disabled_by_default(parameters):
    chosen = {item.reference for item in catalog.wanted(parameters)}
    left_out = {item.key for item in EVERYTHING if item.reference not in chosen}
    assert left_out == {"pnl-anomaly", "order-latency-anomaly", "agents", "organisation"}
    everything = replace(parameters, features=frozenset(Feature))
    assert len(catalog.wanted(everything)) == len(EVERYTHING)
    no_features = replace(parameters, features=frozenset())
    assert all(item.feature is None for item in catalog.wanted(no_features))


def test_the_log_index_comes_before_the_other_indexes():
    sequence = next(item for item in EVERYTHING if item.kind is ObjectKind.LOG_INDEX_ORDER)
    assert sequence.body == {"index_names": ["purpleflea-agents", "main"]}


def test_the_scanner_matches_keys_and_addresses_but_not_trace_ids():
    patterns = {
        item.key: item.body["data"]["attributes"]["pattern"]
        for item in EVERYTHING
        if item.kind is ObjectKind.SCANNER_RULE
    }
    address = "0x" + "aB" * 20
    assert re.search(patterns["api-keys"], "key=pf_paper_" + "0a" * 16)
    assert re.search(patterns["ethereum-addresses"], f"to {address}.")
    assert not re.search(patterns["ethereum-addresses"], "0x" + "ab" * 32)
    assert re.search(patterns["private-keys"], "0x" + "ab" * 32)
    assert re.search(patterns["bitcoin-addresses"], "bc1q" + "x" * 38)
    trace_id = "0123456789abcdef" * 2
    assert [key for key, text in patterns.items() if re.search(text, trace_id)] == []


def test_levels_without_a_warning_have_one_color():
    (item,) = dashboard.conditional_formats({"critical": 15, "critical_recovery": 8})
    assert (item.comparator, item.value, item.palette) == (">", 15, "white_on_red")


def test_the_drawdown_widget_is_colored_by_both_levels():
    levels = Parameters().thresholds.drawdown
    (board,) = dashboard.definitions(Parameters())
    formats = [
        query["conditional_formats"]
        for widget in board.body["widgets"]
        for query in widget["definition"].get("requests", ())
        if "Max drawdown" in widget["definition"].get("title", "")
    ]
    assert [[(item["comparator"], item["value"]) for item in items] for items in formats] == [
        [(">", levels.critical), (">", levels.warning)]
    ]
