"""What a resource makes in Datadog, what a look costs, and what becomes of edits."""

import pytest

from support.observability_trial import NAME, NS, Trial

OBJECTS = 35


def restart_count(trial):
    trial.datadog.request_log.clear()
    trial.server.clear()


def calls(trial):
    return [(entry.method, entry.path) for entry in trial.datadog.request_log.writes()]


def monitor(trial, key):
    identifier = int(trial.entry(key)["id"])
    return trial.datadog.organisation.monitors[identifier]


async def test_a_new_resource_makes_every_object_once(trial):
    trial.put()
    result = await trial.look()
    assert result.requeue_after_s == 540
    organisation = trial.datadog.organisation
    assert len(organisation.monitors) == 11
    assert (len(organisation.slos), len(organisation.dashboards)) == (1, 1)
    assert (len(organisation.logs.pipelines), len(organisation.notebooks)) == (1, 1)
    assert len(organisation.metric_tags) == 14
    assert (len(organisation.scanner.groups), len(organisation.scanner.rules)) == (1, 5)
    assert len(trial.datadog.request_log.writes()) == OBJECTS
    assert trial.condition("Ready")["status"] == "True"
    assert trial.condition("Degraded")["status"] == "False"
    assert (trial.status["wanted"], trial.status["inSync"]) == (OBJECTS, OBJECTS)
    assert trial.entry("drawdown")["link"].endswith(f"/monitors/{trial.entry('drawdown')['id']}")


async def test_every_taggable_object_carries_the_uid(trial):
    trial.put()
    await trial.look()
    organisation = trial.datadog.organisation
    tagged = [one.tags for one in organisation.monitors.values()]
    tagged += [slo["tags"] for slo in organisation.slos.values()]
    tagged += [pipeline["tags"] for pipeline in organisation.logs.pipelines.values()]
    assert len(tagged) == 13
    assert all("purpleflea-uid:pfo-uid" in tags for tags in tagged)
    (dashboard,) = organisation.dashboards.values()
    assert "purpleflea-uid:pfo-uid" in dashboard["description"]


async def test_the_composite_names_its_members_by_their_ids(trial):
    trial.put()
    await trial.look()
    members = [trial.entry(key)["id"] for key in ("api-error-rate", "order-latency-p95")]
    assert monitor(trial, "degraded").definition["query"] == " && ".join(members)


async def test_a_look_at_what_is_right_writes_nothing_and_reads_at_most_twelve_times(trial):
    trial.put(features={"logIndex": True, "anomalies": True})
    await trial.look()
    restart_count(trial)
    await trial.look()
    assert calls(trial) == []
    assert trial.server.writes() == []
    assert len(trial.datadog.request_log.reads()) <= 12


@pytest.mark.parametrize("agents", [3, 1000])
async def test_the_number_of_agents_changes_no_number_of_objects_or_calls(agents):
    async with Trial() as trial:
        trial.report_metrics()
        for number in range(agents):
            tags = [f"agent_id:momentum-{number}"]
            trial.datadog.report("agent.heartbeat", "count", tags)
        trial.put()
        await trial.look()
        assert len(trial.datadog.request_log.writes()) == OBJECTS
        restart_count(trial)
        await trial.look()
        assert (len(trial.datadog.request_log.reads()), calls(trial)) == (9, [])


async def test_a_changed_threshold_costs_one_write_per_object_that_mentions_it(trial):
    trial.put()
    await trial.look()
    restart_count(trial)
    trial.put(thresholds={"drawdown": {"critical": 25}})
    await trial.look()
    assert calls(trial) == [
        ("PUT", f"/api/v1/monitor/{trial.entry('drawdown')['id']}"),
        # It colours the value by the same threshold.
        ("PUT", f"/api/v1/dashboard/{trial.entry('fleet', 'dashboard')['id']}"),
    ]
    assert monitor(trial, "drawdown").definition["options"]["thresholds"]["critical"] == 25


async def test_a_metric_that_has_not_reported_waits_and_is_configured_once_it_has():
    async with Trial() as trial:
        trial.put()
        await trial.look()
        entry = trial.entry("agent.order.latency_ms", "metric-tags")
        assert (entry["state"], entry["lastError"]) == (
            "Waiting",
            "the metric has not reported yet",
        )
        assert trial.condition("Ready")["status"] == "True"
        restart_count(trial)
        await trial.look()
        assert calls(trial) == []
        trial.report_metrics(["agent.order.latency_ms"])
        await trial.look()
        assert calls(trial) == [("POST", "/api/v2/metrics/agent.order.latency_ms/tags")]
        stored = trial.datadog.organisation.metric_tags["agent.order.latency_ms"]
        assert stored["attributes"]["include_percentiles"] is True


