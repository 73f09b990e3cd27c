"""The comparison finds exactly the edited fields in a fixed set of responses of Datadog's API."""

import json
from pathlib import Path

import pytest

from purpleflea_operator.controllers.observability.decisions.payloads import differences
from purpleflea_operator.datadog.client.models import WRAPPED
from purpleflea_operator.datadog.definitions.objects import ObjectKind

FOLDER = Path(__file__).parents[4] / "data" / "datadog-responses"
RESPONSES = {path.stem: json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))}


@pytest.mark.parametrize("name", RESPONSES)
def test_only_edited_fields_differ(name):
    recorded = RESPONSES[name]
    kind = ObjectKind(recorded["kind"])
    request = recorded["request"]
    body = {"data": {"attributes": request}} if kind in WRAPPED else request
    assert sorted(differences(kind, body, recorded["response"])) == sorted(recorded["differences"])


def test_each_kind_with_fields_is_recorded():
    kinds = {recorded["kind"] for recorded in RESPONSES.values()}
    assert kinds == {str(kind) for kind in ObjectKind} - {"scanner", "log-index-order"}


def test_each_response_has_a_source_and_differs_from_its_request():
    for recorded in RESPONSES.values():
        assert ".yaml" in recorded["source"] or ".go" in recorded["source"]
        assert recorded["response"] != recorded["request"]
