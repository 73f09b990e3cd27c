"""Deprecated import path, removed after version 0.2: use `from purpleflea_sdk import tracing`."""

import warnings

from purpleflea_sdk.telemetry.tracing import *  # noqa: F403 - every public name

warnings.warn(
    "purpleflea_agent.tracing is deprecated: use `from purpleflea_sdk import tracing`",
    DeprecationWarning,
    stacklevel=2,
)
