"""References between objects, because a referenced object cannot be deleted. Pure."""

from collections.abc import Iterator
from typing import Any

from purpleflea_sandbox.datadog.api.organisation import Document, Monitor, Organisation
from purpleflea_sandbox.datadog.queries import read, tree


def members(condition: tree.CompositeCondition) -> tuple[int, ...]:
    """Return the ids of the monitors in a composite, from left to right."""
    match condition:
        case tree.Member(identifier):
            return (int(identifier),)
        case tree.Negated(part):
            return members(part)
        case tree.Joined(_, left, right):
            return (*members(left), *members(right))


def composites_of(organisation: Organisation, monitor_id: int) -> list[Monitor]:
    """Return the composite monitors that have this monitor as a member."""
    return [
        monitor
        for monitor in organisation.monitors.values()
        if monitor.definition["type"] == "composite"
        and monitor_id in members(read.condition(monitor.definition["query"], "composite"))  # type: ignore[arg-type]
    ]


def slos_of_monitor(organisation: Organisation, monitor_id: int) -> list[Document]:
    """Return the SLOs that are measured by this monitor."""
    return [slo for slo in organisation.slos.values() if monitor_id in slo.get("monitor_ids", ())]


def monitor_obstacles(organisation: Organisation, monitor: Monitor) -> list[str]:
    """Return the reasons that prevent deletion of a monitor, with the API's texts."""
    name = f"monitor [{monitor.id},{monitor.definition['name']}] is referenced in"
    obstacles = []
    if composites := composites_of(organisation, monitor.id):
        listed = ", ".join(f"{item.id},{item.definition['name']}" for item in composites)
        obstacles.append(f"{name} composite monitors: [{listed}]")
    if slos := slos_of_monitor(organisation, monitor.id):
        listed = ", ".join(f"{item['id']},{item['name']}" for item in slos)
        obstacles.append(f"{name} slos: [{listed}]")
    return obstacles


def slo_obstacle(organisation: Organisation, slo_id: str) -> str:
    """Return the reason that prevents deletion of an SLO; empty if there is none. Burn rate monitors of the SLO do
    not prevent it.
    """
    for dashboard in organisation.dashboards.values():
        if slo_id in set(_values(dashboard["widgets"], "slo_id")):
            return f"slo {slo_id} is referenced in dashboard_id: {dashboard['id']}"
    return ""


def _values(value: Any, key: str) -> Iterator[Any]:
    """Yield all values of a key at any depth."""
    if isinstance(value, dict):
        if key in value:
            yield value[key]
        for item in value.values():
            yield from _values(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from _values(item, key)
