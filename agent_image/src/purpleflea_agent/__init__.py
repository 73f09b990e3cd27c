"""The instrumented Purple Flea trading agent, and the library for agents that other teams write.

The library is `from purpleflea_agent import logs, metrics, tracing`. `serve` runs an agent of your own;
ControlFile, read_environment, read_settings and exit_within are its parts. These names are public and stable; all
other modules are the agent in our image and may change. Importing the package has no effects: each name is imported at
its first use.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from purpleflea_agent.control import ControlFile, SendBlocked
    from purpleflea_agent.exit_deadline import exit_within
    from purpleflea_agent.serving import Agent, serve
    from purpleflea_agent.settings import read_environment, read_settings
    from purpleflea_agent.telemetry import logs, metrics, tracing

__all__ = [
    "Agent",
    "ControlFile",
    "SendBlocked",
    "exit_within",
    "logs",
    "metrics",
    "read_environment",
    "read_settings",
    "serve",
    "tracing",
]

_MODULES = {
    "logs": "telemetry.logs",
    "metrics": "telemetry.metrics",
    "tracing": "telemetry.tracing",
}
_MEMBERS = {
    "Agent": "serving",
    "ControlFile": "control",
    "SendBlocked": "control",
    "exit_within": "exit_deadline",
    "read_environment": "settings",
    "read_settings": "settings",
    "serve": "serving",
}


def __getattr__(name: str) -> object:
    """Import a public name at its first use."""
    if name in _MODULES:
        return importlib.import_module(f"{__name__}.{_MODULES[name]}")
    if name in _MEMBERS:
        return getattr(importlib.import_module(f"{__name__}.{_MEMBERS[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
