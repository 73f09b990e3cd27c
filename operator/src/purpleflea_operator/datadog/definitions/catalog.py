"""Everything there is, in the order in which it can be created: what others refer to comes first.

The controller, the Terraform module and the JSON export all start here.
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

FAMILIES = (
    metric_tags.definitions,
    monitors.definitions,
    slo.definitions,
    dashboard.definitions,
    logs.definitions,
    scanner.definitions,
    notebook.definitions,
)


def everything(parameters: Parameters) -> tuple[Definition, ...]:
    """All objects, chosen or not. Raises ValueError where the parameters contradict each other."""
    return tuple(item for family in FAMILIES for item in family(parameters))


def wanted(parameters: Parameters) -> tuple[Definition, ...]:
    """The objects of the chosen features."""
    return tuple(
        item
        for item in everything(parameters)
        if item.feature is None or item.feature in parameters.features
    )
