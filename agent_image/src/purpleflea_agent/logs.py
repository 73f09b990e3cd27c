"""Deprecated import path, removed after version 0.2: use `from purpleflea_agent import logs`."""

import warnings

from purpleflea_agent.telemetry.logs import *  # noqa: F403 - every public name

warnings.warn(
    "purpleflea_agent.logs is deprecated: use `from purpleflea_agent import logs`",
    DeprecationWarning,
    stacklevel=2,
)
