"""What goes wrong between the operator and Datadog, and the end state that each must lead to."""

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
from support.observability_trial import NS, Trial

OBJECTS = 35
EVERYTHING = [
    f"{family}_{verb}"
    for family in ("monitors", "slos", "dashboards", "notebooks", "data_scanner")
    for verb in ("read", "write")
] + ["metrics_read", "metric_tags_write", "logs_read_config", "logs_write_pipelines"]


def names(trial):
    return sorted(one.definition["name"] for one in trial.datadog.organisation.monitors.values())


def is_whole(trial):
    """Whether everything is there exactly once, and known by its id."""
    organisation = trial.datadog.organisation
    held = (
        len(organisation.metric_tags),
        len(organisation.monitors),
        len(organisation.slos),
        len(organisation.dashboards),
        len(organisation.logs.pipelines),
        len(organisation.scanner.groups) + len(organisation.scanner.rules),
        len(organisation.notebooks),
    )
    states = {item["state"] for item in trial.status["objects"]}
    ids = {item["id"] for item in trial.status["objects"]}
    return (
        held == (14, 11, 1, 1, 1, 6, 1)
        and states == {"InSync"}
        and len(ids) == OBJECTS
        and trial.condition("Ready")["status"] == "True"
    )


async def test_a_rate_limit_holds_the_next_pass_until_it_resets(trial, again):
    trial.put()
    trial.datadog.fail(
        {"kind": "rate_limit", "method": "POST", "skip": 5, "reset_s": 42, "times": 1}
    )
    assert await again() == 42
    assert trial.condition("Synced")["reason"] == "RateLimited"
    assert trial.condition("Degraded")["status"] == "False"
    await trial.look()
    assert is_whole(trial)


async def test_a_storm_of_rate_limits_only_delays(trial, again):
    trial.put()
    for number in range(8):
        # Each pass gets past its looks, and a few objects further.
        trial.datadog.fail({"kind": "rate_limit", "skip": 10 + 3 * number % 7, "reset_s": 5})
        assert await again() == 5
    trial.datadog.fail()
    await trial.look()
    assert is_whole(trial)
    assert len(names(trial)) == len(set(names(trial)))


async def test_with_datadogs_own_limits_of_log_configuration_it_ends_well():
    async with Trial(limits=USUAL) as trial:
        trial.report_metrics()
        trial.put(features={"logIndex": True})
        with pytest.raises(errors.Throttled, match="429") as caught:
            await trial.look()
        assert 0 < caught.value.retry_after_s <= timings.RATE_LIMIT_DEFAULT_RESET_S
        trial.pass_time(61)
        await trial.look()
        assert trial.condition("Ready")["status"] == "True"
        assert list(trial.datadog.organisation.logs.indexes) == ["purpleflea-agents", "main"]


@pytest.mark.parametrize("answer", [{"kind": "status", "status": 500}, {"kind": "reset"}])
async def test_single_failures_hinder_no_other_object(trial, again, answer):
    trial.put()
    trial.datadog.fail({**answer, "method": "POST", "path_prefix": "/api/v1/slo", "times": 1})
    await again()
    assert len(trial.datadog.organisation.monitors) == 9
    assert len(trial.datadog.organisation.dashboards) == 1
    assert trial.entry("slo-fast-burn")["lastError"] == "waits for slo/api-success"
    trial.pass_time(10)
    await trial.look()
    assert is_whole(trial)


async def test_an_outage_ends_the_pass_and_is_told(trial, again):
    trial.put()
    trial.datadog.fail({"kind": "status", "status": 503, "method": "POST"})
    await again()
    assert trial.condition("Synced")["reason"] == "Unreachable"
    assert trial.condition("Degraded")["status"] == "True"
    assert len(trial.datadog.request_log.writes()) == 3
    trial.datadog.fail()
    trial.pass_time(10)
    await trial.look()
    assert is_whole(trial)


@pytest.mark.parametrize("skip", [0, 13, 14, 22, 23, 24, 26, 27, 28, 29, 34])
async def test_a_create_without_an_answer_is_not_sent_again_blindly(trial, again, skip):
    trial.put()
    lost = {"kind": "status_after_commit", "status": 504, "method": "POST", "times": 1}
    trial.datadog.fail({**lost, "skip": skip})
    waits_s = await again()
    assert waits_s >= 10
    trial.datadog.fail()
    await trial.look()
    assert is_whole(trial)
    creates = [one for one in trial.datadog.request_log.writes() if one.method == "POST"]
    assert len(creates) == OBJECTS


