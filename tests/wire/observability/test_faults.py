"""Faults between the operator and Datadog, and the end state after each of them."""

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from purpleflea_operator import timings
from purpleflea_operator.datadog.client.client import HttpDatadogClient
from purpleflea_operator.datadog.client.errors import Duplicate, Refused
from purpleflea_operator.datadog.client.transport import Keys, Transport, session
from purpleflea_operator.datadog.definitions.objects import ObjectKind
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.request_hooks import fence_writes
from purpleflea_sandbox.datadog.api.limits import USUAL
from support.datadog_api import API_KEY, APPLICATION_KEY
from support.desired_objects import METRICS, MONITORS, OBJECTS, SCANNER_OBJECTS
from support.observability_scenario import NS, Scenario

EVERYTHING = [
    f"{family}_{verb}"
    for family in ("monitors", "slos", "dashboards", "notebooks", "data_scanner")
    for verb in ("read", "write")
] + ["metrics_read", "metric_tags_write", "logs_read_config", "logs_write_pipelines"]


def names(scenario):
    return sorted(one.definition["name"] for one in scenario.datadog.organisation.monitors.values())


def is_whole(scenario):
    """Return True if every object exists exactly once and is recorded with its id."""
    organisation = scenario.datadog.organisation
    counts = (
        len(organisation.metric_tags),
        len(organisation.monitors),
        len(organisation.slos),
        len(organisation.dashboards),
        len(organisation.logs.pipelines),
        len(organisation.scanner.groups) + len(organisation.scanner.rules),
        len(organisation.notebooks),
    )
    states = {item["state"] for item in scenario.status["objects"]}
    ids = {item["id"] for item in scenario.status["objects"]}
    return (
        counts == (METRICS, MONITORS, 1, 1, 1, SCANNER_OBJECTS, 1)
        and states == {"InSync"}
        and len(ids) == OBJECTS
        and scenario.condition("Ready")["status"] == "True"
    )


async def test_a_rate_limit_delays_the_next_pass_until_its_reset(scenario, failing_reconcile):
    scenario.put()
    scenario.datadog.fail(
        {"kind": "rate_limit", "method": "POST", "skip": 5, "reset_s": 42, "times": 1}
    )
    assert await failing_reconcile() == 42
    assert scenario.condition("Synced")["reason"] == "RateLimited"
    assert scenario.condition("Degraded")["status"] == "False"
    await scenario.reconcile()
    assert is_whole(scenario)


async def test_many_rate_limits_only_delay_the_sync(scenario, failing_reconcile):
    scenario.put()
    for number in range(8):
        # Each pass completes its list requests and syncs a few more objects.
        scenario.datadog.fail({"kind": "rate_limit", "skip": 10 + 3 * number % 7, "reset_s": 5})
        assert await failing_reconcile() == 5
    scenario.datadog.fail()
    await scenario.reconcile()
    assert is_whole(scenario)
    assert len(names(scenario)) == len(set(names(scenario)))


async def test_the_sync_completes_under_datadogs_usual_rate_limits():
    async with Scenario(limits=USUAL) as scenario:
        scenario.report_metrics()
        scenario.put(features={"logIndex": True})
        with pytest.raises(errors.Throttled, match="429") as caught:
            await scenario.reconcile()
        assert 0 < caught.value.retry_after_s <= timings.RATE_LIMIT_DEFAULT_RESET_S
        scenario.pass_time(61)
        await scenario.reconcile()
        assert scenario.condition("Ready")["status"] == "True"
        assert list(scenario.datadog.organisation.logs.indexes) == ["purpleflea-agents", "main"]


@pytest.mark.parametrize("answer", [{"kind": "status", "status": 500}, {"kind": "reset"}])
async def test_a_failed_request_does_not_affect_other_objects(scenario, failing_reconcile, answer):
    scenario.put()
    scenario.datadog.fail({**answer, "method": "POST", "path_prefix": "/api/v1/slo", "times": 1})
    await failing_reconcile()
    assert len(scenario.datadog.organisation.monitors) == MONITORS - 2
    assert len(scenario.datadog.organisation.dashboards) == 1
    assert scenario.record("slo-fast-burn")["lastError"] == "waiting for slo/api-success"
    scenario.pass_time(10)
    await scenario.reconcile()
    assert is_whole(scenario)


async def test_an_outage_ends_the_pass_and_is_reported(scenario, failing_reconcile):
    scenario.put()
    scenario.datadog.fail({"kind": "status", "status": 503, "method": "POST"})
    await failing_reconcile()
    assert scenario.condition("Synced")["reason"] == "Unreachable"
    assert scenario.condition("Degraded")["status"] == "True"
    assert len(scenario.datadog.request_log.writes()) == 3
    scenario.datadog.fail()
    scenario.pass_time(10)
    await scenario.reconcile()
    assert is_whole(scenario)


