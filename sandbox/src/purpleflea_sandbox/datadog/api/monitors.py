"""Routes of /api/v1/monitor."""

from collections.abc import Iterable
from typing import Any

from purpleflea_sandbox.datadog.api import monitor_rules, monitor_search, references
from purpleflea_sandbox.datadog.api.errors import ApiError, forbidden, refused
from purpleflea_sandbox.datadog.api.organisation import (
    AUTHOR,
    NO_DATA,
    Document,
    Monitor,
    Organisation,
    iso,
)
from purpleflea_sandbox.datadog.api.routing import Answer, Call, Route
from purpleflea_sandbox.datadog.queries import read

_PAGE_SIZE = 100
_MAX_PAGE_SIZE = 1000


def routes() -> Iterable[Route]:
    base, scope = "/api/v1/monitor", "monitors_write"
    yield Route("POST", base, create, scope)
    yield Route("GET", base, list_all, "monitors_read")
    yield Route("POST", f"{base}/validate", validate, "monitors_read")
    yield Route("GET", f"{base}/can_delete", can_delete, "monitors_read")
    yield Route("GET", f"{base}/search", monitor_search.search, "monitors_read")
    yield Route("POST", f"{base}/{{id}}/validate", validate_existing, "monitors_read")
    yield Route("GET", f"{base}/{{id}}", get_one, "monitors_read")
    yield Route("PUT", f"{base}/{{id}}", update, scope)
    yield Route("DELETE", f"{base}/{{id}}", delete, scope)


def create(call: Call) -> Answer:
    organisation, body = call.organisation, call.document()
    _check_log_monitor_permission(call, str(body.get("type", "")))
    definition = monitor_rules.definition(organisation, body)
    same = monitor_rules.duplicate(organisation, definition)
    if same is not None:
        org = organisation.org_id
        raise refused(400, f"Duplicate of an existing monitor_id:{same.id} org_id:{org}")
    now = organisation.now()
    monitor = Monitor(
        id=organisation.ids.number(), definition=definition, created=now, modified=now
    )
    organisation.monitors[monitor.id] = monitor
    return Answer(body=shown(organisation, monitor))


def list_all(call: Call) -> Answer:
    """List all monitors by id. If neither `page` nor `page_size` is set, the result is not paged."""
    wanted = set(call.listed("monitor_tags"))
    scopes = set(call.listed("tags"))
    name = call.query.get("name", "")
    offset = call.number("id_offset", 0)
    matches = [
        monitor
        for _, monitor in sorted(call.organisation.monitors.items())
        if wanted <= set(monitor.tags)
        and name in monitor.definition["name"]
        and all(scope in monitor.definition["query"] for scope in scopes)
        and (not offset or monitor.id > offset)
    ]
    matches = _page(call, matches)
    states = _group_states(call)
    return Answer(body=[shown(call.organisation, monitor, states) for monitor in matches])


def get_one(call: Call) -> Answer:
    return Answer(body=shown(call.organisation, _monitor(call), _group_states(call)))


def update(call: Call) -> Answer:
    monitor = _monitor(call)
    _check_log_monitor_permission(call, monitor.definition["type"])
    definition = monitor_rules.updated(call.organisation, monitor, call.document())
    if definition["query"] != monitor.definition["query"]:
        monitor.overall_state, monitor.groups = NO_DATA, {}
    monitor.definition, monitor.modified = definition, call.organisation.now()
    return Answer(body=shown(call.organisation, monitor))


def delete(call: Call) -> Answer:
    monitor = _monitor(call)
    obstacles = references.monitor_obstacles(call.organisation, monitor)
    if obstacles and not call.flag("force"):
        raise refused(400, *obstacles)
    del call.organisation.monitors[monitor.id]
    return Answer(body={"deleted_monitor_id": monitor.id})


def can_delete(call: Call) -> Answer:
    free: list[int] = []
    errors: dict[str, list[str]] = {}
    for text in call.listed("monitor_ids"):
        monitor = _monitor_by_id(call.organisation, text)
        if obstacles := references.monitor_obstacles(call.organisation, monitor):
            errors[text] = obstacles
        else:
            free.append(monitor.id)
    answer = {"data": {"ok": free}, "errors": errors or None}
    return Answer(status=409 if errors else 200, body=answer)


def validate(call: Call) -> Answer:
    monitor_rules.definition(call.organisation, call.document())
    return Answer(body={})


def validate_existing(call: Call) -> Answer:
    monitor_rules.updated(call.organisation, _monitor(call), call.document())
    return Answer(body={})


def shown(organisation: Organisation, monitor: Monitor, states: Iterable[str] = ()) -> Document:
    """Return a monitor in the API's format. `states` selects the groups to include; `all` includes every group."""
    condition = read.condition(monitor.definition["query"], monitor.definition["type"])
    document: Document = {
        "id": monitor.id,
        "org_id": organisation.org_id,
        **monitor.definition,
        "multi": bool(monitor_rules.groups_by(condition)),
        "created": iso(monitor.created),
        "created_at": int(monitor.created * 1000),
        "modified": iso(monitor.modified),
        "deleted": None,
        "creator": AUTHOR,
        "draft_status": "published",
        "matching_downtimes": [],
        "overall_state": monitor.overall_state,
        "overall_state_modified": monitor.state_modified and iso(monitor.state_modified),
    }
    wanted = set(states)
    if wanted:
        document["state"] = {"groups": _groups(monitor, wanted)}
    return document


def _groups(monitor: Monitor, wanted: set[str]) -> dict[str, Any]:
    return {
        name: {"name": name, **group}
        for name, group in monitor.groups.items()
        if "all" in wanted or str(group.get("status", "")).lower() in wanted
    }


def _group_states(call: Call) -> list[str]:
    return [state.lower() for state in call.listed("group_states")]


def _page(call: Call, monitors: list[Monitor]) -> list[Monitor]:
    size = min(call.number("page_size", _PAGE_SIZE), _MAX_PAGE_SIZE)
    if "page" in call.query:
        start = call.number("page", 0) * size
        return monitors[start : start + size]
    return monitors[:size] if "page_size" in call.query else monitors


def _monitor(call: Call) -> Monitor:
    return _monitor_by_id(call.organisation, call.parts["id"])


def _monitor_by_id(organisation: Organisation, text: str) -> Monitor:
    monitor = organisation.monitors.get(int(text)) if text.isdigit() else None
    if monitor is None:
        raise ApiError(404, {"errors": ["Monitor not found"]})
    return monitor


def _check_log_monitor_permission(call: Call, kind: str) -> None:
    """Raise ApiError if a log monitor is written with a scoped application key; Datadog requires an unscoped key."""
    if kind == "log alert" and call.key.scopes is not None:
        raise forbidden()
