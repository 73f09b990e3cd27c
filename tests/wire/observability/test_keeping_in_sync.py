"""Objects of a resource in Datadog, requests of a pass, and treatment of manual edits."""

import pytest

from support.desired_objects import METRICS, MONITORS, OBJECTS
from support.observability_scenario import NAME, NS, Scenario


def reset_counts(scenario):
    scenario.datadog.request_log.clear()
    scenario.server.clear()


def calls(scenario):
    return [(record.method, record.path) for record in scenario.datadog.request_log.writes()]


def monitor(scenario, key):
    identifier = int(scenario.record(key)["id"])
    return scenario.datadog.organisation.monitors[identifier]


async def test_a_new_resource_creates_every_object_once(scenario):
    scenario.put()
    result = await scenario.reconcile()
    assert result.requeue_after_s == 540
    organisation = scenario.datadog.organisation
    assert len(organisation.monitors) == MONITORS
    assert (len(organisation.slos), len(organisation.dashboards)) == (1, 1)
    assert (len(organisation.logs.pipelines), len(organisation.notebooks)) == (1, 1)
    assert len(organisation.metric_tags) == METRICS
    assert (len(organisation.scanner.groups), len(organisation.scanner.rules)) == (1, 5)
    assert len(scenario.datadog.request_log.writes()) == OBJECTS
    assert scenario.condition("Ready")["status"] == "True"
    assert scenario.condition("Degraded")["status"] == "False"
    assert (scenario.status["wanted"], scenario.status["inSync"]) == (OBJECTS, OBJECTS)
    assert scenario.record("drawdown")["link"].endswith(
        f"/monitors/{scenario.record('drawdown')['id']}"
    )


async def test_every_taggable_object_has_the_uid(scenario):
    scenario.put()
    await scenario.reconcile()
    organisation = scenario.datadog.organisation
    tagged = [one.tags for one in organisation.monitors.values()]
    tagged += [slo["tags"] for slo in organisation.slos.values()]
    tagged += [pipeline["tags"] for pipeline in organisation.logs.pipelines.values()]
    assert len(tagged) == MONITORS + 2
    assert all("purpleflea-uid:pfo-uid" in tags for tags in tagged)
    (dashboard,) = organisation.dashboards.values()
    assert "purpleflea-uid:pfo-uid" in dashboard["description"]


async def test_the_composite_refers_to_its_members_by_id(scenario):
    scenario.put()
    await scenario.reconcile()
    members = [scenario.record(key)["id"] for key in ("api-error-rate", "order-latency-p95")]
    assert monitor(scenario, "degraded").definition["query"] == " && ".join(members)


async def test_a_pass_over_objects_in_sync_writes_nothing_and_reads_at_most_twelve_times(scenario):
    scenario.put(features={"logIndex": True, "anomalies": True})
    await scenario.reconcile()
    reset_counts(scenario)
    await scenario.reconcile()
    assert calls(scenario) == []
    assert scenario.server.writes() == []
    assert len(scenario.datadog.request_log.reads()) <= 12


@pytest.mark.parametrize("agents", [3, 1000])
async def test_the_number_of_agents_affects_neither_objects_nor_requests(agents):
    async with Scenario() as scenario:
        scenario.report_metrics()
        for number in range(agents):
            tags = [f"agent_id:momentum-{number}"]
            scenario.datadog.report("agent.heartbeat", "count", tags)
        scenario.put()
        await scenario.reconcile()
        assert len(scenario.datadog.request_log.writes()) == OBJECTS
        reset_counts(scenario)
        await scenario.reconcile()
        assert (len(scenario.datadog.request_log.reads()), calls(scenario)) == (9, [])


async def test_a_changed_threshold_costs_one_write_per_object_that_uses_it(scenario):
    scenario.put()
    await scenario.reconcile()
    reset_counts(scenario)
    scenario.put(thresholds={"drawdown": {"critical": 25}})
    await scenario.reconcile()
    assert calls(scenario) == [
        ("PUT", f"/api/v1/monitor/{scenario.record('drawdown')['id']}"),
        # The dashboard colors the value by the same threshold.
        ("PUT", f"/api/v1/dashboard/{scenario.record('fleet', 'dashboard')['id']}"),
    ]
    assert monitor(scenario, "drawdown").definition["options"]["thresholds"]["critical"] == 25


async def test_a_metric_is_configured_after_it_has_reported():
    async with Scenario() as scenario:
        scenario.put()
        await scenario.reconcile()
        record = scenario.record("agent.order.latency_ms", "metric-tags")
        assert (record["state"], record["lastError"]) == (
            "Waiting",
            "the metric has not reported yet",
        )
        assert scenario.condition("Ready")["status"] == "True"
        reset_counts(scenario)
        await scenario.reconcile()
        assert calls(scenario) == []
        scenario.report_metrics(["agent.order.latency_ms"])
        await scenario.reconcile()
        assert calls(scenario) == [("POST", "/api/v2/metrics/agent.order.latency_ms/tags")]
        stored = scenario.datadog.organisation.metric_tags["agent.order.latency_ms"]
        assert stored["attributes"]["include_percentiles"] is True


