"""Errors of the journal. Their texts name the file, the cause and the remedy.

JournalError
`- JournalTooNew    a later version of the agent wrote the file
"""

from pathlib import Path


class JournalError(Exception):
    """The journal cannot be opened or written."""


class JournalTooNew(JournalError):  # noqa: N818 - the name states the meaning
    """The schema of the journal is newer than this agent supports. The file was not changed."""

    def __init__(self, path: Path, *, found: int, supported: int) -> None:
        super().__init__(
            f"the journal {path} has schema version {found}, and this agent supports versions up to {supported}:"
            " run the image that wrote it or a later one, and do not delete the file while orders may be open"
        )
        self.found = found
        self.supported = supported
