"""Telemetry, trading mode and process of a Purple Flea agent, for agents that other teams write.

`serve` runs an agent of your own. `from purpleflea_sdk import logs, metrics, tracing` is its telemetry. ControlFile,
read_environment, read_settings and exit_within are its parts. These names are public and stable; the modules are not.
Importing the package has no effects: each name is imported at its first use.
"""

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from purpleflea_sdk.control import ControlFile, SendBlocked
    from purpleflea_sdk.exit_deadline import exit_within
    from purpleflea_sdk.serving import Agent, serve
    from purpleflea_sdk.settings import Environment, SettingsError, read_environment, read_settings
    from purpleflea_sdk.telemetry import logs, metrics, tracing

__all__ = [
    "Agent",
    "ControlFile",
    "Environment",
    "SendBlocked",
    "SettingsError",
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
    "Environment": "settings",
    "SendBlocked": "control",
    "SettingsError": "settings",
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
