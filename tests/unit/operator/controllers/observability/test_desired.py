from dataclasses import replace

import pytest
import yaml

from purpleflea_operator.api.observability import LogIndex, ObservabilitySpec
from purpleflea_operator.api.observability_status import State
from purpleflea_operator.controllers.observability.decisions.desired import goal
from purpleflea_operator.controllers.observability.decisions.parameters import (
    api_url,
    page_url,
    parameters,
)
from purpleflea_operator.controllers.observability.decisions.registry import (
    ObjectRecord,
    ObjectRegistry,
)
from purpleflea_operator.controllers.observability.decisions.shared_resources import SharedResources
from purpleflea_operator.datadog.client.models import Inventory, RemoteObject
from purpleflea_operator.datadog.definitions import catalog
from purpleflea_operator.datadog.definitions.notification_targets import target
from purpleflea_operator.datadog.definitions.objects import ObjectKind, Reference
from purpleflea_operator.datadog.definitions.parameters import Feature, Parameters


def a_spec(**fields):
    return ObservabilitySpec.model_validate({"keysSecretRef": {"name": "keys"}, **fields})


def test_the_defaults_of_the_spec_are_those_of_the_catalogue():
    assert parameters(a_spec()) == replace(Parameters(), other_indexes=())


def test_every_choice_of_the_spec_reaches_the_catalogue():
    chosen = parameters(
        a_spec(
            env="staging",
            service="bots",
            team="quants",
            currency="usdt",
            runbooksUrl="https://wiki.example.com/runbooks/",
            renotifyMinutes=5,
            features={"metrics": False, "anomalies": True, "logIndex": True},
            thresholds={"escrowFailures": {"critical": 9, "window": "1h"}},
            objective={"target": 98, "fastBurn": {"rate": 10}, "slowBurn": {"rate": 3}},
            logIndex={"name": "bots", "retentionDays": 3, "dailyLimit": 7},
        )
    )
    assert (chosen.env, chosen.service, chosen.team) == ("staging", "bots", "quants")
    assert (chosen.currency, chosen.renotify_minutes) == ("usdt", 5)
    assert chosen.runbooks_url == "https://wiki.example.com/runbooks"
    assert Feature.ANOMALIES in chosen.features
    assert Feature.METRICS not in chosen.features
    failures, objective = chosen.thresholds.escrow_failures, chosen.objective
    assert (failures.critical, failures.window) == (9, "1h")
    assert (objective.target, objective.fast_burn.rate, objective.slow_burn.rate) == (98, 10, 3)
    assert chosen.log_index == LogIndex(name="bots", retention_days=3, daily_limit=7)
    assert chosen.other_indexes == ()


@pytest.mark.parametrize(
    ("text", "handle"),
    [
        ("slack:alerts", "@slack-alerts"),
        ("slack:acme/alerts", "@slack-acme-alerts"),
        ("pagerduty:trading", "@pagerduty-trading"),
        ("webhook:halt", "@webhook-halt"),
        ("oncall:quants", "@oncall-quants"),
        ("incident:sev1", "@incident-sev1"),
        ("email:desk@example.com", "@desk@example.com"),
    ],
)
def test_a_target_is_written_as_datadog_reads_it(text, handle):
    assert target(text).handle == handle
    told = a_spec(notifications={"trading": [text], "paging": [], "infrastructure": []})
    assert parameters(told).notifications.trading[0].handle == handle


@pytest.mark.parametrize(
    ("fields", "api", "page"),
    [
        ({}, "https://api.datadoghq.com", "https://app.datadoghq.com"),
        ({"site": "datadoghq.eu"}, "https://api.datadoghq.eu", "https://app.datadoghq.eu"),
        (
            {"site": "us5.datadoghq.com"},
            "https://api.us5.datadoghq.com",
            "https://us5.datadoghq.com",
        ),
        ({"url": "https://dd.example.com/"}, "https://dd.example.com", "https://dd.example.com"),
    ],
)
def test_a_site_has_an_address_for_programs_and_one_for_people(fields, api, page):
    spec = a_spec(**fields)
    assert (api_url(spec, ["https://dd.example.com"]), page_url(spec)) == (api, page)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080",
        "http://127.0.0.1:1234",
        "http://datadog-api.datadog.svc:8080",
        "http://datadog-api.datadog.svc.cluster.local",
    ],
)
def test_plain_http_needs_to_be_allowed_and_to_stay_inside(url):
    assert api_url(a_spec(url=url, allowInsecureUrl=True), [f"{url}/"]) == url
    with pytest.raises(ValueError, match="must be https"):
        api_url(a_spec(url=url), [url])


