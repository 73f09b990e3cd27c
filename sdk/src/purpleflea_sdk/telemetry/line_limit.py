"""The longest log line, and the cut of a longer one, so that it stays one line of valid JSON. Pure.

A node agent cuts a line at its limit, and both parts are then no JSON: without fields, level and trace.
"""

import itertools
import json
from collections.abc import Iterator

MAX_LINE_BYTES = 240_000
"""Node agents cut lines at 256,000 bytes (the default of logs_config.max_message_size_bytes in many versions of
Agent 7; later ones allow 900,000). The rest is for the headers that the container runtime adds to parts of a line."""
MARK = "... [cut]"
TRUNCATED = "log.truncated_fields"
"""Attribute of a line that was cut: the names of the fields that are shorter than they were, or are missing."""
MAX_NAMES = 50
MAX_FIELDS = 256
"""Fields of a cut line. A cut of more takes seconds, and it runs in the event loop."""
SHORT = 256
FIRST_LIMIT = 32_768
KEPT = (
    "timestamp",
    "level",
    "logger",
    "message",
    "agent_id",
    "strategy",
    "dd.trace_id",
    "dd.span_id",
    "dd.service",
    "dd.env",
    "dd.version",
    "event_type",
    "error.kind",
    "error.message",
    "error.stack",
)
"""Fields that a cut line has in any case, in shortened form."""


def cut(line: str, limit: int = MAX_LINE_BYTES) -> str:
    """Return a JSON line with at most `limit` characters. The line is ASCII, so characters are bytes.

    Long texts are shortened first. Lists, objects and numbers that are longer become text.
    """
    if len(line) <= limit:
        return line
    fields = json.loads(line)
    important = {name: fields[name] for name in KEPT if name in fields}
    first = dict(itertools.islice(fields.items(), MAX_FIELDS)) | important
    candidates = (_shortened(first, longest) for longest in _limits(limit))
    fitting = (text for item in candidates if len(text := json.dumps(item)) <= limit)
    is_complete = len(first) == len(fields)
    found = next(fitting, None) if is_complete else next(map(_marked, fitting), None)
    return found or _marked(json.dumps(_shortened(important, SHORT)))


def _marked(line: str) -> str:
    """Mark a line without some of its fields; their names are not known, because there are too many."""
    return json.dumps({**json.loads(line), TRUNCATED: ["*"]})


def _limits(limit: int) -> Iterator[int]:
    longest = min(FIRST_LIMIT, limit // 2)
    while longest >= 64:
        yield longest
        longest //= 4


def _shortened(fields: dict[str, object], longest: int) -> dict[str, object]:
    """Return the fields with values of at most about `longest` characters, and the names of those that were cut."""
    kept: dict[str, object] = {}
    cut_names: list[str] = []
    for name, value in fields.items():
        text = json.dumps(value)
        if len(text) <= longest:
            kept[name] = value
            continue
        plain = value if isinstance(value, str) else text
        kept[name] = _beginning(plain, longest) + MARK
        cut_names.append(name[:longest])
    return {**kept, TRUNCATED: cut_names[:MAX_NAMES]}


def _beginning(text: str, longest: int) -> str:
    """Return a beginning whose JSON form has at most `longest` characters."""
    part = text[:longest]
    while part and len(json.dumps(part)) > longest:
        part = part[: len(part) * longest // len(json.dumps(part))]
    return part
