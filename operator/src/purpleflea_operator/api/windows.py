"""Evaluation windows of monitors: their form, and the shortest and longest window that Datadog accepts.

The CEL rules of the CRD, the checks of the operator and those of the Terraform variables are derived from the limits.
This module does not define which monitor has which window; see thresholds and objective.
"""

from dataclasses import dataclass
from typing import Annotated, ClassVar, Self

from pydantic import Field, JsonValue, model_validator
from pydantic.alias_generators import to_camel

from purpleflea_contract.quantities import duration
from purpleflea_operator.api.documented import DocumentedModel
from purpleflea_operator.api.types import rule

Window = Annotated[str, Field(pattern="^[1-9][0-9]{0,2}[mh]$", max_length=4)]


@dataclass(frozen=True, slots=True, kw_only=True)
class WindowLimits:
    """Shortest and longest window that Datadog accepts. `shortest` is empty if each window is long enough."""

    longest: str
    shortest: str = ""

    @property
    def text(self) -> str:
        """The limits for a message, such as "at most 48h"."""
        return (
            f"from {self.shortest} to {self.longest}"
            if self.shortest
            else f"at most {self.longest}"
        )

    def contain(self, window: str) -> bool:
        """Return whether the window is within the limits."""
        is_long_enough = not self.shortest or duration(self.shortest) <= duration(window)
        return is_long_enough and duration(window) <= duration(self.longest)

    def rule(self, name: str) -> JsonValue:
        """Return the CEL rule for the field of this name."""
        expression = f"duration(self.{name}) <= duration('{self.longest}')"
        if self.shortest:
            expression += f" && duration(self.{name}) >= duration('{self.shortest}')"
        return rule(expression, f"{name} must be {self.text}")


METRIC_WINDOW = WindowLimits(longest="168h")
"""Window of a metric monitor (Datadog API reference, "Create a monitor")."""
LOG_WINDOW = WindowLimits(longest="48h")
"""Window of a log monitor."""
BURN_WINDOW = WindowLimits(shortest="1h", longest="48h")
"""Long window of a burn rate (Datadog documentation, "Burn Rate Alerts")."""


class WindowedModel(DocumentedModel):
    """Base of models with a window. `window_limits` has the limits of each limited window by the name of its field."""

    window_limits: ClassVar[dict[str, WindowLimits]] = {"window": METRIC_WINDOW}

    @model_validator(mode="after")
    def _is_accepted(self) -> Self:
        """Refuse a window that Datadog refuses. The API server refuses it, but its CRD may be older."""
        windows = dict(self)
        for name, limits in self.window_limits.items():
            if not limits.contain(windows[name]):
                raise ValueError(f"{to_camel(name)} must be {limits.text}")
        return self

    @classmethod
    def cel_rules(cls) -> list[JsonValue]:
        """Return the rules for the windows."""
        return [limits.rule(to_camel(name)) for name, limits in cls.window_limits.items()]
