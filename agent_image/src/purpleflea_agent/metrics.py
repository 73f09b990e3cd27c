"""Deprecated import path, removed after version 0.2: use `from purpleflea_sdk import metrics`."""

import warnings

from purpleflea_sdk.telemetry.metrics import *  # noqa: F403 - every public name

warnings.warn(
    "purpleflea_agent.metrics is deprecated: use `from purpleflea_sdk import metrics`",
    DeprecationWarning,
    stacklevel=2,
)
