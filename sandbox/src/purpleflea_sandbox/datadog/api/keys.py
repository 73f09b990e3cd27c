"""API keys, application keys and their permissions. Pure.

If an application key has no scopes, it has all permissions of its owner; if it has scopes, it has only those.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from purpleflea_sandbox.datadog.api.errors import forbidden


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationKey:
    """An application key; `scopes` is None if it is unscoped."""

    key: str
    scopes: frozenset[str] | None = None

    def allows(self, scope: str) -> bool:
        return self.scopes is None or not scope or scope in self.scopes


UNSCOPED = ApplicationKey(key="")


class KeyRing:
    """Keys of the organization. If the API key is empty, any key is valid; if there are no application keys, any key
    is valid and unscoped.
    """

    def __init__(self, api_key: str = "", application_keys: Iterable[ApplicationKey] = ()) -> None:
        self.api_key = api_key
        self.application_keys: dict[str, ApplicationKey] = {}
        self.replace(application_keys)

    def replace(self, keys: Iterable[ApplicationKey]) -> None:
        """Replace the application keys."""
        self.application_keys = {key.key: key for key in keys}

    def check_api_key(self, given: str) -> None:
        """Raise ApiError if the API key is wrong or missing."""
        if not given or (self.api_key and given != self.api_key):
            raise forbidden()

    def application_key(self, given: str) -> ApplicationKey:
        """Return the application key with this value. Raises ApiError if it does not exist."""
        if given and not self.application_keys:
            return UNSCOPED
        key = self.application_keys.get(given)
        if key is None:
            raise forbidden()
        return key
