from dataclasses import replace

import pytest
import yaml

from purpleflea_operator.api.observability import LogIndex, ObservabilitySpec
from purpleflea_operator.api.observability_status import ObjectState
from purpleflea_operator.controllers.observability.decisions.desired import desired_state
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


def test_the_defaults_of_the_spec_are_those_of_the_catalog():
    assert parameters(a_spec()) == replace(Parameters(), other_indexes=())


def test_every_field_of_the_spec_is_passed_to_the_catalog():
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
def test_a_target_has_the_handle_that_datadog_expects(text, handle):
    assert target(text).handle == handle
    spec = a_spec(notifications={"trading": [text], "paging": [], "infrastructure": []})
    assert parameters(spec).notifications.trading[0].handle == handle


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
        (
            {"site": "uk1.datadoghq.com"},
            "https://api.uk1.datadoghq.com",
            "https://uk1.datadoghq.com",
        ),
        (
            {"site": "us2.ddog-gov.com"},
            "https://api.us2.ddog-gov.com",
            "https://us2.ddog-gov.com",
        ),
        ({"url": "https://dd.example.com/"}, "https://dd.example.com", "https://dd.example.com"),
    ],
)
def test_a_site_has_an_api_url_and_a_page_url(fields, api, page):
    spec = a_spec(**fields)
    assert (api_url(spec, ["https://dd.example.com"]), page_url(spec)) == (api, page)


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8080",
        "http://127.0.0.1:1234",
        "http://127.0.0.53",
        "http://[::1]:8080",
        "http://[::1]",
        "http://datadog-api:8080",
        "http://datadog-api.datadog.svc:8080",
        "http://datadog-api.datadog.svc.cluster.local",
    ],
)
def test_plain_http_is_allowed_only_with_the_field_and_inside_the_cluster(url):
    assert api_url(a_spec(url=url, allowInsecureUrl=True), [f"{url}/"]) == url
    with pytest.raises(ValueError, match="must be https"):
        api_url(a_spec(url=url), [url])


@pytest.mark.parametrize(
    "url",
    [
        "http://example.com",
        "http://localhost.example.com",
        "http://a.svc.example.com",
        "http://127.0.0.1.example.com",
        "http://10.0.0.7:8080",
        "http://2130706433",
        "http://[::2]",
        "http://[fd00::7]:8080",
        "http://[::ffff:203.0.113.7]:8080",
        "http://[::1].example.com",
    ],
)
def test_plain_http_outside_the_cluster_is_never_allowed(url):
    with pytest.raises(ValueError, match="must be https"):
        api_url(a_spec(url=url, allowInsecureUrl=True), [url])


@pytest.mark.parametrize("allowed", [[], ["https://dd.example.com.evil.example"]])
def test_keys_are_sent_only_to_allowed_urls(allowed):
    with pytest.raises(ValueError, match=r"observability\.urls"):
        api_url(a_spec(url="https://dd.example.com"), allowed)


def test_the_desired_state_has_every_wanted_object_with_the_uid():
    desired = desired_state(a_spec(driftPolicy="Keep", mode="Plan", adoptFrom=["old"]), "uid-1")
    assert len(desired.objects) == len(catalog.wanted(Parameters()))
    assert (desired.keeps_edits, desired.is_plan, desired.owners) == (True, True, ("uid-1", "old"))
    assert desired.list_filter.service == "purpleflea-trading-agent"
    assert desired.list_filter.notebook.startswith("Purple Flea agents")
    monitors = [item for item in desired.objects if item.kind is ObjectKind.MONITOR]
    assert all("purpleflea-uid:uid-1" in item.definition.body["tags"] for item in monitors)


def test_the_ownership_evidence_uses_recorded_and_listed_ids():
    """After a lost status, composites can still be distinguished from copies, because their members are listed."""
    desired = desired_state(
        a_spec(), "uid-1", SharedResources(wanted=frozenset({"agent.heartbeat"}))
    )
    composite = Reference(kind=ObjectKind.MONITOR, key="degraded")
    rate, latency = next(
        item.definition.references
        for item in desired.objects
        if item.definition.reference == composite
    )
    listed = next(item for item in desired.objects if item.definition.reference == latency)
    inventory = Inventory(
        objects={
            ObjectKind.MONITOR: (
                RemoteObject(kind=listed.kind, id="8", body=listed.definition.body),
            ),
            ObjectKind.SCANNER: (RemoteObject(kind=ObjectKind.SCANNER, id="org", body={}),),
        }
    )
    recorded = ObjectRecord(
        kind=rate.kind, key=rate.key, state=ObjectState.IN_SYNC, id="7", adopted=True
    )
    evidence = desired.ownership_evidence(
        ObjectRegistry([recorded]), inventory, created=frozenset({(ObjectKind.MONITOR, "7")})
    )
    assert evidence.bodies[composite]["query"] == "7 && 8"
    assert Reference(kind=ObjectKind.MONITOR, key="slo-fast-burn") not in evidence.bodies
    assert Reference(kind=ObjectKind.SCANNER_GROUP, key="agents") in evidence.bodies
    assert (evidence.adopted, evidence.shared) == ({(ObjectKind.MONITOR, "7")}, {"agent.heartbeat"})


def test_the_example_is_valid_without_unknown_fields_and_shows_the_defaults(repository):
    text = (repository / "examples" / "observability.yaml").read_text()
    spec = ObservabilitySpec.model_validate(yaml.safe_load(text)["spec"], extra="forbid")
    assert spec == a_spec(keysSecretRef={"name": "datadog-keys"})


def test_contradicting_thresholds_are_rejected():
    with pytest.raises(ValueError, match="balance: critical"):
        desired_state(a_spec(thresholds={"balance": {"critical": 300}}), "uid-1")
