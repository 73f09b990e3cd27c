"""Import path of version 0.1; the class is in purpleflea_sdk."""

from purpleflea_sdk.control import ControlFile, SendBlocked

__all__ = ["ControlFile", "SendBlocked"]
