"""The instrumented Purple Flea trading agent.

The library for agents that other teams write is purpleflea_sdk; its names here are those of version 0.1. `open_trading`
gives such an agent our orders, limits and journal; the names of the packages `trading`, `journal` and `exchange` are
public too. All other modules may change. Importing the package has no effects.
"""

import importlib
from typing import TYPE_CHECKING

import purpleflea_sdk

if TYPE_CHECKING:
    from purpleflea_agent.own_agents import open_trading
    from purpleflea_agent.parts import TradingParts
    from purpleflea_sdk import (
        Agent,
        ControlFile,
        SendBlocked,
        exit_within,
        logs,
        metrics,
        read_environment,
        read_settings,
        serve,
        tracing,
    )

__all__ = [
    "Agent",
    "ControlFile",
    "SendBlocked",
    "TradingParts",
    "exit_within",
    "logs",
    "metrics",
    "open_trading",
    "read_environment",
    "read_settings",
    "serve",
    "tracing",
]


_TRADING = {"TradingParts": "parts", "open_trading": "own_agents"}


def __getattr__(name: str) -> object:
    """Import a public name at its first use."""
    if name in _TRADING:
        return getattr(importlib.import_module(f"{__name__}.{_TRADING[name]}"), name)
    if name in __all__:
        return getattr(purpleflea_sdk, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
