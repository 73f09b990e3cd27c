"""Selection of a viewer: the time window and the values of the template variables. Pure."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from purpleflea_sandbox.datadog.evaluation.time_grid import TimeGrid, round_grid

WINDOWS_S = (300, 900, 3600, 7200)
DEFAULT_WINDOW_S = 900
_PREFIX = "tpl_var_"
_MIN_STEP_S = 20
"""Minimum bucket length. Node agents may send every 10 s, so counts in shorter buckets would alternate."""
_MAX_BUCKETS = 60
_ALIGN_S = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class View:
    """A selection. If a variable has no entry in `variables`, its default applies."""

    window_s: int = DEFAULT_WINDOW_S
    variables: Mapping[str, str] = field(default_factory=dict)

    def grid(self, now: float) -> TimeGrid:
        """Return the buckets of the charts; they move in steps, so that charts do not flicker."""
        end = math.ceil(now / _ALIGN_S) * _ALIGN_S
        buckets = round_grid(
            self.window_s, end, max_buckets=min(_MAX_BUCKETS, self.window_s // _MIN_STEP_S)
        )
        return TimeGrid(end=end, step_s=buckets.step_s, count=buckets.count)


def from_query(query: Mapping[str, str]) -> View:
    """Parse the view from a query string. Raises ValueError if the window is not offered."""
    text = query.get("window", str(DEFAULT_WINDOW_S))
    if not text.isdigit() or int(text) not in WINDOWS_S:
        offered = ", ".join(map(str, WINDOWS_S))
        raise ValueError(f"window is {text!r}; it must be one of {offered} (seconds)")
    variables = {
        name.removeprefix(_PREFIX): value
        for name, value in query.items()
        if name.startswith(_PREFIX) and value
    }
    return View(window_s=int(text), variables=variables)
