"""The log format of container runtimes: `<RFC 3339 time> <stream> <P|F> <text>`, long lines in parts.

It keeps unfinished messages between reads and knows nothing of files.
"""

from dataclasses import dataclass, field
from datetime import datetime

_LONGEST = 900_000
"""Characters of one message; the rest is cut, as the intake takes no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One message of a container; the time is 0 where it cannot be read."""

    timestamp_ms: int
    stream: str
    text: str


@dataclass(slots=True)
class _Unfinished:
    start: int | None
    pieces: list[str] = field(default_factory=list)
    length: int = 0


class Assembler:
    """Lines to messages; the parts of the two streams of a container may interleave."""

    def __init__(self) -> None:
        self._unfinished: dict[str, _Unfinished] = {}
        self.malformed = 0

    def add(self, line: bytes, start: int) -> Record | None:
        """The message that this line completes, if it does. `start` is the line's place in its file."""
        fields = line.decode("utf-8", errors="replace").rstrip("\r\n").split(" ", 3)
        if len(fields) < 3 or fields[1] not in ("stdout", "stderr"):
            self.malformed += 1
            return None
        time, stream, flags, text = (*fields, "")[:4]
        message = self._unfinished.setdefault(stream, _Unfinished(start))
        if message.length < _LONGEST:
            message.pieces.append(text)
            message.length += len(text)
        if flags.split(":")[0] != "F":
            return None
        del self._unfinished[stream]
        whole = "".join(message.pieces)[:_LONGEST]
        return Record(timestamp_ms=_milliseconds(time), stream=stream, text=whole)

    def unfinished_since(self) -> int | None:
        """Where the oldest unfinished message of the current file starts."""
        starts = [m.start for m in self._unfinished.values() if m.start is not None]
        return min(starts, default=None)

    def next_file(self) -> None:
        """Places of the previous file mean nothing any more; what is unfinished goes on in the next."""
        for message in self._unfinished.values():
            message.start = None


def _milliseconds(text: str) -> int:
    """datetime reads microseconds at most; runtimes write nanoseconds."""
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1000)
    except ValueError:
        return 0
