"""The one error of this package that users see: what went wrong and what to do about it, in one
line."""

from pathlib import Path


class ClusterError(Exception):
    """A failure with its cause and its remedy; the command line prints it without a traceback."""


def with_log(message: str, log: Path, *, lines: int = 6) -> ClusterError:
    """An error that names a log file and carries its last lines."""
    try:
        tail = log.read_text(errors="replace").splitlines()[-lines:]
    except OSError:
        tail = []
    shown = "".join(f"\n    {line[:300]}" for line in tail)
    return ClusterError(f"{message}; its log is {log}{shown}")
