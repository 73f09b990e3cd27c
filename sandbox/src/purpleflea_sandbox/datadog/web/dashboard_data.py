"""Data of the page: the dashboard's widgets, the template variables, the monitors. Pure.

It does not depend on HTTP or on the drawing.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from purpleflea_sandbox.datadog.evaluation import messages
from purpleflea_sandbox.datadog.evaluation.data_source import StoreSource
from purpleflea_sandbox.datadog.evaluation.grouped_series import CachedSource
from purpleflea_sandbox.datadog.evaluation.monitors import MonitorState, Notification
from purpleflea_sandbox.datadog.evaluation.states import SEVERITY
from purpleflea_sandbox.datadog.intake.store import Store
from purpleflea_sandbox.datadog.web import objectives, traces_and_logs, widgets
from purpleflea_sandbox.datadog.web.definitions import Body, Definitions
from purpleflea_sandbox.datadog.web.view import WINDOWS_S, View

_MAX_OPTIONS = 2_000
_MAX_GROUPS = 100
_MAX_NOTIFICATIONS = 30


def select_dashboard(definitions: Definitions, dashboard_id: str) -> Body | None:
    """Return the dashboard with that id, else the first dashboard, or None if there is none."""
    dashboards = list(definitions.all_dashboards())
    return next(
        (dashboard for dashboard in dashboards if str(dashboard.get("id")) == dashboard_id),
        next(iter(dashboards), None),
    )


def variables(dashboard: Body, store: Store, view: View) -> list[Mapping[str, Any]]:
    """Return the template variables with their values and options."""
    items: list[Mapping[str, Any]] = []
    for variable in dashboard.get("template_variables") or ():
        name = variable.get("prefix") or variable["name"]
        default = next(iter(variable.get("defaults") or ()), "*")
        value = view.variables.get(variable["name"], default)
        options = {*traces_and_logs.known_values(store, name)[:_MAX_OPTIONS], value, "*"}
        items.append(
            {
                "name": variable["name"],
                "value": value,
                "default": default,
                "options": sorted(options, key=lambda text: (text != "*", text)),
            }
        )
    return items


def dashboard_frame(
    dashboard: Body, store: Store, view: View, definitions: Definitions
) -> dict[str, Any]:
    """Return all data of the dashboard except the widgets."""
    return {
        "id": str(dashboard.get("id", "")),
        "title": dashboard["title"],
        "description": dashboard.get("description") or "",
        "dashboards": [
            {"id": str(dashboard_.get("id", "")), "title": dashboard_["title"]}
            for dashboard_ in definitions.all_dashboards()
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


def widget_context(
    dashboard: Body, store: Store, view: View, definitions: Definitions, now: float
) -> widgets.WidgetContext:
    """Create the context that the dashboard's widgets are computed from."""
    values = {variable["name"]: variable["value"] for variable in variables(dashboard, store, view)}
    return widgets.WidgetContext(
        store=store,
        definitions=definitions,
        view=view,
        variables=values,
        now=now,
        source=CachedSource(StoreSource(store)),
    )


def widget(position: int, item: Body, context: widgets.WidgetContext) -> Mapping[str, Any]:
    """Return a widget with its layout and data."""
    definition = item["definition"]
    return {
        "id": f"w{position}",
        "type": definition["type"],
        "title": definition.get("title") or "",
        "layout": item.get("layout") or {"width": 12, "height": 2},
        **widgets.data(definition, context),
    }


def monitors(definitions: Definitions, states: Mapping[str, MonitorState]) -> list[Any]:
    """Return the monitors, worst status first."""
    items = [
        _monitor(monitor, states.get(str(monitor["id"]))) for monitor in definitions.all_monitors()
    ]
    return sorted(items, key=lambda monitor: (-monitor["rank"], monitor["name"]))


def slos(definitions: Definitions, store: Store, now: float) -> list[Any]:
    """Return the current state of metric-based SLOs."""
    return [
        objectives.objective_data(objective, StoreSource(store), now)
        for objective in definitions.all_objectives().values()
        if objective.get("type", "metric") == "metric"
    ]


def recent_notifications(notifications: Iterable[Notification]) -> list[Any]:
    """Return the newest notifications."""
    return [
        {
            "at": int(notification.at * 1000),
            "monitor": notification.name,
            "scope": messages.scope(notification.group),
            "before": str(notification.transition.before),
            "status": str(notification.transition.after),
            "text": notification.text,
            "reminder": notification.transition.is_reminder,
        }
        for notification in list(notifications)[: -_MAX_NOTIFICATIONS - 1 : -1]
    ]


def _monitor(definition: Body, state: MonitorState | None) -> dict[str, Any]:
    state = state or MonitorState()
    groups = sorted(
        state.groups.items(), key=lambda item: (-SEVERITY.index(item[1].status), item[0])
    )
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
        "group_count": len(groups),
        "groups": [
            {
                "scope": messages.scope(group),
                "status": str(item.status),
                "value": item.value,
                "changed": int(item.changed * 1000),
            }
            for group, item in groups[:_MAX_GROUPS]
        ],
    }
