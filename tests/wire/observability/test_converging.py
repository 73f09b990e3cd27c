"""The second pass over unchanged objects writes nothing, however Datadog writes the fields of a request."""

import pytest

from purpleflea_operator.datadog.definitions.objects import ObjectKind
from support.observability_scenario import NAME, NS, Scenario
from support.rewriting_client import RewritingClient

ALL_FEATURES = {"logIndex": True, "anomalies": True}
LATER = "2026-02-02T00:00:00+00:00"
DAY_S = 86_400
FILTERS = [{"name": "health", "is_enabled": True, "filter": {"query": "x", "sample_rate": 1.0}}]


def deep(change):
    """Return a rewrite that applies `change` to each field of each object, from the inside to the outside."""

    def rewritten(value):
        match value:
            case dict():
                return dict(change(name, rewritten(inner)) for name, inner in value.items())
            case list():
                return [rewritten(inner) for inner in value]
            case _:
                return value

    return lambda _, body: {name: value for name, value in rewritten(body).items() if name}


def is_empty(value):
    return value is None or value is False or value in ("", [], {})


def omit_if(condition):
    return deep(lambda name, value: ("", None) if condition(name, value) else (name, value))


def replace_field(wanted, function):
    return deep(lambda name, value: (name, function(value) if name == wanted else value))


def as_float(value):
    return float(value) if isinstance(value, int) and not isinstance(value, bool) else value


def as_integer(value):
    return int(value) if isinstance(value, float) and value.is_integer() else value


ZERO_OPTIONS = ("renotify_interval", "evaluation_delay", "timeout_h", "renotify_occurrences")
REWRITES = {
    "unchanged": lambda _, body: body,
    "tags in another sequence": replace_field("tags", lambda tags: list(reversed(tags or ()))),
    "sets in another sequence": replace_field("product_list", lambda items: items[::-1]),
    "whole numbers as floats": deep(lambda name, value: (name, as_float(value))),
    "floats as whole numbers": deep(lambda name, value: (name, as_integer(value))),
    "empty fields omitted": omit_if(lambda _, value: is_empty(value)),
    "empty fields as null": deep(lambda name, value: (name, None if is_empty(value) else value)),
    "0 omitted": omit_if(lambda name, value: name in ZERO_OPTIONS and not value),
    "default omitted": omit_if(lambda name, value: (name, value) == ("on_missing_data", "default")),
    "the other name of the type": replace_field(
        "type", lambda kind: "metric alert" if kind == "query alert" else kind
    ),
    "fields added": lambda _, body: {**body, "silenced": {}, "org_id": 7, "creator": {"name": "x"}},
}


def datadog_writes(scenario):
    return [(one.method, one.path) for one in scenario.datadog.request_log.writes()]


def states(scenario):
    return {f"{item['kind']}/{item['key']}": item["state"] for item in scenario.status["objects"]}


async def passes_without_writes(scenario, number=2):
    for _ in range(number):
        scenario.datadog.request_log.clear()
        await scenario.reconcile()
        assert datadog_writes(scenario) == []
    assert set(states(scenario).values()) == {"InSync"}
    scenario.server.clear()
    await scenario.reconcile()
    assert scenario.server.writes() == []


@pytest.mark.parametrize("name", REWRITES)
async def test_a_second_pass_writes_nothing(scenario, name):
    scenario.put(features=ALL_FEATURES, renotifyMinutes=0)
    await scenario.reconcile()
    kinds = {item["kind"] for item in scenario.status["objects"]}
    assert kinds == {str(kind) for kind in ObjectKind} - {"scanner"}
    scenario.wrap_client = lambda client: RewritingClient(client, REWRITES[name])
    for dashboard in scenario.datadog.organisation.dashboards.values():
        # A dashboard is read only if it has changed since the last pass.
        dashboard["modified_at"] = LATER
    await passes_without_writes(scenario)


EXACT = (1_000_000, 12.345678, 1e-7, 1e-9, 0.1 + 0.2, 999_999_999.999, 123_456_789.123456, 7)