@pytest.mark.parametrize(
    "url", ["http://example.com", "http://localhost.example.com", "http://a.svc.example.com"]
)
def test_plain_http_to_the_outside_is_never_allowed(url):
    with pytest.raises(ValueError, match="must be https"):
        api_url(a_spec(url=url, allowInsecureUrl=True), [url])


@pytest.mark.parametrize("allowed", [[], ["https://dd.example.com.evil.example"]])
def test_keys_go_nowhere_that_the_operator_was_not_told_of(allowed):
    with pytest.raises(ValueError, match=r"observability\.urls"):
        api_url(a_spec(url="https://dd.example.com"), allowed)


def test_a_goal_is_everything_that_is_wanted_marked_with_the_uid():
    found = goal(a_spec(driftPolicy="Keep", mode="Plan", adoptFrom=["old"]), "uid-1")
    assert len(found.wanted) == len(catalog.wanted(Parameters()))
    assert (found.keeps, found.plans, found.owners) == (True, True, ("uid-1", "old"))
    assert found.scope.service == "purpleflea-trading-agent"
    assert found.scope.notebook.startswith("Purple Flea agents")
    monitors = [item for item in found.wanted if item.kind is ObjectKind.MONITOR]
    assert all("purpleflea-uid:uid-1" in item.definition.body["tags"] for item in monitors)


def test_what_proves_an_object_ours_are_the_ids_remembered_and_those_that_a_look_shows():
    """After a lost status composites can be told from copies still: their members are seen."""
    found = goal(a_spec(), "uid-1", SharedResources(wanted=frozenset({"agent.heartbeat"})))
    composite = Reference(kind=ObjectKind.MONITOR, key="degraded")
    rate, latency = next(
        item.definition.references
        for item in found.wanted
        if item.definition.reference == composite
    )
    seen = next(item for item in found.wanted if item.definition.reference == latency)
    survey = Inventory(
        objects={
            ObjectKind.MONITOR: (RemoteObject(kind=seen.kind, id="8", body=seen.definition.body),),
            ObjectKind.SCANNER: (RemoteObject(kind=ObjectKind.SCANNER, id="org", body={}),),
        }
    )
    known = ObjectRecord(kind=rate.kind, key=rate.key, state=State.IN_SYNC, id="7", adopted=True)
    proof = found.proof(
        ObjectRegistry([known]), survey, made=frozenset({(ObjectKind.MONITOR, "7")})
    )
    assert proof.bodies[composite]["query"] == "7 && 8"
    assert Reference(kind=ObjectKind.MONITOR, key="slo-fast-burn") not in proof.bodies
    assert Reference(kind=ObjectKind.SCANNER_GROUP, key="agents") in proof.bodies
    assert (proof.adopted, proof.shared) == ({(ObjectKind.MONITOR, "7")}, {"agent.heartbeat"})


def test_the_example_is_valid_nothing_of_it_is_ignored_and_it_says_the_defaults(repository):
    text = (repository / "examples" / "observability.yaml").read_text()
    spec = ObservabilitySpec.model_validate(yaml.safe_load(text)["spec"], extra="forbid")
    assert spec == a_spec(keysSecretRef={"name": "datadog-keys"})


def test_thresholds_that_contradict_each_other_make_no_goal():
    with pytest.raises(ValueError, match="balance: critical"):
        goal(a_spec(thresholds={"balance": {"critical": 300}}), "uid-1")