async def test_a_connection_cut_after_the_commit_makes_no_double(trial, again):
    trial.put()
    cut = {"kind": "timeout_after_commit", "method": "POST", "times": 1}
    trial.datadog.fail({**cut, "path_prefix": "/api/v1/dashboard", "ms": 10})
    await again()
    trial.datadog.fail()
    await trial.look()
    assert is_whole(trial)


async def test_an_update_without_an_answer_is_found_done(trial, again):
    trial.put()
    await trial.look()
    trial.put(thresholds={"balance": {"critical": 40}})
    trial.datadog.fail({"kind": "status_after_commit", "status": 502, "method": "PUT", "times": 1})
    await again()
    trial.datadog.fail()
    trial.datadog.request_log.clear()
    await trial.look()
    assert trial.datadog.request_log.writes() == []
    assert is_whole(trial)
    assert "EditsReverted" not in trial.events()


async def test_keys_of_another_organisation_are_told_with_what_is_left_in_the_former_one(trial):
    trial.put()
    await trial.look()
    before = trial.entry("drawdown")["id"]
    trial.change_organisation()
    await trial.look()
    words = trial.events()["AllObjectsGone"]
    assert "keys are those of another organisation" in words
    assert f"monitor/drawdown ({before})" in words
    assert "ObjectsRemade" not in trial.events()
    assert is_whole(trial)


async def test_wrong_keys_change_nothing_and_are_told_without_being_shown(trial):
    trial.put_secret(app="a-wrong-application-key")
    trial.put()
    result = await trial.look()
    assert result.requeue_after_s == 60
    found = trial.condition("KeysValid")
    assert (found["status"], found["reason"]) == ("False", "Rejected")
    assert trial.condition("Ready")["reason"] == "Rejected"
    assert trial.datadog.request_log.writes() == []
    told = f"{trial.resource} {trial.events()}"
    assert "a-wrong-application-key" not in told
    assert API_KEY not in told
    trial.put_secret()
    await trial.look()
    assert is_whole(trial)


async def test_keys_that_stop_working_leave_what_stands_and_what_is_known(trial):
    trial.put()
    await trial.look()
    before = trial.status["objects"]
    trial.put_secret(api="f" * 32)
    await trial.look()
    assert trial.condition("KeysValid")["status"] == "False"
    assert "KeysValidRejected" in trial.events()
    assert trial.status["objects"] == before


@pytest.mark.parametrize(
    ("change", "reason", "words"),
    [
        ("missing", "SecretMissing", "kubectl create secret generic datadog-keys"),
        ("forbidden", "SecretForbidden", "observability.secrets"),
        ("empty", "KeyMissing", "has no key app-key"),
        ("broken", "KeyMissing", "is no Datadog key"),
    ],
)
async def test_keys_that_cannot_be_read_are_told_with_the_remedy(trial, change, reason, words):
    trial.put()
    match change:
        case "missing":
            trial.server.delete("Secret", NS, "datadog-keys")
        case "forbidden":
            trial.server.fail_next(resource="secrets", status=403)
        case "empty":
            trial.server.patch("Secret", NS, "datadog-keys", {"data": {"app-key": None}})
        case "broken":
            trial.put_secret(app="two\r\nlines: here")
    await trial.look()
    assert trial.condition("KeysValid")["reason"] == reason
    assert words in trial.condition("KeysValid")["message"]


async def test_a_scoped_key_makes_all_but_the_log_monitor_and_says_why(trial):
    trial.put()
    trial.datadog.scope_key(EVERYTHING)
    result = await trial.look()
    assert result.requeue_after_s is not None
    assert len(trial.datadog.organisation.monitors) == 10
    entry = trial.entry("escrow-failures")
    assert entry["state"] == "Failed"
    assert "without scopes" in entry["lastError"]
    assert trial.condition("Degraded")["status"] == "True"
    assert "monitor/escrow-failures" in trial.condition("Degraded")["message"]
    trial.datadog.organisation.keys.replace([])
    await trial.look()
    assert is_whole(trial)


