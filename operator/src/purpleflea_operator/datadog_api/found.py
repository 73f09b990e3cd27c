"""What to look for in Datadog, and what was found: one object, and all that one look shows."""

from dataclasses import dataclass, field

from purpleflea_operator.datadog_api.errors import DatadogError
from purpleflea_operator.observability.objects import Body, Kind


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One object. `body` is its owned part; None where the list shows only that it exists, changed at `version`."""

    kind: Kind
    id: str
    body: Body | None
    version: str | None = None
    text: str = ""
    """Where marks stand of objects that take no tags and whose body is not shown."""
    title: str = ""
    """Name of an object whose body is not shown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """All that a look by lists shows."""

    objects: dict[Kind, tuple[Found, ...]] = field(default_factory=dict)
    hidden: dict[Kind, DatadogError] = field(default_factory=dict)
    """Kinds that could not be looked at, and why."""
    reporting: frozenset[str] = frozenset()
    """Metrics of ours that have reported of late."""

    def of(self, kind: Kind) -> tuple[Found, ...]:
        """The objects of a kind."""
        return self.objects.get(kind, ())


@dataclass(frozen=True, slots=True, kw_only=True)
class Scope:
    """What to look for: the tag of everything of ours, the service of the metrics, the name of the notebook."""

    tag: str
    service: str
    notebook: str
