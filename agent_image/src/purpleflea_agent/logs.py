"""Deprecated import path, removed after version 0.2: use `from purpleflea_sdk import logs`."""

import warnings

from purpleflea_sdk.telemetry.logs import *  # noqa: F403 - every public name

warnings.warn(
    "purpleflea_agent.logs is deprecated: use `from purpleflea_sdk import logs`",
    DeprecationWarning,
    stacklevel=2,
)
