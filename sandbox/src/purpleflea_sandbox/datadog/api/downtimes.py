"""Routes of /api/v2/downtime: one-time downtimes for monitors by tags, with a scope of groups."""

from collections.abc import Iterable
from datetime import UTC, datetime

from purpleflea_sandbox.datadog.api import shapes
from purpleflea_sandbox.datadog.api.errors import ApiError, refused
from purpleflea_sandbox.datadog.api.organisation import Document, Organisation, iso
from purpleflea_sandbox.datadog.api.routing import Answer, Call, Route

_SCOPE = "monitors_downtime"
_PAGE_SIZE = 30


def routes() -> Iterable[Route]:
    base = "/api/v2/downtime"
    yield Route("GET", base, list_all, _SCOPE)
    yield Route("POST", base, create, _SCOPE)
    yield Route("GET", f"{base}/{{id}}", get_one, _SCOPE)
    yield Route("PATCH", f"{base}/{{id}}", update, _SCOPE)
    yield Route("DELETE", f"{base}/{{id}}", cancel, _SCOPE)


def create(call: Call) -> Answer:
    body = call.document()
    if faults := shapes.faults(body, "v2.DowntimeCreateRequest"):
        raise refused(400, *(f"Invalid payload: {fault}" for fault in faults))
    attributes: Document = dict(body["data"]["attributes"])
    schedule = dict(attributes.get("schedule") or {})
    now = call.organisation.now()
    schedule.setdefault("start", iso(now))
    if schedule.get("end") and _seconds(schedule["end"]) <= now:
        raise refused(400, "Downtime end must be in the future")
    defaults = {"notify_end_types": ["expired"], "notify_end_states": ["alert", "no data", "warn"]}
    identifier = call.organisation.ids.uuid()
    call.organisation.downtimes[identifier] = {
        **defaults,
        **attributes,
        "schedule": schedule,
        "canceled": None,
        "created": iso(now),
        "modified": iso(now),
    }
    return Answer(body={"data": _shown(call, identifier)})


def list_all(call: Call) -> Answer:
    """List downtimes; `current_only` leaves out those that have ended."""
    shown = [_shown(call, identifier) for identifier in call.organisation.downtimes]
    if call.flag("current_only"):
        shown = [item for item in shown if item["attributes"]["status"] == "active"]
    start, size = call.number("page[offset]", 0), call.number("page[limit]", _PAGE_SIZE)
    meta = {"page": {"total_filtered_count": len(shown)}}
    return Answer(body={"data": shown[start : start + size], "meta": meta})


def get_one(call: Call) -> Answer:
    return Answer(body={"data": _shown(call, _existing(call))})


def update(call: Call) -> Answer:
    identifier, body = _existing(call), call.document()
    if faults := shapes.faults(body, "v2.DowntimeUpdateRequest"):
        raise refused(400, *(f"Invalid payload: {fault}" for fault in faults))
    call.organisation.downtimes[identifier] |= body["data"]["attributes"]
    return Answer(body={"data": _shown(call, identifier)})


def cancel(call: Call) -> Answer:
    call.organisation.downtimes[_existing(call)]["canceled"] = iso(call.organisation.now())
    return Answer(status=204)


def is_muted(organisation: Organisation, tags: Iterable[str], group: Iterable[str]) -> bool:
    """Return True if a downtime mutes a group of a monitor with these tags."""
    now, names = organisation.now(), set(group)
    return any(_mutes(item, tags, names, now) for item in organisation.downtimes.values())


def announces_end(
    organisation: Organisation, tags: Iterable[str], group: Iterable[str], status: str
) -> bool:
    """Return True if a downtime of the group has expired that requests a notification of this status then."""
    now, names = organisation.now(), set(group)
    return any(
        _status(item, now) == "ended"
        and "expired" in item["notify_end_types"]
        and status.lower() in item["notify_end_states"]
        and _applies(item, tags, names)
        for item in organisation.downtimes.values()
    )


def _mutes(downtime: Document, tags: Iterable[str], group: set[str], now: float) -> bool:
    return _status(downtime, now) == "active" and _applies(downtime, tags, group)


def _applies(downtime: Document, tags: Iterable[str], group: set[str]) -> bool:
    wanted = set(downtime["monitor_identifier"].get("monitor_tags", ()))
    return wanted <= {*tags, "*"} and _matches(downtime["scope"], group)


def _matches(scope: str, group: set[str]) -> bool:
    """Support the scopes `*`, `key:value` and `key:(value OR value)`."""
    if scope == "*":
        return True
    key, _, values = scope.partition(":")
    return any(f"{key}:{value}" in group for value in values.strip("()").split(" OR "))


def _existing(call: Call) -> str:
    identifier = call.parts["id"]
    if identifier not in call.organisation.downtimes:
        raise ApiError(404, {"errors": ["Downtime not found"]})
    return identifier


def _shown(call: Call, identifier: str) -> Document:
    downtime = call.organisation.downtimes[identifier]
    status = _status(downtime, call.organisation.now())
    return {"id": identifier, "type": "downtime", "attributes": {**downtime, "status": status}}


def _status(downtime: Document, now: float) -> str:
    if downtime["canceled"]:
        return "canceled"
    end = downtime["schedule"].get("end")
    return "ended" if end and _seconds(end) <= now else "active"


def _seconds(text: str) -> float:
    try:
        return datetime.fromisoformat(text).astimezone(UTC).timestamp()
    except ValueError as error:
        raise refused(400, f"{text} is not a time") from error
