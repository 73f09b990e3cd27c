"""Log format of container runtimes: `<RFC 3339 time> <stream> <P|F> <text>`, with long lines split into parts.

It keeps incomplete messages between reads and does not access files.
"""

from dataclasses import dataclass, field
from datetime import datetime

_MAX_LENGTH = 900_000
"""Maximum characters of a message. If it is longer, it is cut, because the intake does not accept more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A message of a container; the time is 0 if it is not readable."""

    timestamp_ms: int
    stream: str
    text: str


@dataclass(slots=True)
class _Unfinished:
    start: int | None
    pieces: list[str] = field(default_factory=list)
    length: int = 0


class Assembler:
    """Assemble lines to messages; the parts of a container's two streams may interleave."""

    def __init__(self) -> None:
        self._unfinished: dict[str, _Unfinished] = {}
        self.malformed = 0

    def add(self, line: bytes, start: int) -> Record | None:
        """Return the message that this line completes, or None. `start` is the offset of the line in its file."""
        fields = line.decode("utf-8", errors="replace").rstrip("\r\n").split(" ", 3)
        if len(fields) < 3 or fields[1] not in ("stdout", "stderr"):
            self.malformed += 1
            return None
        time, stream, flags, text = (*fields, "")[:4]
        message = self._unfinished.setdefault(stream, _Unfinished(start))
        if message.length < _MAX_LENGTH:
            message.pieces.append(text)
            message.length += len(text)
        if flags.split(":")[0] != "F":
            return None
        del self._unfinished[stream]
        whole = "".join(message.pieces)[:_MAX_LENGTH]
        return Record(timestamp_ms=_milliseconds(time), stream=stream, text=whole)

    def unfinished_since(self) -> int | None:
        """Return the offset of the oldest incomplete message of the current file."""
        starts = [m.start for m in self._unfinished.values() if m.start is not None]
        return min(starts, default=None)

    def next_file(self) -> None:
        """Discard the offsets of the previous file; incomplete messages continue in the next file."""
        for message in self._unfinished.values():
            message.start = None


def _milliseconds(text: str) -> int:
    """Parse a time with datetime, which reads microseconds at most although runtimes write nanoseconds."""
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return 0
