import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from yarl import URL

from purpleflea_operator.controllers.agent.fleet_totals import FleetTotals
from purpleflea_operator.datadog.definitions import operator_metrics
from purpleflea_operator.kube import errors
from purpleflea_operator.kube.object_cache import NamespacedName
from purpleflea_operator.kube.request_hooks import operation
from purpleflea_operator.runtime import health
from purpleflea_operator.runtime.metrics import GaugeSources, Metrics
from purpleflea_operator.runtime.workers import Result, TimedReconciler
from purpleflea_operator.runtime.workqueue import WorkQueue
from support.builders import an_agent

KEY = NamespacedName("trading", "momentum")
NOW = datetime(2026, 11, 30, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("method", "url", "expected"),
    [
        ("GET", "/api/v1/pods?watch=true", ("watch", "pods")),
        ("GET", "/api/v1/pods?limit=500", ("list", "pods")),
        ("GET", "/api/v1/namespaces/n/pods", ("list", "pods")),
        ("GET", "/api/v1/namespaces/n", ("get", "namespaces")),
        ("GET", "/apis/apps/v1/namespaces/n/statefulsets/s", ("get", "statefulsets")),
        (
            "PATCH",
            "/apis/purpleflea.com/v1alpha1/namespaces/n/purplefleaagents/a/status",
            ("patch", "purplefleaagents/status"),
        ),
        ("POST", "/api/v1/namespaces/n/events", ("create", "events")),
        ("PUT", "/apis/coordination.k8s.io/v1/namespaces/n/leases/l", ("update", "leases")),
        ("DELETE", "/api/v1/namespaces/n/configmaps/c", ("delete", "configmaps")),
        ("GET", "/api", ("get", "discovery")),
        ("GET", "/apis/apps/v1", ("get", "discovery")),
        ("GET", "/version", ("get", "other")),
    ],
)
def test_a_request_gets_its_kubernetes_verb_and_resource(method, url, expected):
    assert operation(method, URL("http://server" + url)) == expected


def test_a_watch_is_stalled_if_it_is_idle_for_longer_than_the_limit():
    idle = {"/api/v1/pods": 181.0, "/apis/apps/v1/statefulsets": 3.0}
    assert (
        health.stalled_watches(idle, limit_s=180)
        == "stalled watch: no event or bookmark of pods for 181 s"
    )
    assert health.stalled_watches(idle, limit_s=182) == ""
    assert health.stalled_watches({}, limit_s=1) == ""


@pytest.mark.parametrize(
    ("waiting_s", "idle_s", "longest_s", "text"),
    [
        (0, 9999, 0, ""),
        (9999, 1, 1, ""),
        (
            200,
            190,
            0,
            "stuck queue: a key has waited for 200 s, and no reconcile has ended for 190 s",
        ),
        (0, 0, 181, "stuck queue: a reconcile has been running for 181 s"),
    ],
    ids=["no keys", "much work", "no reconcile ends", "a reconcile hangs"],
)
def test_a_queue_is_stuck_if_keys_wait_and_no_reconcile_ends(waiting_s, idle_s, longest_s, text):
    assert health.stuck_queue(waiting_s=waiting_s, idle_s=idle_s, longest_s=longest_s) == text


async def test_the_queue_reports_the_waiting_time_of_its_first_key():
    now = [0.0]
    queue = WorkQueue(jitter=lambda: 0.0, clock=lambda: now[0])
    assert queue.oldest_s() == 0.0
    queue.add("a")
    now[0] = 3.0
    queue.add("b")
    queue.add("a")
    now[0] = 5.0
    assert queue.oldest_s() == 5.0
    await queue.get()
    assert queue.oldest_s() == 2.0


@pytest.mark.parametrize(
    ("outcome", "ends"),
    [
        ("done", Result()),
        ("again", Result(requeue_after_s=1.0)),
        ("transient", errors.Conflict("moved on")),
        ("refused", errors.Invalid("no")),
        ("refused", errors.Fenced("not ours")),
        ("failed", ValueError("a bug")),
        ("timeout", asyncio.CancelledError()),
    ],
)
async def test_the_duration_of_each_pass_is_reported_with_its_outcome(outcome, ends):
    ends_seen, now = [], [10.0]

    async def reconcile(_):
        now[0] += 2.0
        assert passes.longest_s() == 2.0
        if isinstance(ends, BaseException):
            raise ends
        return ends

    passes = TimedReconciler(
        reconcile, clock=lambda: now[0], on_pass_end=lambda *end: ends_seen.append(end)
    )
    if isinstance(ends, BaseException):
        with pytest.raises(type(ends)):
            await passes.reconcile(KEY)
    else:
        assert await passes.reconcile(KEY) is ends
    assert ends_seen == [(outcome, 2.0)]
    now[0] += 7.0
    assert (passes.longest_s(), passes.idle_s()) == (0.0, 7.0)


