from dataclasses import replace
from datetime import UTC, datetime

import kubernetes_validate
import pytest

from purpleflea_contract.links import CONDITIONS_URL
from purpleflea_operator.kube.events import MAX_MESSAGE_LENGTH, Event, event_manifest
from support.builders import an_agent

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def an_event(message="m"):
    return Event(type="Warning", reason="DatadogInstalledNotFound", message=message)


def test_an_event_refers_to_the_agent_and_is_valid():
    manifest = event_manifest(an_agent(), an_event(), NOW)
    assert manifest["involvedObject"]["uid"] == "agent-uid"
    assert manifest["metadata"]["namespace"] == "trading"
    kubernetes_validate.validate(manifest, "1.37", strict=True)


def test_the_same_event_in_the_same_second_has_the_same_name():
    first, second = (
        event_manifest(an_agent(), an_event(), NOW),
        event_manifest(an_agent(), an_event(), NOW),
    )
    assert first["metadata"]["name"] == second["metadata"]["name"]


def test_two_events_about_one_object_in_the_same_second_have_different_names():
    first, second = (event_manifest(an_agent(), an_event(text), NOW) for text in ("a", "b"))
    assert first["metadata"]["name"] != second["metadata"]["name"]


@pytest.mark.parametrize("kind", ["Normal", "Warning"])
def test_a_long_message_is_cut_to_the_limit_of_the_api_server(kind):
    event = Event(type=kind, reason="TelemetryReadyApmOff", message="x" * 5000)
    assert len(event_manifest(an_agent(), event, NOW)["message"]) == MAX_MESSAGE_LENGTH


@pytest.mark.parametrize(
    ("kind", "condition", "reason", "anchor"),
    [
        ("PurpleFleaAgent", "TelemetryReady", "ApmOff", "telemetryready-apmoff"),
        ("PurpleFleaHalt", "Halted", "Halting", "halt-halted-halting"),
        ("PurpleFleaObservability", "Degraded", "DegradedBy", "observability-degraded-degradedby"),
        ("PurpleFleaObservability", "", "GaveUp", "event-gaveup"),
        ("Lease", "", "NamespaceNotWatched", "event-namespacenotwatched"),
    ],
)
def test_the_message_of_a_warning_ends_with_the_address_of_its_runbook(
    kind, condition, reason, anchor
):
    event = Event(type="Warning", condition=condition, reason=f"{condition}{reason}", message="m")
    found = event_manifest({**an_agent(), "kind": kind}, event, NOW)["message"]
    assert found == f"m; runbook: {CONDITIONS_URL}#{anchor}"
    long = replace(event, message="x" * 5000)
    cut = event_manifest({**an_agent(), "kind": kind}, long, NOW)["message"]
    assert cut.endswith(f"x; runbook: {CONDITIONS_URL}#{anchor}")
    assert len(cut) == MAX_MESSAGE_LENGTH


def test_the_message_of_a_recovery_has_no_address():
    event = Event(type="Normal", condition="Ready", reason="ReadyReady", message="works")
    assert event_manifest(an_agent(), event, NOW)["message"] == "works"