async def test_metrics_of_another_service_or_of_long_ago_have_not_reported():
    async with Trial() as trial:
        trial.report_metrics(["agent.heartbeat"], service="somebody-elses")
        trial.report_metrics(["agent.order.latency_ms"])
        trial.pass_time(2 * 86_400)
        trial.put()
        await trial.look()
        states = {item["state"] for item in trial.status["objects"] if "metric" in item["kind"]}
        assert states == {"Waiting"}
        trial.report_metrics(["agent.heartbeat"])
        await trial.look()
        assert list(trial.datadog.organisation.metric_tags) == ["agent.heartbeat"]


async def test_a_feature_that_is_left_out_again_is_removed(trial):
    trial.put(features={"anomalies": True})
    await trial.look()
    assert len(trial.datadog.organisation.monitors) == 13
    restart_count(trial)
    trial.put(features={"anomalies": False, "scanner": False, "notebook": False})
    await trial.look()
    organisation = trial.datadog.organisation
    assert len(organisation.monitors) == 11
    assert (organisation.notebooks, organisation.scanner.groups) == ({}, {})
    assert [method for method, _ in calls(trial)] == ["DELETE"] * 9
    kinds = {item["kind"] for item in trial.status["objects"]}
    assert not kinds & {"notebook", "scanner-group", "scanner-rule"}


async def test_the_log_index_goes_before_all_others(trial):
    trial.put(features={"logIndex": True})
    await trial.look()
    assert list(trial.datadog.organisation.logs.indexes) == ["purpleflea-agents", "main"]
    trial.datadog.organisation.logs.indexes["later"] = {
        "name": "later",
        "filter": {"query": "*"},
        "num_retention_days": 3,
    }
    restart_count(trial)
    await trial.look()
    assert calls(trial) == []


async def test_an_edit_by_hand_is_restored_and_told(trial):
    trial.put()
    await trial.look()
    monitor(trial, "drawdown").definition["query"] = "max(last_5m):max:x{*} > 99"
    restart_count(trial)
    await trial.look()
    assert len(calls(trial)) == 1
    assert "agent.risk.max_drawdown_pct" in monitor(trial, "drawdown").definition["query"]
    assert trial.events()["EditsReverted"].endswith("monitor/drawdown (query)")


async def test_an_edited_dashboard_is_seen_by_its_time_of_change(trial):
    trial.put()
    await trial.look()
    (dashboard,) = trial.datadog.organisation.dashboards.values()
    trial.pass_time(60)
    dashboard["widgets"].pop()
    dashboard["modified_at"] = trial.now.isoformat(timespec="microseconds")
    await trial.look()
    assert "dashboard/fleet (widgets)" in trial.events()["EditsReverted"]
    restart_count(trial)
    await trial.look()
    assert calls(trial) == []
    assert not [
        one for one in trial.datadog.request_log.reads() if one.path.endswith(dashboard["id"])
    ]


async def test_with_keep_an_edit_is_told_and_left_until_the_spec_changes(trial):
    trial.put(driftPolicy="Keep")
    await trial.look()
    monitor(trial, "drawdown").definition["message"] = "my own words"
    restart_count(trial)
    await trial.look()
    await trial.look()
    assert calls(trial) == []
    entry = trial.entry("drawdown")
    assert (entry["state"], entry["change"]) == ("Edited", "message")
    assert trial.condition("Synced")["reason"] == "Edited"
    assert trial.condition("Ready")["status"] == "True"
    assert "monitor/drawdown (message)" in trial.events()["SyncedEdited"]
    trial.put(driftPolicy="Keep", thresholds={"drawdown": {"critical": 25}})
    await trial.look()
    assert [method for method, _ in calls(trial)] == ["PUT", "PUT"]
    assert trial.entry("drawdown")["state"] == "InSync"


async def test_what_the_server_adds_and_reorders_is_no_edit(trial):
    trial.put()
    await trial.look()
    found = monitor(trial, "drawdown").definition
    found["tags"] = found["tags"][::-1]
    found["options"]["silenced"] = {}
    restart_count(trial)
    await trial.look()
    assert calls(trial) == []


