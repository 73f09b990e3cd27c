"""The error of this package that users see: the cause and the remedy in one line."""

from pathlib import Path


class ClusterError(Exception):
    """A failure with its cause and remedy; the command line prints it without a traceback."""


def with_log(message: str, log: Path, *, lines: int = 6) -> ClusterError:
    """Return an error whose message contains the path of a log file and its last lines."""
    try:
        tail = log.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        tail = []
    shown = "".join(f"\n    {line[:300]}" for line in tail)
    return ClusterError(f"{message}; see the log {log}{shown}")