def agent_with_status(uid, telemetry, replicas):
    agent = an_agent(uid, uid=uid)
    conditions = [{"type": "TelemetryReady", "status": telemetry}]
    agent["status"] = {"conditions": conditions, "replicas": replicas, "readyReplicas": 1}
    return agent


def test_agents_are_counted_once_when_they_change_or_are_deleted():
    totals = FleetTotals()
    totals.upsert(agent_with_status("a", "True", 3))
    totals.upsert(agent_with_status("b", "False", 2))
    totals.upsert(an_agent("c", uid="c"))
    assert (len(totals), totals.replicas, totals.ready, totals.observed) == (3, 5, 2, 3)
    totals.upsert(agent_with_status("b", "True", 2))
    assert totals.observed == 5
    assert +totals.conditions == {("TelemetryReady", "True"): 2}
    totals.delete("a")
    totals.delete("a")
    totals.delete("b")
    assert (len(totals), totals.replicas, totals.observed) == (1, 0, 0)


def halted_agent(uid, **trading):
    agent = an_agent(uid, uid=uid)
    agent["spec"]["datadog"] = {"env": "Production", "service": "s"}
    agent["status"] = {"trading": trading}
    return agent


def ago(**time):
    return (NOW - timedelta(**time)).isoformat()


@pytest.mark.parametrize(
    ("trading", "longest_s"),
    [
        ({"mode": "Halted", "since": ago(hours=5)}, 18_000),
        ({"mode": "Stopped", "since": ago(hours=5), "halts": ["n/incident"]}, 18_000),
        ({"mode": "Stopped", "since": ago(hours=5)}, 0),  # off, and not halted
        ({"mode": "Active", "since": ago(hours=5)}, 0),
        ({"mode": "Halted", "since": "yesterday"}, 0),
        ({"mode": "Halted", "since": 5}, 0),
        ({"mode": "Halted"}, 0),
        ({"mode": "Halted", "since": ago(hours=-1)}, 0),  # the clock was set back
        ({"mode": ["Halted"], "halts": "x", "since": "9999-12-31T23:59:59-23:59"}, 0),
    ],
)
def test_the_longest_halt_of_a_fleet_counts_halts_and_no_stop_by_the_spec(trading, longest_s):
    totals = FleetTotals()
    totals.upsert(halted_agent("a", **trading))
    totals.upsert(halted_agent("b", mode="Active", since=ago(days=9)))
    assert totals.fleets((), NOW) == {("production", "s"): (2, longest_s)}


@pytest.mark.parametrize(
    ("datadog", "fleet"),
    [
        (None, ("production", "purpleflea-trading-agent")),
        ({"env": "paper"}, ("paper", "purpleflea-trading-agent")),
        ({"service": "desk"}, ("production", "desk")),
        ({"env": "Crypto Desk", "service": "Alpha_"}, ("crypto_desk", "alpha")),
    ],
)
def test_agents_with_default_tags_belong_to_the_fleet_that_the_monitors_query(datadog, fleet):
    agent, totals = halted_agent("a", mode="Halted", since=ago(hours=1)), FleetTotals()
    del agent["spec"]["datadog"]
    agent["spec"] |= {} if datadog is None else {"datadog": datadog}
    totals.upsert(agent)
    assert totals.fleets([fleet], NOW) == {fleet: (1, 3600)}


def test_a_fleet_that_a_resource_observes_is_reported_without_agents():
    totals = FleetTotals()
    totals.upsert(halted_agent("a", mode="Halted", since=ago(minutes=1)))
    totals.upsert(halted_agent("b", mode="Halted", since=ago(minutes=2)))
    assert totals.fleets([("paper", "s")], NOW) == {
        ("paper", "s"): (0, 0),
        ("production", "s"): (2, 120),
    }
    totals.upsert(halted_agent("b", mode="Active", since=ago(minutes=1)))
    assert totals.fleets((), NOW) == {("production", "s"): (2, 60)}
    totals.delete("a")
    totals.delete("b")
    assert totals.fleets((), NOW) == {}