@pytest.mark.parametrize("skip", [0, 13, 14, 22, 23, 24, 26, 27, 28, 29, OBJECTS - 1])
async def test_a_create_without_an_answer_is_not_repeated_blindly(
    scenario, failing_reconcile, skip
):
    scenario.put()
    lost = {"kind": "status_after_commit", "status": 504, "method": "POST", "times": 1}
    scenario.datadog.fail({**lost, "skip": skip})
    waits_s = await failing_reconcile()
    assert waits_s >= 10
    scenario.datadog.fail()
    await scenario.reconcile()
    assert is_whole(scenario)
    creates = [one for one in scenario.datadog.request_log.writes() if one.method == "POST"]
    assert len(creates) == OBJECTS


async def test_a_connection_lost_after_the_commit_causes_no_duplicate(scenario, failing_reconcile):
    scenario.put()
    cut = {"kind": "timeout_after_commit", "method": "POST", "times": 1}
    scenario.datadog.fail({**cut, "path_prefix": "/api/v1/dashboard", "ms": 10})
    await failing_reconcile()
    scenario.datadog.fail()
    await scenario.reconcile()
    assert is_whole(scenario)


async def test_an_update_that_succeeded_without_an_answer_is_not_repeated(
    scenario, failing_reconcile
):
    scenario.put()
    await scenario.reconcile()
    scenario.put(thresholds={"balance": {"critical": 40}})
    scenario.datadog.fail(
        {"kind": "status_after_commit", "status": 502, "method": "PUT", "times": 1}
    )
    await failing_reconcile()
    scenario.datadog.fail()
    scenario.datadog.request_log.clear()
    await scenario.reconcile()
    assert scenario.datadog.request_log.writes() == []
    assert is_whole(scenario)
    assert "EditsReverted" not in scenario.events()


async def test_keys_of_another_organization_are_reported_with_the_remaining_objects(scenario):
    scenario.put()
    await scenario.reconcile()
    before = scenario.record("drawdown")["id"]
    scenario.change_organisation()
    await scenario.reconcile()
    message = scenario.events()["AllObjectsGone"]
    assert "now belong to a different Datadog organization" in message
    assert f"monitor/drawdown ({before})" in message
    assert "ObjectsRemade" not in scenario.events()
    assert is_whole(scenario)


async def test_wrong_keys_change_nothing_and_are_reported_without_their_text(scenario):
    scenario.put_secret(app="a-wrong-application-key")
    scenario.put()
    result = await scenario.reconcile()
    assert result.requeue_after_s == 60
    condition = scenario.condition("KeysValid")
    assert (condition["status"], condition["reason"]) == ("False", "Rejected")
    assert scenario.condition("Ready")["reason"] == "Rejected"
    assert scenario.datadog.request_log.writes() == []
    texts = f"{scenario.resource} {scenario.events()}"
    assert "a-wrong-application-key" not in texts
    assert API_KEY not in texts
    scenario.put_secret()
    await scenario.reconcile()
    assert is_whole(scenario)


async def test_keys_that_stop_working_change_neither_objects_nor_records(scenario):
    scenario.put()
    await scenario.reconcile()
    before = scenario.status["objects"]
    scenario.put_secret(api="f" * 32)
    await scenario.reconcile()
    assert scenario.condition("KeysValid")["status"] == "False"
    assert "KeysValidRejected" in scenario.events()
    assert scenario.status["objects"] == before


@pytest.mark.parametrize(
    ("change", "reason", "message"),
    [
        ("missing", "SecretMissing", "kubectl create secret generic datadog-keys"),
        ("forbidden", "SecretForbidden", "observability.secrets"),
        ("empty", "KeyMissing", "has no key app-key"),
        ("broken", "KeyMissing", "is not a Datadog key"),
    ],
)
async def test_unreadable_keys_are_reported_with_the_remedy(scenario, change, reason, message):
    scenario.put()
    match change:
        case "missing":
            scenario.server.delete("Secret", NS, "datadog-keys")
        case "forbidden":
            scenario.server.fail_next(resource="secrets", status=403)
        case "empty":
            scenario.server.patch("Secret", NS, "datadog-keys", {"data": {"app-key": None}})
        case "broken":
            scenario.put_secret(app="two\r\nlines: here")
    await scenario.reconcile()
    assert scenario.condition("KeysValid")["reason"] == reason
    assert message in scenario.condition("KeysValid")["message"]


