"""The instrumented Purple Flea trading agent.

Its library for agents that other teams write is the distribution purpleflea-sdk: the names below are those of
purpleflea_sdk. The order manager, the journal and the port of the exchange are public too: see the modules `trading`,
`journal` and `exchange`. All other modules may change. Importing the package has no effects.
"""

from typing import TYPE_CHECKING

import purpleflea_sdk

if TYPE_CHECKING:
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
    "exit_within",
    "logs",
    "metrics",
    "read_environment",
    "read_settings",
    "serve",
    "tracing",
]


def __getattr__(name: str) -> object:
    """Import a public name at its first use."""
    if name in __all__:
        return getattr(purpleflea_sdk, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
