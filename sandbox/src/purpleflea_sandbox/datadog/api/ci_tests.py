"""Routes that `pytest --ddtrace` calls: test results (MessagePack), and the settings it requests at startup.

Every feature that would skip or repeat tests is off.
"""

import gzip
from collections.abc import Iterable, Mapping
from typing import Any

import msgpack  # type: ignore[import-untyped]

from purpleflea_sandbox.datadog.api.errors import refused
from purpleflea_sandbox.datadog.api.routing import Answer, Call, Route

_SETTINGS = {
    "code_coverage": False,
    "tests_skipping": False,
    "itr_enabled": False,
    "require_git": False,
    "flaky_test_retries_enabled": False,
    "known_tests_enabled": False,
    "early_flake_detection": {"enabled": False},
    "test_management": {"enabled": False},
}


def routes() -> Iterable[Route]:
    yield Route("POST", "/api/v2/citestcycle", store_events, None, "events")
    settings = "/api/v2/libraries/tests/services/setting"
    yield Route("POST", settings, send_settings, None, "events")
    commits = "/api/v2/git/repository/search_commits"
    yield Route("POST", commits, known_commits, None, "events")
    yield Route("POST", "/api/v2/git/repository/packfile", accept, None, "events")
    yield Route("POST", "/api/v2/apmtelemetry", accept, None, "events")


def store_events(call: Call) -> Answer:
    """Store the events of a payload, each with the metadata of its session."""
    try:
        payload = msgpack.unpackb(_decompressed(call.raw), strict_map_key=False)
        metadata: Mapping[str, Any] = payload["metadata"]["*"]
        events = [dict(event) for event in payload["events"]]
    except (ValueError, KeyError, TypeError, OSError, msgpack.UnpackException) as error:
        raise refused(400, f"Payload is not in the expected format: {error}") from error
    for event in events:
        call.organisation.tests.append(event | {"metadata": dict(metadata)})
    return Answer(status=202, body={})


def send_settings(call: Call) -> Answer:
    attributes = {"type": "ci_app_tracers_test_service_settings", "attributes": _SETTINGS}
    return Answer(body={"data": {"id": "settings"} | attributes})


def known_commits(call: Call) -> Answer:
    """Report every commit as known, so that no history is uploaded."""
    return Answer(body={"data": call.document().get("data", [])})


def accept(call: Call) -> Answer:
    return Answer(status=204)


def _decompressed(raw: bytes) -> bytes:
    return gzip.decompress(raw) if raw[:2] == b"\x1f\x8b" else raw
