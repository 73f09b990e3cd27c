"""Routes of /api/v1/dashboard. Widgets are validated as strictly as Datadog validates them."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from purpleflea_sandbox.datadog.api import shapes
from purpleflea_sandbox.datadog.api.errors import refused
from purpleflea_sandbox.datadog.api.organisation import AUTHOR, Document, Organisation, iso
from purpleflea_sandbox.datadog.api.routing import Answer, Call, Route

_CLIENT_FIELDS = (
    "title",
    "description",
    "layout_type",
    "reflow_type",
    "template_variables",
    "template_variable_presets",
    "widgets",
    "notify_list",
    "is_read_only",
    "restricted_roles",
    "tags",
)
_LISTED = ("id", "title", "description", "layout_type", "url", "is_read_only")
_MAX_TAGS = 5
_WIDGET = re.compile(r"widgets\[(\d+)\]")


def routes() -> Iterable[Route]:
    base, scope = "/api/v1/dashboard", "dashboards_write"
    yield Route("POST", base, create, scope)
    yield Route("GET", base, list_all, "dashboards_read")
    yield Route("DELETE", base, delete_several, scope)
    yield Route("GET", f"{base}/{{id}}", get_one, "dashboards_read")
    yield Route("PUT", f"{base}/{{id}}", update, scope)
    yield Route("DELETE", f"{base}/{{id}}", delete, scope)


def create(call: Call) -> Answer:
    body = call.document()
    _check(body)
    organisation = call.organisation
    identifier, now = organisation.ids.dashed(), iso(organisation.now())
    dashboard = _stored(organisation, body) | {
        "id": identifier,
        "url": f"/dashboard/{identifier}/{_slug(body['title'])}",
        "author_handle": AUTHOR["handle"],
        "author_name": AUTHOR["name"],
        "created_at": now,
        "modified_at": now,
    }
    organisation.dashboards[identifier] = dashboard
    return Answer(body=dashboard)


def list_all(call: Call) -> Answer:
    """List all dashboards, without their widgets and tags."""
    start, count = call.number("start", 0), call.number("count", 100)
    dashboards = list(call.organisation.dashboards.values())[start : start + count]
    shown = ("author_handle", "created_at", "modified_at", *_LISTED)
    return Answer(
        body={
            "dashboards": [
                {name: dashboard.get(name) for name in shown} for dashboard in dashboards
            ]
        }
    )


def get_one(call: Call) -> Answer:
    return Answer(body=_dashboard(call))


def update(call: Call) -> Answer:
    dashboard, body = _dashboard(call), call.document()
    _check(body)
    kept = {name: dashboard[name] for name in dashboard if name not in _CLIENT_FIELDS}
    dashboard.clear()
    dashboard.update(_stored(call.organisation, body) | kept)
    dashboard["modified_at"] = iso(call.organisation.now())
    return Answer(body=dashboard)


def delete(call: Call) -> Answer:
    identifier = _dashboard(call)["id"]
    del call.organisation.dashboards[identifier]
    return Answer(body={"deleted_dashboard_id": identifier})


def delete_several(call: Call) -> Answer:
    """Delete all listed dashboards, or none if one of them does not exist."""
    listed = call.document().get("data")
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed):
        raise refused(400, "Invalid payload: data has to list dashboards")
    ids = [str(item.get("id")) for item in listed]
    if missing := [item for item in ids if item not in call.organisation.dashboards]:
        raise refused(404, f"Dashboards not found: {', '.join(missing)}")
    for identifier in ids:
        call.organisation.dashboards.pop(identifier, None)
    return Answer(status=204)


def _check(body: Document) -> None:
    widgets = body.get("widgets")
    for fault in shapes.faults(body, "v1.Dashboard"):
        position = _WIDGET.match(fault)
        if position is None or not isinstance(widgets, list):
            raise refused(400, f"Invalid dashboard: {fault}")
        number = int(position.group(1))
        definition = widgets[number].get("definition") or {}
        raise refused(
            400,
            f"Invalid widget definition at position {number} of type {definition.get('type')}. "
            f"Error: {fault} is not valid under any of the given schemas.",
        )
    tags = body.get("tags") or []
    if len(tags) > _MAX_TAGS or not all(tag.startswith("team:") for tag in tags):
        raise refused(400, "Invalid dashboard: at most 5 tags, each with the key 'team'")
    if any(
        "default" in variable and "defaults" in variable
        for variable in body.get("template_variables") or ()
    ):
        raise refused(400, "Invalid dashboard: a template variable has either default or defaults")


def _stored(organisation: Organisation, body: Mapping[str, Any]) -> Document:
    # Without tags in the request, the response has none.
    # Recorded in TestAccDatadogDashboardJSONNoDiff.yaml of Terraform's provider.
    stored: Document = {"description": None, "notify_list": None, "is_read_only": False}
    stored |= {name: body[name] for name in _CLIENT_FIELDS if name in body}
    stored["widgets"] = [_with_id(organisation, widget) for widget in body["widgets"]]
    return stored


def _with_id(organisation: Organisation, widget: Mapping[str, Any]) -> Document:
    stored = {"id": organisation.ids.number()} | dict(widget)
    nested = widget["definition"].get("widgets")
    if nested is not None:
        children = [_with_id(organisation, child) for child in nested]
        stored["definition"] = dict(widget["definition"]) | {"widgets": children}
    return stored


def _slug(title: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-")


def _dashboard(call: Call) -> Document:
    dashboard = call.organisation.dashboards.get(call.parts["id"])
    if dashboard is None:
        raise refused(404, f"Dashboard with ID {call.parts['id']} not found")
    return dashboard
