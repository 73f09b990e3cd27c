"""Deletion of a resource: created objects are removed, all others stay, and the namespace is not blocked."""

from support.observability_scenario import NAME, NS, Operator


def delete(scenario):
    scenario.server.delete("PurpleFleaObservability", NS, NAME)


def counts(organisation):
    logs = organisation.logs
    return [
        len(objects)
        for objects in (
            organisation.monitors,
            organisation.slos,
            organisation.dashboards,
            organisation.notebooks,
            logs.pipelines,
            organisation.metric_tags,
            organisation.scanner.groups,
            organisation.scanner.rules,
        )
    ]


async def test_a_deletion_removes_exactly_the_created_objects(scenario, call_api):
    definition = {"name": "mine", "type": "query alert", "query": "avg(last_5m):avg:a{*} > 1"}
    _, foreign = await call_api(
        "POST", "/api/v1/monitor", {**definition, "message": "", "tags": ["team:us"]}
    )
    scenario.put(features={"logIndex": True})
    await scenario.reconcile()
    delete(scenario)
    await scenario.reconcile()
    assert scenario.resource is None
    assert list(scenario.datadog.organisation.monitors) == [foreign["id"]]
    assert counts(scenario.datadog.organisation)[1:] == [0] * 7
    assert list(scenario.datadog.organisation.logs.indexes) == ["main"]
    assert scenario.events()["Removed"] == "36 objects were removed from Datadog"


async def test_a_deletion_does_not_remove_objects_of_another_resource(scenario, call_api):
    scenario.put(env="staging")
    await scenario.reconcile()
    foreign = next(iter(scenario.datadog.organisation.monitors.values()))
    foreign.definition["tags"] = [
        tag.replace("pfo-uid", "other-uid") for tag in foreign.definition["tags"]
    ]
    delete(scenario)
    await scenario.reconcile()
    assert list(scenario.datadog.organisation.monitors) == [foreign.id]


async def test_with_retain_nothing_is_removed_and_the_deletion_is_immediate(scenario):
    scenario.put(deletionPolicy="Retain")
    await scenario.reconcile()
    assert "finalizers" not in scenario.resource["metadata"]
    before = counts(scenario.datadog.organisation)
    delete(scenario)
    await scenario.reconcile()
    assert scenario.resource is None
    assert counts(scenario.datadog.organisation) == before


async def test_retain_can_be_set_after_the_deletion(scenario):
    scenario.put()
    await scenario.reconcile()
    delete(scenario)
    scenario.put(deletionPolicy="Retain")
    await scenario.reconcile()
    assert scenario.resource is None
    assert len(scenario.datadog.organisation.monitors) == 11
    assert "deletionPolicy" in scenario.events()["Retained"]


async def test_the_deletion_waits_and_reports_why_while_datadog_is_unreachable(
    scenario, failing_reconcile
):
    scenario.put()
    await scenario.reconcile()
    delete(scenario)
    scenario.datadog.fail({"kind": "status", "status": 503})
    await failing_reconcile()
    assert scenario.condition("Synced")["reason"] == "Deleting"
    scenario.datadog.fail()
    await scenario.reconcile()
    assert scenario.resource is None
    assert counts(scenario.datadog.organisation) == [0] * 8


async def test_the_removal_gives_up_after_ten_minutes_and_names_the_remaining_objects(
    scenario, failing_reconcile
):
    scenario.put()
    await scenario.reconcile()
    identifier = scenario.record("drawdown")["id"]
    delete(scenario)
    scenario.datadog.fail({"kind": "status", "status": 503})
    await failing_reconcile()
    scenario.pass_time(601)
    await scenario.reconcile()
    assert scenario.resource is None
    text = scenario.events()["GaveUp"]
    assert "purpleflea-uid:pfo-uid" in text
    assert len(scenario.datadog.organisation.monitors) == 11
    assert int(identifier) in scenario.datadog.organisation.monitors


async def test_the_ten_minutes_start_with_the_first_attempt(scenario, failing_reconcile):
    scenario.put()
    await scenario.reconcile()
    delete(scenario)
    scenario.pass_time(3600)
    scenario.datadog.fail({"kind": "rate_limit", "reset_s": 5, "times": 1})
    assert await failing_reconcile() == 5
    scenario.pass_time(5)
    await scenario.reconcile()
    assert scenario.resource is None
    assert counts(scenario.datadog.organisation) == [0] * 8
    assert "GaveUp" not in scenario.events()


async def test_a_resource_whose_keys_never_worked_is_deleted_immediately(scenario):
    scenario.put_secret(app="a-wrong-application-key")
    scenario.put()
    await scenario.reconcile()
    delete(scenario)
    await scenario.reconcile()
    assert scenario.resource is None


async def test_keys_of_another_organization_are_reported_at_deletion(scenario):
    scenario.put()
    await scenario.reconcile()
    identifier = scenario.record("drawdown")["id"]
    scenario.change_organisation()
    delete(scenario)
    await scenario.reconcile()
    assert scenario.resource is None
    message = scenario.events()["NothingFound"]
    assert "now belong to a different Datadog organization" in message
    assert f"monitor/drawdown ({identifier})" in message


