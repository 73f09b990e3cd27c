"""The API key: read from its mounted file, again whenever the file changes, and registered for redaction.

An update of the Secret replaces the file while the agent runs, so no restart is needed. This module does no HTTP.
"""

from pathlib import Path

from purpleflea_sdk.telemetry import redaction


class KeyFile:
    """A file with one secret."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._version: tuple[int, int, int] | None = None
        self._key: str | None = None

    def key(self) -> str | None:
        """Return the secret, or None while the file is missing, unreadable or empty."""
        try:
            status = self.path.stat()
            version = (status.st_mtime_ns, status.st_ino, status.st_size)
            if version != self._version:
                self._key = self.path.read_text(encoding="utf-8").strip() or None
                self._version = version
        except (OSError, UnicodeDecodeError):
            self._key, self._version = None, None
        if self._key is not None:
            redaction.register_secret(self._key)
        return self._key

    def forget(self) -> None:
        """Read the file again at the next use, even if it has not changed."""
        self._version = None
