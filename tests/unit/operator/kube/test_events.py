from datetime import UTC, datetime

import kubernetes_validate

from purpleflea_operator.kube.events import MAX_MESSAGE_LENGTH, Event, event_manifest
from support.builders import an_agent

NOW = datetime(2026, 1, 1, 12, tzinfo=UTC)


def a_turn(message="m"):
    return Event(type="Warning", reason="DatadogInstalledNotFound", message=message)


def test_an_event_is_about_the_agent_and_valid():
    found = event_manifest(an_agent(), a_turn(), NOW)
    assert found["involvedObject"]["uid"] == "agent-uid"
    assert found["metadata"]["namespace"] == "trading"
    kubernetes_validate.validate(found, "1.37", strict=True)


def test_the_same_turn_at_the_same_moment_has_the_same_name():
    first, second = (
        event_manifest(an_agent(), a_turn(), NOW),
        event_manifest(an_agent(), a_turn(), NOW),
    )
    assert first["metadata"]["name"] == second["metadata"]["name"]


def test_a_long_message_is_cut_to_what_the_api_server_takes():
    assert len(event_manifest(an_agent(), a_turn("x" * 5000), NOW)["message"]) == MAX_MESSAGE_LENGTH
