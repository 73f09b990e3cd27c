"""Import path of version 0.1; the functions are in purpleflea_sdk."""

from purpleflea_sdk.settings import Environment, SettingsError, read_environment, read_settings

__all__ = ["Environment", "SettingsError", "read_environment", "read_settings"]