@pytest.mark.parametrize("level", EXACT)
async def test_every_accepted_level_is_written_exactly(scenario, level):
    levels = {"critical": level, "warning": level / 2}
    recoveries = {"criticalRecovery": level / 1.5, "warningRecovery": level / 4}
    scenario.put(
        thresholds={
            "orderLatency": levels | recoveries,
            "orderSpan": levels | recoveries,
            "droppedTelemetry": levels | recoveries,
            "escrowFailures": levels,
            "heartbeat": {"critical": level},
            "balance": {
                "critical": level / 4,
                "criticalRecovery": level / 2,
                "warning": level / 1.5,
                "warningRecovery": level,
            },
        },
        objective={"fastBurn": {"rate": 99.123456789}, "slowBurn": {"rate": 1.0000001}},
    )
    await scenario.reconcile()
    await passes_without_writes(scenario)


async def test_levels_of_zero_are_written_exactly(scenario):
    scenario.put(
        thresholds={
            "errorRate": {"critical": 3, "criticalRecovery": 1, "warning": 1, "warningRecovery": 0},
            "escrowFailures": {"critical": 1, "warning": 0},
        }
    )
    await scenario.reconcile()
    await passes_without_writes(scenario)


@pytest.mark.parametrize("value", ["a__b", "prod.eu/west-1", "x_1"])
async def test_tags_are_sent_in_the_form_that_datadog_stores(scenario, value):
    scenario.report_metrics(service=value)
    scenario.put(env=value, service=value, team=value, features=ALL_FEATURES)
    await scenario.reconcile()
    await passes_without_writes(scenario)
    identifier = int(scenario.record("drawdown")["id"])
    query = scenario.datadog.organisation.monitors[identifier].definition["query"]
    assert f"env:{value.replace('__', '_')}," in query


async def test_objects_of_a_uid_in_upper_case_are_adopted(scenario):
    scenario.put(deletionPolicy="Retain")
    await scenario.reconcile()
    scenario.server.delete("PurpleFleaObservability", NS, NAME)
    await scenario.reconcile()
    scenario.put(uid="second-uid", adoptFrom=["PFO-UID"])
    scenario.datadog.request_log.clear()
    await scenario.reconcile()
    assert {method for method, _ in datadog_writes(scenario)} == {"PUT", "PATCH"}
    await passes_without_writes(scenario)


class TestMetricConfigurations:
    """Lists show only metrics that report, in windows of different lengths."""

    @pytest.mark.parametrize("silent_days", [0.1, 1.5, 29, 31, 400])
    async def test_configurations_of_silent_metrics_are_kept(self, scenario, silent_days):
        scenario.put()
        await scenario.reconcile()
        scenario.pass_time(silent_days * DAY_S)
        await passes_without_writes(scenario)
        scenario.report_metrics()
        await passes_without_writes(scenario)
        assert not [item for item in scenario.status["objects"] if item.get("adopted")]
        scenario.server.delete("PurpleFleaObservability", NS, NAME)
        await scenario.reconcile()
        assert scenario.datadog.organisation.metric_tags == {}

    async def test_a_configuration_that_the_list_omits_is_not_created_again(self, scenario):
        scenario.put()
        await scenario.reconcile()
        omitted = {ObjectKind.METRIC_TAGS}
        scenario.wrap_client = lambda client: RewritingClient(client, omitted=omitted)
        await passes_without_writes(scenario)
        assert scenario.record("agent.heartbeat", "metric-tags")["id"] == "agent.heartbeat"

    async def test_a_conflict_leads_to_a_read_and_keeps_the_origin(
        self, scenario, failing_reconcile
    ):
        scenario.put()
        await scenario.reconcile()
        hidden = {"omitted": {ObjectKind.METRIC_TAGS}, "unreadable": {ObjectKind.METRIC_TAGS}}
        scenario.wrap_client = lambda client: RewritingClient(client, **hidden)
        assert await failing_reconcile() == 10
        record = scenario.record("agent.heartbeat", "metric-tags")
        assert (record["state"], "id" in record) == ("Creating", False)
        assert "conflicts with existing tag configuration" in record["lastError"]
        scenario.wrap_client = lambda client: client
        await scenario.reconcile_until_done()
        await passes_without_writes(scenario)
        assert "adopted" not in scenario.record("agent.heartbeat", "metric-tags")

    @pytest.mark.parametrize(
        ("tags", "state"), [(None, "InSync"), (["env"], "Failed")], ids=["equal", "different"]
    )
    async def test_a_foreign_configuration_that_the_list_omits_is_never_changed(
        self, scenario, tags, state
    ):
        scenario.put()
        await scenario.reconcile()
        stored = scenario.datadog.organisation.metric_tags["agent.heartbeat"]
        if tags is not None:
            stored["attributes"]["tags"] = tags
        scenario.server.put({**scenario.resource, "status": {}})
        omitted = {ObjectKind.METRIC_TAGS}
        scenario.wrap_client = lambda client: RewritingClient(client, omitted=omitted)
        await scenario.reconcile()
        record = scenario.record("agent.heartbeat", "metric-tags")
        assert record["state"] == state
        before = dict(stored["attributes"])
        scenario.server.delete("PurpleFleaObservability", NS, NAME)
        scenario.wrap_client = lambda client: client
        await scenario.reconcile()
        assert scenario.datadog.organisation.metric_tags["agent.heartbeat"]["attributes"] == before


