"""API keys and application keys: who may call what. Pure.

An application key without scopes may do what its owner may; one with scopes only those.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from purpleflea_sandbox.datadog.api.errors import forbidden


@dataclass(frozen=True, slots=True, kw_only=True)
class ApplicationKey:
    """An application key; `scopes` None means unscoped."""

    key: str
    scopes: frozenset[str] | None = None

    def allows(self, scope: str) -> bool:
        return self.scopes is None or not scope or scope in self.scopes


ANYBODY = ApplicationKey(key="")


class KeyRing:
    """The keys of the organisation. An empty API key accepts any; without application keys, any is unscoped."""

    def __init__(self, api_key: str = "", application_keys: Iterable[ApplicationKey] = ()) -> None:
        self.api_key = api_key
        self.application_keys: dict[str, ApplicationKey] = {}
        self.replace(application_keys)

    def replace(self, keys: Iterable[ApplicationKey]) -> None:
        """Let these be the application keys."""
        self.application_keys = {one.key: one for one in keys}

    def check_api_key(self, given: str) -> None:
        """Raises ApiError where the API key is wrong or missing."""
        if not given or (self.api_key and given != self.api_key):
            raise forbidden()

    def application_key(self, given: str) -> ApplicationKey:
        """The application key of that text. Raises ApiError where there is none."""
        if given and not self.application_keys:
            return ANYBODY
        found = self.application_keys.get(given)
        if found is None:
            raise forbidden()
        return found