async def test_reports_of_another_service_or_from_the_last_month_do_not_count():
    async with Scenario() as scenario:
        scenario.report_metrics(["agent.heartbeat"], service="another-service")
        scenario.report_metrics(["agent.order.latency_ms"])
        scenario.pass_time(31 * 86_400)
        scenario.put()
        await scenario.reconcile()
        states = {item["state"] for item in scenario.status["objects"] if "metric" in item["kind"]}
        assert states == {"Waiting"}
        scenario.report_metrics(["agent.heartbeat"])
        await scenario.reconcile()
        assert list(scenario.datadog.organisation.metric_tags) == ["agent.heartbeat"]


async def test_the_objects_of_a_disabled_feature_are_removed(scenario):
    scenario.put(features={"anomalies": True})
    await scenario.reconcile()
    assert len(scenario.datadog.organisation.monitors) == MONITORS + 2
    reset_counts(scenario)
    scenario.put(features={"anomalies": False, "scanner": False, "notebook": False})
    await scenario.reconcile()
    organisation = scenario.datadog.organisation
    assert len(organisation.monitors) == MONITORS
    assert (organisation.notebooks, organisation.scanner.groups) == ({}, {})
    assert [method for method, _ in calls(scenario)] == ["DELETE"] * 9
    kinds = {item["kind"] for item in scenario.status["objects"]}
    assert not kinds & {"notebook", "scanner-group", "scanner-rule"}


async def test_the_log_index_is_before_all_others(scenario):
    scenario.put(features={"logIndex": True})
    await scenario.reconcile()
    assert list(scenario.datadog.organisation.logs.indexes) == ["purpleflea-agents", "main"]
    scenario.datadog.organisation.logs.indexes["later"] = {
        "name": "later",
        "filter": {"query": "*"},
        "num_retention_days": 3,
    }
    reset_counts(scenario)
    await scenario.reconcile()
    assert calls(scenario) == []


async def test_a_manual_edit_is_reverted_and_reported(scenario):
    scenario.put()
    await scenario.reconcile()
    monitor(scenario, "drawdown").definition["query"] = "max(last_5m):max:x{*} > 99"
    reset_counts(scenario)
    await scenario.reconcile()
    assert len(calls(scenario)) == 1
    assert "agent.risk.max_drawdown_pct" in monitor(scenario, "drawdown").definition["query"]
    assert scenario.events()["EditsReverted"].endswith("monitor/drawdown (query)")


async def test_an_edited_dashboard_is_detected_by_its_modification_time(scenario):
    scenario.put()
    await scenario.reconcile()
    (dashboard,) = scenario.datadog.organisation.dashboards.values()
    scenario.pass_time(60)
    dashboard["widgets"].pop()
    dashboard["modified_at"] = scenario.now.isoformat(timespec="microseconds")
    await scenario.reconcile()
    assert "dashboard/fleet (widgets)" in scenario.events()["EditsReverted"]
    reset_counts(scenario)
    await scenario.reconcile()
    assert calls(scenario) == []
    assert not [
        one for one in scenario.datadog.request_log.reads() if one.path.endswith(dashboard["id"])
    ]


async def test_with_keep_an_edit_is_reported_and_kept_until_the_spec_changes(scenario):
    scenario.put(driftPolicy="Keep")
    await scenario.reconcile()
    monitor(scenario, "drawdown").definition["message"] = "my own words"
    reset_counts(scenario)
    await scenario.reconcile()
    await scenario.reconcile()
    assert calls(scenario) == []
    record = scenario.record("drawdown")
    assert (record["state"], record["change"]) == ("Edited", "message")
    assert scenario.condition("Synced")["reason"] == "Edited"
    assert scenario.condition("Ready")["status"] == "True"
    assert "monitor/drawdown (message)" in scenario.events()["SyncedEdited"]
    scenario.put(driftPolicy="Keep", thresholds={"drawdown": {"critical": 25}})
    await scenario.reconcile()
    assert [method for method, _ in calls(scenario)] == ["PUT", "PUT"]
    assert scenario.record("drawdown")["state"] == "InSync"


async def test_fields_that_datadog_adds_or_reorders_are_not_an_edit(scenario):
    scenario.put()
    await scenario.reconcile()
    definition = monitor(scenario, "drawdown").definition
    definition["tags"] = definition["tags"][::-1]
    definition["options"]["silenced"] = {}
    reset_counts(scenario)
    await scenario.reconcile()
    assert calls(scenario) == []


