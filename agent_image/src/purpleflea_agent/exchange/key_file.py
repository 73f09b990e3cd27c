"""The API key: read from its mounted file, again whenever the file changes, and masked everywhere.

A Secret's update replaces the file while the agent runs; no restart is needed. It knows nothing of HTTP.
"""

from pathlib import Path

from purpleflea_agent import masking


class KeyFile:
    """A file with one secret."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._seen: tuple[int, int, int] | None = None
        self._key: str | None = None

    def key(self) -> str | None:
        """The secret, or None while the file is missing, unreadable or empty."""
        try:
            status = self.path.stat()
            seen = (status.st_mtime_ns, status.st_ino, status.st_size)
            if seen != self._seen:
                self._key = self.path.read_text(encoding="utf-8").strip() or None
                self._seen = seen
        except (OSError, UnicodeDecodeError):
            self._key, self._seen = None, None
        if self._key is not None:
            masking.conceal(self._key)
        return self._key

    def forget(self) -> None:
        """Read the file again at the next use, even if it looks unchanged."""
        self._seen = None
