from datetime import UTC, datetime

import kubernetes_validate

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


def test_a_long_message_is_cut_to_the_limit_of_the_api_server():
    assert (
        len(event_manifest(an_agent(), an_event("x" * 5000), NOW)["message"]) == MAX_MESSAGE_LENGTH
    )
