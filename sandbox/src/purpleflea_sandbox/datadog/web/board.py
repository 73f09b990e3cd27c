"""Data of the page: the dashboard's widgets, the template variables, the monitors. Pure.

It does not depend on HTTP or on the drawing.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from purpleflea_sandbox.datadog.evaluation import messages
from purpleflea_sandbox.datadog.evaluation.monitors import MonitorState, Notification
from purpleflea_sandbox.datadog.evaluation.received import Received
from purpleflea_sandbox.datadog.evaluation.states import SEVERITY
from purpleflea_sandbox.datadog.evaluation.tracks import Remembered
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.web import objectives, records, widgets
from purpleflea_sandbox.datadog.web.definitions import Body, Definitions
from purpleflea_sandbox.datadog.web.view import WINDOWS_S, View

_MOST_OPTIONS = 2_000
_MOST_GROUPS = 100
_MOST_TOLD = 30


def chosen(definitions: Definitions, dashboard_id: str) -> Body | None:
    """Return the dashboard with that id, else the first dashboard, or None if there is none."""
    found = list(definitions.all_dashboards())
    return next(
        (one for one in found if str(one.get("id")) == dashboard_id), next(iter(found), None)
    )


def variables(dashboard: Body, store: Store, view: View) -> list[Mapping[str, Any]]:
    """Return the template variables with their values and options."""
    shown: list[Mapping[str, Any]] = []
    for one in dashboard.get("template_variables") or ():
        name = one.get("prefix") or one["name"]
        default = next(iter(one.get("defaults") or ()), "*")
        value = view.variables.get(one["name"], default)
        options = {*records.known_values(store, name)[:_MOST_OPTIONS], value, "*"}
        shown.append(
            {
                "name": one["name"],
                "value": value,
                "default": default,
                "options": sorted(options, key=lambda text: (text != "*", text)),
            }
        )
    return shown


def frame(dashboard: Body, store: Store, view: View, definitions: Definitions) -> dict[str, Any]:
    """Return all data of the dashboard except the widgets."""
    return {
        "id": str(dashboard.get("id", "")),
        "title": dashboard["title"],
        "description": dashboard.get("description") or "",
        "dashboards": [
            {"id": str(one.get("id", "")), "title": one["title"]}
            for one in definitions.all_dashboards()
        ],
        "variables": variables(dashboard, store, view),
        "window": view.window_s,
        "windows": list(WINDOWS_S),
        "totals": {
            "series": len(store.series),
            "traces": len(store.traces),
            "logs": len(store.logs),
        },
    }


def scene(
    dashboard: Body, store: Store, view: View, definitions: Definitions, now: float
) -> widgets.Scene:
    """Create the context that the dashboard's widgets are computed from."""
    values = {one["name"]: one["value"] for one in variables(dashboard, store, view)}
    return widgets.Scene(
        store=store,
        definitions=definitions,
        view=view,
        variables=values,
        now=now,
        source=Remembered(Received(store)),
    )


def widget(position: int, placed: Body, one: widgets.Scene) -> Mapping[str, Any]:
    """Return one widget with its layout and data."""
    definition = placed["definition"]
    return {
        "id": f"w{position}",
        "type": definition["type"],
        "title": definition.get("title") or "",
        "layout": placed.get("layout") or {"width": 12, "height": 2},
        **widgets.data(definition, one),
    }


def monitors(definitions: Definitions, states: Mapping[str, MonitorState]) -> list[Any]:
    """Return the monitors, worst status first."""
    shown = [_monitor(one, states.get(str(one["id"]))) for one in definitions.all_monitors()]
    return sorted(shown, key=lambda one: (-one["rank"], one["name"]))


def slos(definitions: Definitions, store: Store, now: float) -> list[Any]:
    """Return the current state of metric-based SLOs."""
    return [
        objectives.shown(one, Received(store), now)
        for one in definitions.all_objectives().values()
        if one.get("type", "metric") == "metric"
    ]


def told(notifications: Iterable[Notification]) -> list[Any]:
    """Return the newest notifications."""
    return [
        {
            "at": int(note.at * 1000),
            "monitor": note.name,
            "scope": messages.scope(note.group),
            "before": str(note.turn.before),
            "status": str(note.turn.after),
            "text": note.text,
            "reminder": note.turn.is_reminder,
        }
        for note in list(notifications)[: -_MOST_TOLD - 1 : -1]
    ]


def _monitor(definition: Body, state: MonitorState | None) -> dict[str, Any]:
    state = state or MonitorState()
    groups = sorted(state.groups.items(), key=lambda one: (-SEVERITY.index(one[1].status), one[0]))
    thresholds = (definition.get("options") or {}).get("thresholds") or {}
    return {
        "id": str(definition["id"]),
        "name": definition["name"],
        "type": definition["type"],
        "query": definition["query"],
        "priority": definition.get("priority"),
        "thresholds": thresholds,
        "status": str(state.status),
        "rank": SEVERITY.index(state.status),
        "refusal": state.refusal,
        "found": len(groups),
        "groups": [
            {
                "scope": messages.scope(group),
                "status": str(one.status),
                "value": one.value,
                "changed": int(one.changed * 1000),
            }
            for group, one in groups[:_MOST_GROUPS]
        ],
    }
