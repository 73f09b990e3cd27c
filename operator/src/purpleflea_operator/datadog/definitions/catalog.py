"""Catalog of all objects, in the sequence in which they can be created.

An object that others refer to comes first. The controller, the Terraform module and the JSON export use the catalog.
"""

from purpleflea_operator.datadog.definitions import (
    dashboard,
    logs,
    metric_tags,
    monitors,
    notebook,
    scanner,
    slo,
)
from purpleflea_operator.datadog.definitions.objects import Definition
from purpleflea_operator.datadog.definitions.parameters import Parameters

BUILDERS = (
    metric_tags.definitions,
    monitors.definitions,
    slo.definitions,
    dashboard.definitions,
    logs.definitions,
    scanner.definitions,
    notebook.definitions,
)


def everything(parameters: Parameters) -> tuple[Definition, ...]:
    """Return all objects, also those of disabled features.

    Raises:
        ValueError: The levels of a monitor contradict each other.
    """
    return tuple(item for definitions in BUILDERS for item in definitions(parameters))


def wanted(parameters: Parameters) -> tuple[Definition, ...]:
    """Return the objects that are always created, and those of the enabled features."""
    return tuple(
        item
        for item in everything(parameters)
        if item.feature is None or item.feature in parameters.features
    )