async def test_an_object_in_use_is_retried_and_the_others_are_removed(
    scenario, call_api, failing_reconcile
):
    scenario.put()
    await scenario.reconcile()
    members = [scenario.record(key)["id"] for key in ("drawdown", "heartbeat")]
    definition = {"name": "theirs", "type": "composite", "query": " && ".join(members)}
    status, foreign = await call_api("POST", "/api/v1/monitor", {**definition, "message": ""})
    assert status == 200
    delete(scenario)
    await failing_reconcile()
    left = {one.definition["name"] for one in scenario.datadog.organisation.monitors.values()}
    assert left == {"theirs", "Purple Flea agent: high drawdown", "Purple Flea agent: no heartbeat"}
    await call_api("DELETE", f"/api/v1/monitor/{foreign['id']}")
    await scenario.reconcile()
    assert scenario.datadog.organisation.monitors == {}
    assert scenario.resource is None


async def test_a_secret_that_was_deleted_first_does_not_stop_the_removal(scenario, no_limit):
    async with Operator(scenario, no_limit) as operator:
        scenario.put()
        await operator.reconcile()
        scenario.server.delete("Secret", NS, "datadog-keys")
        delete(scenario)
        await operator.reconcile()
    assert scenario.resource is None
    assert counts(scenario.datadog.organisation) == [0] * 8


async def test_an_adopted_metric_configuration_stays(scenario, call_api):
    scenario.put(mode="Plan")
    await scenario.reconcile()
    attributes = {
        "metric_type": "gauge",
        "tags": ["env", "service", "version", "agent_id", "strategy"],
    }
    path = "/api/v2/metrics/agent.risk.max_drawdown_pct/tags"
    body = {"type": "manage_tags", "id": "agent.risk.max_drawdown_pct", "attributes": attributes}
    status, _ = await call_api("POST", path, {"data": body})
    assert status == 201
    scenario.put(mode="Manage")
    await scenario.reconcile()
    assert scenario.record("agent.risk.max_drawdown_pct", "metric-tags")["adopted"] is True
    delete(scenario)
    await scenario.reconcile()
    assert list(scenario.datadog.organisation.metric_tags) == ["agent.risk.max_drawdown_pct"]


async def test_an_invalid_spec_does_not_block_the_namespace_forever(scenario, failing_reconcile):
    scenario.put()
    await scenario.reconcile()
    scenario.put(thresholds={"drawdown": {"critical": 1}})
    delete(scenario)
    await failing_reconcile()
    scenario.pass_time(601)
    await scenario.reconcile()
    assert scenario.resource is None
    assert "the spec is invalid" in scenario.events()["GaveUp"]


async def test_a_rate_limit_delays_the_removal_but_not_beyond_its_time_limit(
    scenario, failing_reconcile
):
    scenario.put()
    await scenario.reconcile()
    delete(scenario)
    scenario.datadog.fail({"kind": "rate_limit", "method": "DELETE", "skip": 4, "reset_s": 3000})
    assert await failing_reconcile() == 600
    scenario.pass_time(595)
    assert await failing_reconcile() == 5
    scenario.datadog.fail()
    await scenario.reconcile()
    assert scenario.resource is None
    assert counts(scenario.datadog.organisation) == [0] * 8


async def test_an_outage_during_a_removal_ends_the_pass_early(scenario, failing_reconcile):
    scenario.put()
    await scenario.reconcile()
    delete(scenario)
    scenario.datadog.request_log.clear()
    scenario.datadog.fail({"kind": "status", "status": 500, "method": "DELETE", "skip": 4})
    await failing_reconcile()
    assert len(scenario.datadog.request_log.writes()) == 7
    scenario.datadog.fail()
    await scenario.reconcile()
    assert counts(scenario.datadog.organisation) == [0] * 8


async def test_objects_hidden_by_a_revoked_scope_are_reported_and_removed_later(
    scenario, failing_reconcile
):
    scenario.put()
    await scenario.reconcile()
    delete(scenario)
    scopes = ("monitors", "slos", "dashboards", "data_scanner")
    scenario.datadog.scope_key([f"{name}_{verb}" for name in scopes for verb in ("read", "write")])
    await failing_reconcile()
    assert scenario.datadog.organisation.monitors == {}
    message = scenario.condition("Synced")["message"]
    assert "metric-tags/agent.trade.pnl_usd" in message
    assert "403" in message
    scenario.datadog.organisation.keys.replace([])
    await scenario.reconcile()
    assert scenario.resource is None
    assert counts(scenario.datadog.organisation) == [0] * 8


async def test_the_deletion_waits_for_a_pending_create(scenario, failing_reconcile):
    scenario.put()
    lost = {"kind": "reset", "method": "POST", "path_prefix": "/api/v1/dashboard", "times": 1}
    scenario.datadog.fail(lost)
    await failing_reconcile()
    delete(scenario)
    assert await failing_reconcile() == 10
    assert "may still be created: dashboard/fleet" in scenario.condition("Synced")["message"]
    scenario.pass_time(11)
    await scenario.reconcile()
    assert scenario.resource is None


async def test_a_deletion_in_mode_plan_writes_nothing(scenario):
    scenario.put()
    await scenario.reconcile()
    scenario.put(mode="Plan")
    delete(scenario)
    scenario.datadog.request_log.clear()
    await scenario.reconcile()
    assert scenario.resource is None
    assert scenario.datadog.request_log.entries == type(scenario.datadog.request_log.entries)()
    assert "mode is Plan" in scenario.events()["Retained"]


async def test_a_rejected_event_does_not_block_the_deletion(scenario):
    scenario.put()
    await scenario.reconcile()
    delete(scenario)
    scenario.server.fail_next(verb="create", resource="events", status=403, times=None)
    await scenario.reconcile()
    assert scenario.resource is None