async def test_a_revoked_scope_marks_its_objects_and_the_others_go_on(trial):
    trial.put()
    await trial.look()
    trial.datadog.scope_key([scope for scope in EVERYTHING if not scope.startswith("slos")])
    trial.put(thresholds={"drawdown": {"critical": 30}})
    await trial.look()
    entry = trial.entry("api-success", "slo")
    assert entry["state"] == "Failed"
    assert entry["id"] in trial.datadog.organisation.slos
    assert trial.entry("drawdown")["state"] == "InSync"
    assert trial.condition("Degraded")["status"] == "True"
    trial.datadog.organisation.keys.replace([])
    await trial.look()
    assert is_whole(trial)
    assert trial.events()["DegradedAsExpected"]


async def test_a_lost_status_is_found_again_by_the_marks(trial):
    trial.put()
    await trial.look()
    ids = {item["key"]: item["id"] for item in trial.status["objects"]}
    trial.server.put({**trial.resource, "status": {}})
    trial.datadog.request_log.clear()
    await trial.look()
    assert trial.datadog.request_log.writes() == []
    assert {item["key"]: item["id"] for item in trial.status["objects"]} == ids


async def test_ids_of_another_organisation_in_the_status_touch_no_strangers(trial, ask):
    trial.put()
    await trial.look()
    mine = {"name": "mine", "type": "query alert", "query": "avg(last_5m):avg:a{*} > 1"}
    _, made = await ask("POST", "/api/v1/monitor", {**mine, "message": "", "tags": []})
    status = trial.status
    own = int(trial.entry("drawdown")["id"])
    del trial.datadog.organisation.monitors[own]
    for item in status["objects"]:
        if item["key"] == "drawdown":
            item["id"] = str(made["id"])
    trial.server.put({**trial.resource, "status": status})
    await trial.look()
    stranger = trial.datadog.organisation.monitors[made["id"]]
    assert stranger.definition["name"] == "mine"
    assert trial.entry("drawdown")["id"] != str(made["id"])


async def test_a_double_of_ours_is_removed(trial):
    trial.put()
    await trial.look()
    organisation = trial.datadog.organisation
    (pipeline,) = organisation.logs.pipelines.values()
    organisation.logs.pipelines["late"] = {**pipeline, "id": "late"}
    await trial.look()
    assert list(organisation.logs.pipelines) == [pipeline["id"]]
    assert is_whole(trial)


class Lagging:
    """An organisation whose index has not yet seen one monitor: it is in no list."""

    def __init__(self, organisation, hidden):
        self._organisation = organisation
        self._hidden = hidden

    def __getattr__(self, name):
        return getattr(self._organisation, name)

    async def look(self, scope, kinds):
        survey = await self._organisation.look(scope, kinds)
        shown = [one for one in survey.of(ObjectKind.MONITOR) if one.id != self._hidden]
        survey.objects[ObjectKind.MONITOR] = tuple(shown)
        return survey


class Refusing(Lagging):
    """And that takes a monitor for the same although its tags differ."""

    async def create(self, kind, body):
        if kind is ObjectKind.MONITOR and body["name"].endswith("high drawdown"):
            raise Duplicate("Duplicate of an existing monitor", self._hidden)
        return await self._organisation.create(kind, body)


@pytest.fixture
async def twin(trial):
    """A monitor that is like ours; the status has forgotten everything."""
    trial.put()
    await trial.look()
    found = trial.datadog.organisation.monitors[int(trial.entry("drawdown")["id"])]
    trial.server.put({**trial.resource, "status": {}})
    return found


async def test_our_own_monitor_that_no_list_shows_is_recognised_by_the_refusal(trial, twin):
    trial.seen_through = lambda organisation: Lagging(organisation, str(twin.id))
    await trial.look()
    assert is_whole(trial)
    entry = trial.entry("drawdown")
    assert (entry["id"], "adopted" in entry) == (str(twin.id), False)