@pytest.mark.parametrize("policy", ["Revert", "Keep"])
async def test_an_object_deleted_by_hand_is_made_again(trial, policy):
    trial.put(driftPolicy=policy)
    await trial.look()
    before = trial.entry("drawdown")["id"]
    del trial.datadog.organisation.monitors[int(before)]
    restart_count(trial)
    await trial.look()
    assert calls(trial) == [("POST", "/api/v1/monitor")]
    assert trial.entry("drawdown")["id"] != before
    assert trial.events()["ObjectsRemade"].endswith("monitor/drawdown")


async def test_a_member_made_again_gives_the_composite_its_new_id(trial):
    trial.put()
    await trial.look()
    # By hand, as the API refuses it while the composite stands.
    del trial.datadog.organisation.monitors[int(trial.entry("api-error-rate")["id"])]
    await trial.look()
    assert trial.entry("api-error-rate")["id"] in monitor(trial, "degraded").definition["query"]
    assert "EditsReverted" not in trial.events()


async def test_an_object_whose_tags_were_taken_away_is_found_by_its_id(trial):
    trial.put()
    await trial.look()
    monitor(trial, "drawdown").definition["tags"] = []
    restart_count(trial)
    await trial.look()
    assert [method for method, _ in calls(trial)] == ["PUT"]
    assert len(trial.datadog.organisation.monitors) == 11


async def test_mode_plan_writes_nothing_and_shows_what_would_change(trial):
    trial.put(mode="Plan")
    await trial.look()
    assert trial.datadog.request_log.writes() == []
    assert "finalizers" not in trial.resource["metadata"]
    assert trial.entry("drawdown") == {
        "kind": "monitor",
        "key": "drawdown",
        "state": "Planned",
        "change": "create",
    }
    assert trial.condition("Synced")["reason"] == "Planned"
    assert trial.condition("Ready")["status"] == "True"


async def test_mode_plan_shows_updates_and_removals_of_what_stands(trial):
    trial.put()
    await trial.look()
    restart_count(trial)
    trial.put(mode="Plan", thresholds={"drawdown": {"critical": 25}}, features={"notebook": False})
    await trial.look()
    await trial.look()
    assert calls(trial) == []
    assert trial.entry("drawdown")["change"].startswith("update ")
    assert "options.thresholds.critical" in trial.entry("drawdown")["change"]
    assert trial.entry("weekly-report", "notebook")["change"] == "delete"
    trial.put(mode="Manage")
    await trial.look()
    assert [method for method, _ in calls(trial)] == ["PUT", "PUT", "DELETE"]
    assert trial.condition("Synced")["status"] == "True"


async def test_a_spec_that_contradicts_itself_is_told_in_one_line_and_changes_nothing(trial):
    trial.put()
    await trial.look()
    restart_count(trial)
    trial.put(thresholds={"drawdown": {"critical": 1}})
    await trial.look()
    assert calls(trial) == []
    found = trial.condition("Synced")
    assert (found["status"], found["reason"]) == ("False", "SpecInvalid")
    assert "drawdown: critical (1) must be above critical_recovery (8)" in found["message"]


async def test_keys_never_travel_in_the_open_to_strangers(trial):
    trial.put(url="http://datadog.example.com", allowInsecureUrl=True)
    await trial.look()
    assert "spec.url must be https" in trial.condition("Synced")["message"]
    assert len(trial.datadog.request_log.entries) == 0


async def test_keys_go_to_no_address_that_the_operator_was_not_told_of(trial):
    trial.urls.clear()
    trial.put()
    await trial.look()
    assert trial.condition("Synced")["reason"] == "SpecInvalid"
    assert "chart value observability.urls" in trial.condition("Synced")["message"]
    assert len(trial.datadog.request_log.entries) == 0
    assert "finalizers" not in trial.resource["metadata"]


async def test_a_retained_organisation_is_taken_over_by_name_of_the_former_uid(trial):
    trial.put(deletionPolicy="Retain")
    await trial.look()
    trial.server.delete("PurpleFleaObservability", NS, NAME)
    await trial.look()
    assert len(trial.datadog.organisation.monitors) == 11
    trial.put(uid="second-uid", adoptFrom=["pfo-uid"])
    restart_count(trial)
    await trial.look()
    assert not [path for method, path in calls(trial) if method == "POST"]
    assert len(trial.datadog.organisation.monitors) == 11
    assert "purpleflea-uid:second-uid" in monitor(trial, "drawdown").tags
    assert trial.condition("Ready")["status"] == "True"