def test_the_monitors_query_the_metrics_and_tags_that_the_operator_exports(repository):
    metrics, totals = Metrics(version="1"), FleetTotals()
    totals.upsert(halted_agent("a", mode="Halted", since=ago(hours=1)))
    metrics.register_gauges(sources(totals))
    page = metrics.exposition().decode()
    for name, value in ((operator_metrics.AGENTS, 1.0), (operator_metrics.LONGEST_HALT, 3600.0)):
        labels = 'fleet_env="production",fleet_service="s"'
        assert f"purpleflea_operator_{name}{{{labels}}} {value}\n" in page
    chart = repository / "charts" / "purpleflea-operator" / "templates" / "_helpers.tpl"
    assert f'"namespace" "{operator_metrics.NAMESPACE}"' in chart.read_text()
    for key in ("halted", "operator-silent"):
        query = json.loads((repository / "observability/monitors" / f"{key}.json").read_text())
        assert "{fleet_env:production,fleet_service:purpleflea-trading-agent}" in query["query"]


def test_a_standby_and_a_page_with_many_fleets_have_a_bounded_number_of_series():
    metrics, totals = Metrics(version="1"), FleetTotals()
    for number in range(300):
        agent = halted_agent(str(number))
        agent["spec"]["datadog"]["env"] = f"e{number}"
        totals.upsert(agent)
    metrics.register_gauges(sources(totals))
    page = metrics.exposition().decode()
    assert page.count(f"purpleflea_operator_{operator_metrics.AGENTS}{{") == 200


def sources(totals):
    return GaugeSources(
        is_leading=lambda: True,
        queue_depth=lambda: 4,
        queue_oldest_s=lambda: 1.5,
        watch_silence_s=lambda: {"/api/v1/pods": 2.0, "/apis/apps/v1/statefulsets": 9.0},
        watch_failures=lambda: {"/api/v1/pods": "403", "/apis/apps/v1/statefulsets": ""},
        agents=lambda: len(totals),
        conditions=lambda: totals.conditions,
        upgrades=lambda: ({"production": 7, "paper": 1}, {"paper": 2}),
        fleets=lambda: totals.fleets((), NOW),
        replicas=lambda: totals.pods,
    )


def test_metrics_export_counters_and_gauges():
    metrics, totals = Metrics(version="1.2.3"), FleetTotals()
    totals.upsert(agent_with_status("a", "True", 3))
    totals.upsert(agent_with_status("b", "False", 1))
    metrics.register_gauges(sources(totals))
    metrics.count_request("patch", "configmaps", "201")
    metrics.observe_reconcile("done", 0.02)
    metrics.observe_loop_lag(0.3, 0.2)
    lines = metrics.exposition().decode().splitlines()
    for line in (
        'purpleflea_operator_watches_failing{namespace="",resource="pods"} 1.0',
        'purpleflea_operator_watches_failing{namespace="",resource="statefulsets"} 0.0',
        'purpleflea_operator_api_requests_total{code="201",resource="configmaps",verb="patch"} 1.0',
        'purpleflea_operator_reconcile_duration_seconds_count{result="done"} 1.0',
        'purpleflea_operator_event_loop_lag_seconds_bucket{le="0.25"} 0.0',
        'purpleflea_operator_event_loop_lag_seconds_bucket{le="0.5"} 1.0',
        'purpleflea_operator_event_loop_own_lag_seconds_bucket{le="0.1"} 0.0',
        'purpleflea_operator_event_loop_own_lag_seconds_bucket{le="0.25"} 1.0',
        'purpleflea_operator_build_info{version="1.2.3"} 1.0',
        "purpleflea_operator_leader 1.0",
        "purpleflea_operator_queue_depth 4.0",
        "purpleflea_operator_queue_oldest_seconds 1.5",
        "purpleflea_operator_watch_silence_seconds 9.0",
        "purpleflea_operator_agents 2.0",
        'purpleflea_operator_agent_conditions{condition="TelemetryReady",status="True"} 1.0',
        'purpleflea_operator_upgrades_pending{env="production"} 7.0',
        'purpleflea_operator_upgrades_failing{env="paper"} 2.0',
        "purpleflea_operator_identities 4.0",
        "purpleflea_operator_identities_ready 2.0",
        "purpleflea_operator_identities_observed 3.0",
        "purpleflea_operator_telemetry_coverage_ratio 0.75",
    ):
        assert line in lines
    names = {line.split("{")[0].split(" ")[0] for line in lines if not line.startswith("#")}
    assert all(name.startswith("purpleflea_operator_") for name in names)
    # An additional series for each would double the custom metrics that Datadog bills.
    assert not [name for name in names if name.endswith("_created")]


@pytest.mark.parametrize(
    ("refused_s", "failure"),
    [([200.0, 181.0], "for 181 s"), ([200.0, 0.0], ""), ([180.0], ""), ([], "")],
)
def test_a_kind_is_refused_if_all_its_watches_are(refused_s, failure):
    text = health.refused_watch("purplefleaagents", refused_s, limit_s=180)
    assert failure in text
    assert bool(text) is bool(failure)
