"""Deprecated import path, removed after version 0.2: use `from purpleflea_sdk import exit_within`."""

import warnings

from purpleflea_sdk.exit_deadline import exit_within as leave_within

__all__ = ["leave_within"]

warnings.warn(
    "purpleflea_agent.ending is deprecated: use `from purpleflea_sdk import exit_within`",
    DeprecationWarning,
    stacklevel=2,
)
