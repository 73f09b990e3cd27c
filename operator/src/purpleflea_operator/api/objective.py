"""PurpleFleaObservability v1alpha1: spec.objective, the service level objective and its burn rates.

This module is the only source of their names, types, bounds, defaults and descriptions. The CRD, the Terraform
variables and the defaults of the exported JSON are derived from it. It does not define queries or messages.
"""

from typing import Annotated, ClassVar, Literal, Self

from pydantic import ConfigDict, Field, JsonValue, model_validator

from purpleflea_contract.quantities import duration
from purpleflea_operator.api.documented import DocumentedModel
from purpleflea_operator.api.types import rule
from purpleflea_operator.api.windows import BURN_WINDOW, Window, WindowedModel, WindowLimits

Rate = Annotated[float, Field(ge=1, le=1000)]

FULL_BUDGET = 99.999999
"""Percent of failed calls at which a burn rate reaches its maximum, less a margin for the rounding of floats."""
SHORTER = "shortWindow must be shorter than longWindow"


class BurnRate(WindowedModel):
    """Base of the burn rates, with the CEL rules for their windows. A subclass has `long_window` and `short_window`."""

    window_limits: ClassVar[dict[str, WindowLimits]] = {"long_window": BURN_WINDOW}

    @model_validator(mode="after")
    def _is_shorter(self) -> Self:
        """Refuse a short window that is not shorter. The API server refuses it, but its CRD may be older."""
        windows = dict(self)
        if duration(windows["short_window"]) >= duration(windows["long_window"]):
            raise ValueError(SHORTER)
        return self

    @classmethod
    def cel_rules(cls) -> list[JsonValue]:
        """Return the rules for the two windows."""
        shorter = rule("duration(self.shortWindow) < duration(self.longWindow)", SHORTER)
        return [shorter, *super().cel_rules()]


class FastBurn(BurnRate):
    """Burn rate of the error budget at which the paging targets are notified."""

    # 2 percent of a budget of 30 days in one hour.
    rate: Rate = 14.4
    """Alert if the budget burns more than this many times as fast as the timeframe allows. It must be
    less than 100 / (100 - target), the burn rate if every call fails."""
    long_window: Window = "1h"
    """Long window over which the rate must be exceeded, in minutes or hours, from 1h to 48h."""
    short_window: Window = "5m"
    """Short window over which the rate must also be exceeded, in minutes or hours, shorter than the long window."""


class SlowBurn(BurnRate):
    """Burn rate of the error budget that can wait for working hours."""

    # 5 percent of a budget of 30 days in six hours.
    rate: Rate = 6
    """Alert if the budget burns more than this many times as fast as the timeframe allows. It must be
    less than 100 / (100 - target), the burn rate if every call fails."""
    long_window: Window = "6h"
    """Long window over which the rate must be exceeded, in minutes or hours, from 1h to 48h."""
    short_window: Window = "30m"
    """Short window over which the rate must also be exceeded, in minutes or hours, shorter than the long window."""


class Objective(DocumentedModel):
    """Service level objective: successful API calls of all agents, in percent of all calls over the timeframe."""

    target: Annotated[float, Field(ge=50, le=99.999)] = 99
    """Percent of the calls that must succeed."""
    warning: Annotated[float, Field(ge=50, le=100)] = 99.5
    """Percent below which the objective warns. It must be more than target, and less than 100."""
    timeframe: Literal["7d", "30d", "90d"] = "30d"
    """Rolling timeframe of the objective: 7d, 30d or 90d."""
    fast_burn: FastBurn = FastBurn()
    slow_burn: SlowBurn = SlowBurn()

    # The export writes the target as a float, as it is parsed from the resource.
    model_config = ConfigDict(validate_default=True)

    @model_validator(mode="after")
    def _can_alert(self) -> Self:
        """Refuse a burn rate that is never exceeded. The API server refuses it, but its CRD may be older."""
        for name, burn in (("fastBurn", self.fast_burn), ("slowBurn", self.slow_burn)):
            if burn.rate * (100 - self.target) >= FULL_BUDGET:
                raise ValueError(_burns_too_fast(name))
        return self

    @classmethod
    def cel_rules(cls) -> list[JsonValue]:
        """Return the rules that the objective warns before it fails, and that each burn rate can be exceeded."""
        return [
            rule("self.warning > self.target", "warning must be above target"),
            rule("self.warning < 100.0", "warning must be less than 100"),
            *(
                rule(
                    f"self.{name}.rate * (100.0 - self.target) < {FULL_BUDGET}",
                    _burns_too_fast(name),
                )
                for name in ("fastBurn", "slowBurn")
            ),
        ]


def _burns_too_fast(name: str) -> str:
    return f"{name}.rate must be less than 100 / (100 - target), because otherwise it is never exceeded"
