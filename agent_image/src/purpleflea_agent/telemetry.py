"""Import paths of code for the published integration, such as purpleflea_agent.telemetry.metrics.

The modules are those of purpleflea_sdk.telemetry, so both paths share their state: see docs/published-page.md.
"""

import sys

from purpleflea_sdk.telemetry import logs, metrics, tracing

__all__ = ["logs", "metrics", "tracing"]

for _module in (logs, metrics, tracing):
    sys.modules[f"{__name__}.{_module.__name__.rpartition('.')[2]}"] = _module
