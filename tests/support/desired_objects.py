"""Numbers of Datadog objects that the operator creates for a resource with the default features.

The numbers are derived from the definitions, so a new monitor needs no change in tests that count objects.
"""

from purpleflea_operator.datadog.definitions import catalog
from purpleflea_operator.datadog.definitions.objects import ObjectKind
from purpleflea_operator.datadog.definitions.parameters import Parameters

DEFAULT = catalog.wanted(Parameters())
OBJECTS = len(DEFAULT)


def number(kind: ObjectKind) -> int:
    """Return the number of objects of a kind."""
    return sum(item.kind is kind for item in DEFAULT)


MONITORS = number(ObjectKind.MONITOR)
METRICS = number(ObjectKind.METRIC_TAGS)
SCANNER_OBJECTS = number(ObjectKind.SCANNER_GROUP) + number(ObjectKind.SCANNER_RULE)