async def test_a_scoped_key_creates_all_objects_except_the_log_monitor(scenario):
    scenario.put()
    scenario.datadog.scope_key(EVERYTHING)
    result = await scenario.reconcile()
    assert result.requeue_after_s is not None
    assert len(scenario.datadog.organisation.monitors) == MONITORS - 1
    record = scenario.record("escrow-failures")
    assert record["state"] == "Failed"
    assert "without scopes" in record["lastError"]
    assert scenario.condition("Degraded")["status"] == "True"
    assert "monitor/escrow-failures" in scenario.condition("Degraded")["message"]
    scenario.datadog.organisation.keys.replace([])
    await scenario.reconcile()
    assert is_whole(scenario)


async def test_a_revoked_scope_fails_its_objects_and_the_others_stay_in_sync(scenario):
    scenario.put()
    await scenario.reconcile()
    scenario.datadog.scope_key([scope for scope in EVERYTHING if not scope.startswith("slos")])
    scenario.put(thresholds={"drawdown": {"critical": 30}})
    await scenario.reconcile()
    record = scenario.record("api-success", "slo")
    assert record["state"] == "Failed"
    assert record["id"] in scenario.datadog.organisation.slos
    assert scenario.record("drawdown")["state"] == "InSync"
    assert scenario.condition("Degraded")["status"] == "True"
    scenario.datadog.organisation.keys.replace([])
    await scenario.reconcile()
    assert is_whole(scenario)
    assert scenario.events()["DegradedAsExpected"]


async def test_a_lost_status_is_restored_from_the_ownership_tags(scenario):
    scenario.put()
    await scenario.reconcile()
    ids = {item["key"]: item["id"] for item in scenario.status["objects"]}
    scenario.server.put({**scenario.resource, "status": {}})
    scenario.datadog.request_log.clear()
    await scenario.reconcile()
    assert scenario.datadog.request_log.writes() == []
    assert {item["key"]: item["id"] for item in scenario.status["objects"]} == ids


async def test_ids_of_another_organization_do_not_change_foreign_objects(scenario, call_api):
    scenario.put()
    await scenario.reconcile()
    definition = {"name": "mine", "type": "query alert", "query": "avg(last_5m):avg:a{*} > 1"}
    _, created = await call_api(
        "POST", "/api/v1/monitor", {**definition, "message": "", "tags": []}
    )
    status = scenario.status
    own = int(scenario.record("drawdown")["id"])
    del scenario.datadog.organisation.monitors[own]
    for item in status["objects"]:
        if item["key"] == "drawdown":
            item["id"] = str(created["id"])
    scenario.server.put({**scenario.resource, "status": status})
    await scenario.reconcile()
    foreign = scenario.datadog.organisation.monitors[created["id"]]
    assert foreign.definition["name"] == "mine"
    assert scenario.record("drawdown")["id"] != str(created["id"])


async def test_a_duplicate_of_a_managed_object_is_removed(scenario):
    scenario.put()
    await scenario.reconcile()
    organisation = scenario.datadog.organisation
    (pipeline,) = organisation.logs.pipelines.values()
    organisation.logs.pipelines["late"] = {**pipeline, "id": "late"}
    await scenario.reconcile()
    assert list(organisation.logs.pipelines) == [pipeline["id"]]
    assert is_whole(scenario)


class LaggingClient:
    """Client whose lists do not contain one monitor yet, as if the index of Datadog lagged behind."""

    def __init__(self, client, hidden):
        self._client = client
        self._hidden = hidden

    def __getattr__(self, name):
        return getattr(self._client, name)

    async def list_objects(self, list_filter, kinds):
        inventory = await self._client.list_objects(list_filter, kinds)
        listed = [one for one in inventory.of(ObjectKind.MONITOR) if one.id != self._hidden]
        inventory.objects[ObjectKind.MONITOR] = tuple(listed)
        return inventory


class DuplicateClient(LaggingClient):
    """LaggingClient that reports a created monitor as a duplicate although the tags differ."""

    async def create(self, kind, body):
        if kind is ObjectKind.MONITOR and body["name"].endswith("high drawdown"):
            raise Duplicate("Duplicate of an existing monitor", self._hidden)
        return await self._client.create(kind, body)


@pytest.fixture
async def twin(scenario):
    """Return a monitor that equals the desired one. The status is lost."""
    scenario.put()
    await scenario.reconcile()
    monitor = scenario.datadog.organisation.monitors[int(scenario.record("drawdown")["id"])]
    scenario.server.put({**scenario.resource, "status": {}})
    return monitor


async def test_an_unlisted_managed_monitor_is_recognized_by_the_duplicate_error(scenario, twin):
    scenario.wrap_client = lambda client: LaggingClient(client, str(twin.id))
    await scenario.reconcile()
    assert is_whole(scenario)
    record = scenario.record("drawdown")
    assert (record["id"], "adopted" in record) == (str(twin.id), False)


