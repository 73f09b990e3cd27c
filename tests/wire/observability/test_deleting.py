"""The end of a resource: what it made goes, what it did not make stays, and nothing blocks its namespace."""

from support.observability_trial import NAME, NS, Operator


def delete(trial):
    trial.server.delete("PurpleFleaObservability", NS, NAME)


def held(organisation):
    logs = organisation.logs
    return [
        len(found)
        for found in (
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


async def test_deleting_removes_exactly_what_it_made(trial, ask):
    mine = {"name": "mine", "type": "query alert", "query": "avg(last_5m):avg:a{*} > 1"}
    _, made = await ask("POST", "/api/v1/monitor", {**mine, "message": "", "tags": ["team:us"]})
    trial.put(features={"logIndex": True})
    await trial.look()
    delete(trial)
    await trial.look()
    assert trial.resource is None
    assert list(trial.datadog.organisation.monitors) == [made["id"]]
    assert held(trial.datadog.organisation)[1:] == [0] * 7
    assert list(trial.datadog.organisation.logs.indexes) == ["main"]
    assert trial.events()["Removed"] == "36 objects are removed from Datadog"


async def test_two_resources_of_one_organisation_leave_each_other_alone(trial, ask):
    trial.put(env="staging")
    await trial.look()
    stranger = next(iter(trial.datadog.organisation.monitors.values()))
    stranger.definition["tags"] = [
        tag.replace("pfo-uid", "other-uid") for tag in stranger.definition["tags"]
    ]
    delete(trial)
    await trial.look()
    assert list(trial.datadog.organisation.monitors) == [stranger.id]


async def test_with_retain_nothing_is_removed_and_nothing_waits(trial):
    trial.put(deletionPolicy="Retain")
    await trial.look()
    assert "finalizers" not in trial.resource["metadata"]
    before = held(trial.datadog.organisation)
    delete(trial)
    await trial.look()
    assert trial.resource is None
    assert held(trial.datadog.organisation) == before


async def test_retain_that_comes_late_lets_the_resource_go(trial):
    trial.put()
    await trial.look()
    delete(trial)
    trial.put(deletionPolicy="Retain")
    await trial.look()
    assert trial.resource is None
    assert len(trial.datadog.organisation.monitors) == 11
    assert "deletionPolicy" in trial.events()["Retained"]


async def test_while_datadog_is_away_the_resource_waits_and_says_so(trial, again):
    trial.put()
    await trial.look()
    delete(trial)
    trial.datadog.fail({"kind": "status", "status": 503})
    await again()
    assert trial.condition("Synced")["reason"] == "Deleting"
    trial.datadog.fail()
    await trial.look()
    assert trial.resource is None
    assert held(trial.datadog.organisation) == [0] * 8


async def test_after_ten_minutes_it_gives_up_loudly_rather_than_block_the_namespace(trial, again):
    trial.put()
    await trial.look()
    identifier = trial.entry("drawdown")["id"]
    delete(trial)
    trial.datadog.fail({"kind": "status", "status": 503})
    await again()
    trial.pass_time(601)
    await trial.look()
    assert trial.resource is None
    text = trial.events()["GaveUp"]
    assert "purpleflea-uid:pfo-uid" in text
    assert len(trial.datadog.organisation.monitors) == 11
    assert int(identifier) in trial.datadog.organisation.monitors


async def test_who_was_away_for_long_has_ten_minutes_still(trial, again):
    trial.put()
    await trial.look()
    delete(trial)
    trial.pass_time(3600)
    trial.datadog.fail({"kind": "rate_limit", "reset_s": 5, "times": 1})
    assert await again() == 5
    trial.pass_time(5)
    await trial.look()
    assert trial.resource is None
    assert held(trial.datadog.organisation) == [0] * 8
    assert "GaveUp" not in trial.events()


async def test_a_resource_whose_keys_never_worked_goes_at_once(trial):
    trial.put_secret(app="a-wrong-application-key")
    trial.put()
    await trial.look()
    delete(trial)
    await trial.look()
    assert trial.resource is None


async def test_keys_of_another_organisation_are_told_of_at_the_end(trial):
    trial.put()
    await trial.look()
    identifier = trial.entry("drawdown")["id"]
    trial.change_organisation()
    delete(trial)
    await trial.look()
    assert trial.resource is None
    words = trial.events()["NothingFound"]
    assert "keys are those of another organisation" in words
    assert f"monitor/drawdown ({identifier})" in words


async def test_an_object_that_others_use_is_tried_again_and_the_rest_goes(trial, ask, again):
    trial.put()
    await trial.look()
    members = [trial.entry(key)["id"] for key in ("drawdown", "heartbeat")]
    theirs = {"name": "theirs", "type": "composite", "query": " && ".join(members)}
    status, made = await ask("POST", "/api/v1/monitor", {**theirs, "message": ""})
    assert status == 200
    delete(trial)
    await again()
    left = {one.definition["name"] for one in trial.datadog.organisation.monitors.values()}
    assert left == {"theirs", "Purple Flea agent: high drawdown", "Purple Flea agent: no heartbeat"}
    await ask("DELETE", f"/api/v1/monitor/{made['id']}")
    await trial.look()
    assert trial.datadog.organisation.monitors == {}
    assert trial.resource is None


async def test_a_secret_that_went_first_does_not_stop_the_running_operator(trial, life):
    async with Operator(trial, life) as operator:
        trial.put()
        await operator.look()
        trial.server.delete("Secret", NS, "datadog-keys")
        delete(trial)
        await operator.look()
    assert trial.resource is None
    assert held(trial.datadog.organisation) == [0] * 8


async def test_a_configuration_that_was_there_before_stays(trial, ask):
    trial.put(mode="Plan")
    await trial.look()
    attributes = {
        "metric_type": "gauge",
        "tags": ["env", "service", "version", "agent_id", "strategy"],
    }
    path = "/api/v2/metrics/agent.risk.max_drawdown_pct/tags"
    body = {"type": "manage_tags", "id": "agent.risk.max_drawdown_pct", "attributes": attributes}
    status, _ = await ask("POST", path, {"data": body})
    assert status == 201
    trial.put(mode="Manage")
    await trial.look()
    assert trial.entry("agent.risk.max_drawdown_pct", "metric-tags")["adopted"] is True
    delete(trial)
    await trial.look()
    assert list(trial.datadog.organisation.metric_tags) == ["agent.risk.max_drawdown_pct"]


async def test_an_invalid_spec_does_not_block_the_namespace_for_ever(trial, again):
    trial.put()
    await trial.look()
    trial.put(thresholds={"drawdown": {"critical": 1}})
    delete(trial)
    await again()
    trial.pass_time(601)
    await trial.look()
    assert trial.resource is None
    assert "the spec is invalid" in trial.events()["GaveUp"]


async def test_a_rate_limit_holds_the_removal_but_never_past_its_end(trial, again):
    trial.put()
    await trial.look()
    delete(trial)
    trial.datadog.fail({"kind": "rate_limit", "method": "DELETE", "skip": 4, "reset_s": 3000})
    assert await again() == 600
    trial.pass_time(595)
    assert await again() == 5
    trial.datadog.fail()
    await trial.look()
    assert trial.resource is None
    assert held(trial.datadog.organisation) == [0] * 8


async def test_an_outage_in_the_middle_of_a_removal_ends_the_pass_soon(trial, again):
    trial.put()
    await trial.look()
    delete(trial)
    trial.datadog.request_log.clear()
    trial.datadog.fail({"kind": "status", "status": 500, "method": "DELETE", "skip": 4})
    await again()
    assert len(trial.datadog.request_log.writes()) == 7
    trial.datadog.fail()
    await trial.look()
    assert held(trial.datadog.organisation) == [0] * 8


async def test_what_a_revoked_scope_hides_is_named_and_not_forgotten(trial, again):
    trial.put()
    await trial.look()
    delete(trial)
    scopes = ("monitors", "slos", "dashboards", "data_scanner")
    trial.datadog.scope_key([f"{name}_{verb}" for name in scopes for verb in ("read", "write")])
    await again()
    assert trial.datadog.organisation.monitors == {}
    words = trial.condition("Synced")["message"]
    assert "metric-tags/agent.trade.pnl_usd" in words
    assert "403" in words
    trial.datadog.organisation.keys.replace([])
    await trial.look()
    assert trial.resource is None
    assert held(trial.datadog.organisation) == [0] * 8


async def test_a_create_that_is_still_open_is_waited_for_before_the_resource_goes(trial, again):
    trial.put()
    lost = {"kind": "reset", "method": "POST", "path_prefix": "/api/v1/dashboard", "times": 1}
    trial.datadog.fail(lost)
    await again()
    delete(trial)
    assert await again() == 10
    assert "may still be made: dashboard/fleet" in trial.condition("Synced")["message"]
    trial.pass_time(11)
    await trial.look()
    assert trial.resource is None


async def test_deleted_in_mode_plan_nothing_is_written(trial):
    trial.put()
    await trial.look()
    trial.put(mode="Plan")
    delete(trial)
    trial.datadog.request_log.clear()
    await trial.look()
    assert trial.resource is None
    assert trial.datadog.request_log.entries == type(trial.datadog.request_log.entries)()
    assert "mode is Plan" in trial.events()["Retained"]


async def test_a_namespace_that_takes_no_events_lets_the_resource_go_all_the_same(trial):
    trial.put()
    await trial.look()
    delete(trial)
    trial.server.fail_next(verb="create", resource="events", status=403, times=None)
    await trial.look()
    assert trial.resource is None