@pytest.mark.parametrize("policy", ["Revert", "Keep"])
async def test_a_manually_deleted_object_is_recreated(scenario, policy):
    scenario.put(driftPolicy=policy)
    await scenario.reconcile()
    before = scenario.record("drawdown")["id"]
    del scenario.datadog.organisation.monitors[int(before)]
    reset_counts(scenario)
    await scenario.reconcile()
    assert calls(scenario) == [("POST", "/api/v1/monitor")]
    assert scenario.record("drawdown")["id"] != before
    assert scenario.events()["ObjectsRemade"].endswith("monitor/drawdown")


async def test_the_composite_gets_the_new_id_of_a_recreated_member(scenario):
    scenario.put()
    await scenario.reconcile()
    # Not through the API, because Datadog refuses it while the composite exists.
    del scenario.datadog.organisation.monitors[int(scenario.record("api-error-rate")["id"])]
    await scenario.reconcile()
    assert (
        scenario.record("api-error-rate")["id"] in monitor(scenario, "degraded").definition["query"]
    )
    assert "EditsReverted" not in scenario.events()


async def test_an_object_without_its_tags_is_matched_by_its_id(scenario):
    scenario.put()
    await scenario.reconcile()
    monitor(scenario, "drawdown").definition["tags"] = []
    reset_counts(scenario)
    await scenario.reconcile()
    assert [method for method, _ in calls(scenario)] == ["PUT"]
    assert len(scenario.datadog.organisation.monitors) == MONITORS


async def test_mode_plan_writes_nothing_and_shows_planned_creates(scenario):
    scenario.put(mode="Plan")
    await scenario.reconcile()
    assert scenario.datadog.request_log.writes() == []
    assert "finalizers" not in scenario.resource["metadata"]
    assert scenario.record("drawdown") == {
        "kind": "monitor",
        "key": "drawdown",
        "state": "Planned",
        "change": "create",
    }
    assert scenario.condition("Synced")["reason"] == "Planned"
    assert scenario.condition("Ready")["status"] == "True"


async def test_mode_plan_shows_planned_updates_and_deletions(scenario):
    scenario.put()
    await scenario.reconcile()
    reset_counts(scenario)
    scenario.put(
        mode="Plan", thresholds={"drawdown": {"critical": 25}}, features={"notebook": False}
    )
    await scenario.reconcile()
    await scenario.reconcile()
    assert calls(scenario) == []
    assert scenario.record("drawdown")["change"].startswith("update ")
    assert "options.thresholds.critical" in scenario.record("drawdown")["change"]
    assert scenario.record("weekly-report", "notebook")["change"] == "delete"
    scenario.put(mode="Manage")
    await scenario.reconcile()
    assert [method for method, _ in calls(scenario)] == ["PUT", "PUT", "DELETE"]
    assert scenario.condition("Synced")["status"] == "True"


async def test_a_contradicting_spec_is_reported_in_one_line_and_changes_nothing(scenario):
    scenario.put()
    await scenario.reconcile()
    reset_counts(scenario)
    scenario.put(thresholds={"drawdown": {"critical": 1}})
    await scenario.reconcile()
    assert calls(scenario) == []
    condition = scenario.condition("Synced")
    assert (condition["status"], condition["reason"]) == ("False", "SpecInvalid")
    assert "drawdown: critical (1) must be above critical_recovery (8)" in condition["message"]


async def test_keys_are_never_sent_unencrypted_outside_the_cluster(scenario):
    scenario.put(url="http://datadog.example.com", allowInsecureUrl=True)
    await scenario.reconcile()
    assert "spec.url must be https" in scenario.condition("Synced")["message"]
    assert len(scenario.datadog.request_log.entries) == 0


async def test_keys_are_sent_only_to_allowed_urls(scenario):
    scenario.urls.clear()
    scenario.put()
    await scenario.reconcile()
    assert scenario.condition("Synced")["reason"] == "SpecInvalid"
    assert "chart value observability.urls" in scenario.condition("Synced")["message"]
    assert len(scenario.datadog.request_log.entries) == 0
    assert "finalizers" not in scenario.resource["metadata"]


async def test_retained_objects_are_adopted_through_the_former_uid(scenario):
    scenario.put(deletionPolicy="Retain")
    await scenario.reconcile()
    scenario.server.delete("PurpleFleaObservability", NS, NAME)
    await scenario.reconcile()
    assert len(scenario.datadog.organisation.monitors) == MONITORS
    scenario.put(uid="second-uid", adoptFrom=["pfo-uid"])
    reset_counts(scenario)
    await scenario.reconcile()
    assert not [path for method, path in calls(scenario) if method == "POST"]
    assert len(scenario.datadog.organisation.monitors) == MONITORS
    assert "purpleflea-uid:second-uid" in monitor(scenario, "drawdown").tags
    assert scenario.condition("Ready")["status"] == "True"