async def test_an_untagged_identical_monitor_is_adopted_and_never_deleted(scenario, twin):
    twin.definition["tags"] = ["team:trading"]
    scenario.wrap_client = lambda client: DuplicateClient(client, str(twin.id))
    await scenario.reconcile()
    record = scenario.record("drawdown")
    assert (record["id"], record["adopted"]) == (str(twin.id), True)
    assert "purpleflea-uid:pfo-uid" in twin.tags
    assert is_whole(scenario)
    scenario.wrap_client = lambda client: client
    scenario.server.delete("PurpleFleaObservability", NS, "fleet")
    await scenario.reconcile()
    assert list(scenario.datadog.organisation.monitors) == [twin.id]


async def test_an_identical_monitor_of_another_resource_is_not_changed(scenario, twin):
    twin.definition["tags"] = [tag.replace("pfo-uid", "other-uid") for tag in twin.tags]
    scenario.wrap_client = lambda client: DuplicateClient(client, str(twin.id))
    await scenario.reconcile()
    record = scenario.record("drawdown")
    assert record["state"] == "Failed"
    assert "other-uid" in record["lastError"]
    assert "purpleflea-uid:other-uid" in twin.tags


async def test_a_foreign_metric_configuration_is_not_changed(scenario, call_api):
    path = "/api/v2/metrics/agent.heartbeat/tags"
    attributes = {"metric_type": "count", "tags": ["region"]}
    body = {"data": {"type": "manage_tags", "id": "agent.heartbeat", "attributes": attributes}}
    assert (await call_api("POST", path, body))[0] == 201
    scenario.put()
    await scenario.reconcile()
    record = scenario.record("agent.heartbeat", "metric-tags")
    assert record["state"] == "Failed"
    assert "does not belong to this resource" in record["lastError"]
    stored = scenario.datadog.organisation.metric_tags["agent.heartbeat"]
    assert stored["attributes"]["tags"] == ["region"]


async def test_keys_in_error_texts_of_datadog_are_redacted(scenario):
    scenario.put_secret(app="wrong-key")
    scenario.put()
    await scenario.reconcile()
    texts = str(scenario.server.requests()) + str(scenario.events())
    assert "wrong-key" not in texts
    assert APPLICATION_KEY not in texts


async def test_an_object_that_cannot_be_removed_stays_recorded_as_failed(scenario):
    scenario.put()
    await scenario.reconcile()
    scenario.datadog.scope_key([scope for scope in EVERYTHING if scope != "notebooks_write"])
    scenario.put(features={"notebook": False})
    await scenario.reconcile()
    record = scenario.record("weekly-report", "notebook")
    assert record["state"] == "Failed"
    assert record["lastError"].startswith("not removed: 403")
    scenario.datadog.organisation.keys.replace([])
    await scenario.reconcile()
    assert scenario.datadog.organisation.notebooks == {}
    assert scenario.condition("Ready")["status"] == "True"


async def test_an_operator_that_lost_the_lease_writes_nothing_to_datadog(scenario):
    may_write = []

    def guard():
        if not may_write:
            raise errors.Fenced("the lease may have expired")

    keys = Keys(api=API_KEY, app=APPLICATION_KEY)
    async with session([fence_writes(guard)], user_agent="test") as fenced:
        client = HttpDatadogClient(Transport(fenced, scenario.datadog.url, keys))
        await client.validate()
        definition = {"name": "n", "type": "query alert", "query": "avg(last_5m):avg:a{*} > 1"}
        for write in (
            client.create(ObjectKind.MONITOR, definition),
            client.update(ObjectKind.MONITOR, "1", definition),
            client.delete(ObjectKind.MONITOR, "1"),
        ):
            with pytest.raises(errors.Fenced):
                await write
        assert scenario.datadog.request_log.writes() == []
        may_write.append(True)
        await client.create(ObjectKind.MONITOR, {**definition, "message": ""})
        assert len(scenario.datadog.request_log.writes()) == 1


async def test_keys_are_not_sent_along_a_redirect():
    requested = []

    async def redirect(request):
        requested.append(request.path)
        raise web.HTTPFound("/stolen")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", redirect)
    async with TestServer(app) as server, session([], user_agent="test") as plain:
        keys = Keys(api=API_KEY, app=APPLICATION_KEY)
        client = HttpDatadogClient(Transport(plain, str(server.make_url("/")), keys))
        with pytest.raises(Refused, match="302"):
            await client.validate()
    assert requested == ["/api/v2/validate_keys"]