async def test_an_equal_monitor_of_nobody_is_adopted_and_never_deleted(trial, twin):
    twin.definition["tags"] = ["team:trading"]
    trial.seen_through = lambda organisation: Refusing(organisation, str(twin.id))
    await trial.look()
    entry = trial.entry("drawdown")
    assert (entry["id"], entry["adopted"]) == (str(twin.id), True)
    assert "purpleflea-uid:pfo-uid" in twin.tags
    assert is_whole(trial)
    trial.seen_through = lambda organisation: organisation
    trial.server.delete("PurpleFleaObservability", NS, "fleet")
    await trial.look()
    assert list(trial.datadog.organisation.monitors) == [twin.id]


async def test_an_equal_monitor_of_another_resource_is_left_to_it(trial, twin):
    twin.definition["tags"] = [tag.replace("pfo-uid", "other-uid") for tag in twin.tags]
    trial.seen_through = lambda organisation: Refusing(organisation, str(twin.id))
    await trial.look()
    entry = trial.entry("drawdown")
    assert entry["state"] == "Failed"
    assert "other-uid" in entry["lastError"]
    assert "purpleflea-uid:other-uid" in twin.tags


async def test_a_metric_that_somebody_else_configured_is_left_to_them(trial, ask):
    path = "/api/v2/metrics/agent.heartbeat/tags"
    attributes = {"metric_type": "count", "tags": ["region"]}
    body = {"data": {"type": "manage_tags", "id": "agent.heartbeat", "attributes": attributes}}
    assert (await ask("POST", path, body))[0] == 201
    trial.put()
    await trial.look()
    entry = trial.entry("agent.heartbeat", "metric-tags")
    assert entry["state"] == "Failed"
    assert "somebody else" in entry["lastError"]
    stored = trial.datadog.organisation.metric_tags["agent.heartbeat"]
    assert stored["attributes"]["tags"] == ["region"]


async def test_what_datadog_echoes_of_the_keys_is_shown_nowhere(trial):
    trial.put_secret(app="wrong-key")
    trial.put()
    await trial.look()
    found = str(trial.server.requests()) + str(trial.events())
    assert "wrong-key" not in found
    assert APPLICATION_KEY not in found


async def test_what_cannot_be_removed_stays_known_and_is_told(trial):
    trial.put()
    await trial.look()
    trial.datadog.scope_key([scope for scope in EVERYTHING if scope != "notebooks_write"])
    trial.put(features={"notebook": False})
    await trial.look()
    entry = trial.entry("weekly-report", "notebook")
    assert entry["state"] == "Failed"
    assert entry["lastError"].startswith("not removed: 403")
    trial.datadog.organisation.keys.replace([])
    await trial.look()
    assert trial.datadog.organisation.notebooks == {}
    assert trial.condition("Ready")["status"] == "True"


async def test_a_leader_that_may_no_longer_write_writes_nothing_to_datadog(trial):
    may_write = []

    def guard():
        if not may_write:
            raise errors.Fenced("the lease is no longer surely ours")

    keys = Keys(api=API_KEY, app=APPLICATION_KEY)
    async with session([fence_writes(guard)], user_agent="test") as fenced:
        organisation = HttpDatadogClient(Transport(fenced, trial.datadog.url, keys))
        await organisation.validate()
        definition = {"name": "n", "type": "query alert", "query": "avg(last_5m):avg:a{*} > 1"}
        for write in (
            organisation.create(ObjectKind.MONITOR, definition),
            organisation.update(ObjectKind.MONITOR, "1", definition),
            organisation.delete(ObjectKind.MONITOR, "1"),
        ):
            with pytest.raises(errors.Fenced):
                await write
        assert trial.datadog.request_log.writes() == []
        may_write.append(True)
        await organisation.create(ObjectKind.MONITOR, {**definition, "message": ""})
        assert len(trial.datadog.request_log.writes()) == 1


async def test_keys_follow_no_redirect():
    asked = []

    async def elsewhere(request):
        asked.append(request.path)
        raise web.HTTPFound("/stolen")

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", elsewhere)
    async with TestServer(app) as server, session([], user_agent="test") as plain:
        keys = Keys(api=API_KEY, app=APPLICATION_KEY)
        organisation = HttpDatadogClient(Transport(plain, str(server.make_url("/")), keys))
        with pytest.raises(Refused, match="302"):
            await organisation.validate()
    assert asked == ["/api/v2/validate_keys"]
