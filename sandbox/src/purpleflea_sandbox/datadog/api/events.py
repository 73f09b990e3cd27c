"""Routes of events. Node agents and scripts send version 1; version 2 is used for changes and alerts."""

from collections.abc import Iterable

from purpleflea_sandbox.datadog.api import shapes
from purpleflea_sandbox.datadog.api.errors import refused
from purpleflea_sandbox.datadog.api.organisation import Document, iso
from purpleflea_sandbox.datadog.api.routing import Answer, Call, Route

_MAX_TEXT_LENGTH = 4000


def routes() -> Iterable[Route]:
    yield Route("POST", "/api/v1/events", create, None, "events")
    yield Route("GET", "/api/v1/events", list_all, "events_read")
    yield Route("GET", "/api/v1/events/{id}", get_one, "events_read")
    yield Route("POST", "/api/v2/events", create_v2, None, "events")
    yield Route("GET", "/api/v2/events", list_all_v2, "events_read")


def create(call: Call) -> Answer:
    body = call.document()
    if faults := shapes.faults(body, "v1.EventCreateRequest"):
        raise refused(400, *(f"Payload is not in the expected format: {fault}" for fault in faults))
    if len(body["text"]) > _MAX_TEXT_LENGTH:
        raise refused(400, f"The text of an event has at most {_MAX_TEXT_LENGTH} characters")
    now = int(call.organisation.now())
    identifier = call.organisation.ids.number()
    event = {"date_happened": now} | body | {"id": identifier, "id_str": str(identifier)}
    call.organisation.data.events.append(event)
    return Answer(status=202, body={"status": "ok", "event": event})


def list_all(call: Call) -> Answer:
    """List the version 1 events between `start` and `end`; both parameters are required."""
    for name in ("start", "end"):
        if name not in call.query:
            raise refused(400, f"The parameter '{name}' is required")
    start, end = call.number("start", 0), call.number("end", 0)
    wanted = set(call.listed("tags"))
    matches = [
        event
        for event in reversed(call.organisation.data.events)
        if "date_happened" in event
        and start <= event["date_happened"] <= end
        and wanted <= set(event.get("tags") or ())
    ]
    return Answer(body={"events": matches})


def get_one(call: Call) -> Answer:
    for event in call.organisation.data.events:
        if event.get("id_str") == call.parts["id"]:
            return Answer(body={"event": event})
    raise refused(404, "No event matches that event_id.")


def create_v2(call: Call) -> Answer:
    body = call.document()
    if faults := shapes.faults(body, "v2.EventCreateRequestPayload"):
        raise refused(400, *(f"Invalid payload: {fault}" for fault in faults))
    identifier = call.organisation.ids.uuid()
    attributes: Document = body["data"]["attributes"]
    event = {"id": identifier, "type": "event", "received": call.organisation.now()}
    call.organisation.data.events.append(event | {"attributes": attributes})
    shown = {"attributes": {"evt": {"id": identifier}}}
    return Answer(status=202, body={"data": {"type": "event", "attributes": shown}})


def list_all_v2(call: Call) -> Answer:
    """List the newest events of both versions, newest first."""
    limit = call.number("page[limit]", 10)
    newest = [_shown(event) for event in reversed(call.organisation.data.events)]
    return Answer(body={"data": newest[:limit], "meta": {"status": "done"}})


def _shown(event: Document) -> Document:
    """Return an event of either version in the format of version 2."""
    inner = event.get("attributes", event)
    shown = {
        "timestamp": iso(event.get("received") or event.get("date_happened", 0)),
        "tags": inner.get("tags", []),
        "message": inner.get("message") or inner.get("text", ""),
        "attributes": {
            name: inner[name] for name in ("title", "aggregation_key") if inner.get(name)
        },
    }
    return {"id": str(event.get("id", "")), "type": "event", "attributes": shown}