class TestLogIndex:
    """Settings that users add to the index are kept, and its limit is enforced."""

    @pytest.fixture
    async def index(self, scenario):
        scenario.put(features=ALL_FEATURES)
        await scenario.reconcile()
        return scenario.datadog.organisation.logs.indexes["purpleflea-agents"]

    async def test_an_exclusion_filter_is_kept_and_shown(self, scenario, index):
        index["exclusion_filters"] = FILTERS
        await scenario.reconcile()
        await passes_without_writes(scenario)
        record = scenario.record("agents", "log-index")
        assert record["change"] == "kept, although not in the spec: exclusion_filters"

    @pytest.mark.parametrize(
        ("edit", "path"),
        [
            ({"daily_limit": None}, "daily_limit"),
            ({"daily_limit": 5}, "daily_limit"),
            ({"num_retention_days": 3}, "num_retention_days"),
            ({"filter": {"query": "*"}}, "filter.query"),
        ],
    )
    async def test_drift_is_reverted_and_filters_survive(self, scenario, index, edit, path):
        reset = {"reset_time": "10:00", "reset_utc_offset": "+02:00"}
        index |= {"exclusion_filters": FILTERS, "daily_limit_reset": reset, **edit}
        await scenario.reconcile()
        stored = scenario.datadog.organisation.logs.indexes["purpleflea-agents"]
        assert stored["daily_limit"] == 5_000_000
        assert (stored["num_retention_days"], stored["exclusion_filters"]) == (15, FILTERS)
        assert stored["daily_limit_reset"] == reset
        assert f"log-index/agents ({path})" in scenario.events()["EditsReverted"]
        await passes_without_writes(scenario)

    async def test_with_keep_a_disabled_limit_is_shown(self, scenario, index):
        scenario.put(features=ALL_FEATURES, driftPolicy="Keep")
        await scenario.reconcile()
        index["daily_limit"] = None
        await scenario.reconcile()
        record = scenario.record("agents", "log-index")
        assert (record["state"], record["change"]) == ("Edited", "daily_limit")
        assert index["daily_limit"] is None


async def test_lists_that_users_set_on_the_dashboard_survive_an_update(scenario):
    scenario.put()
    await scenario.reconcile()
    (dashboard,) = scenario.datadog.organisation.dashboards.values()
    dashboard |= {"notify_list": ["a@example.com"], "title": "Mine", "modified_at": LATER}
    await scenario.reconcile()
    (dashboard,) = scenario.datadog.organisation.dashboards.values()
    assert (dashboard["title"], dashboard["notify_list"]) == (
        "Purple Flea agent fleet",
        ["a@example.com"],
    )
    await passes_without_writes(scenario)


async def test_a_pass_costs_at_most_twelve_reads_while_all_agents_are_silent():
    async with Scenario() as scenario:
        scenario.report_metrics()
        scenario.put(features=ALL_FEATURES)
        await scenario.reconcile()
        scenario.pass_time(40 * DAY_S)
        await scenario.reconcile()
        scenario.datadog.request_log.clear()
        scenario.pass_time(600)
        await scenario.reconcile()
        assert len(scenario.datadog.request_log.reads()) <= 13
