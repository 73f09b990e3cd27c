"""DogStatsD wire format (protocol 1.0 to 1.5): parse a datagram into metrics, events and service checks.

Pure. A malformed line is counted and is not an error, so that one bad client does not block the others.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum


class MetricType(StrEnum):
    """Type letters of the protocol."""

    GAUGE = "g"
    COUNT = "c"
    HISTOGRAM = "h"
    TIMER = "ms"
    DISTRIBUTION = "d"
    SET = "s"


@dataclass(frozen=True, slots=True, kw_only=True)
class Origin:
    """Origin fields that a client sends about its container; `cardinality` limits the tags added for this origin."""

    container: str = ""
    external: str = ""
    cardinality: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One or more values of a metric. If the type is SET, `members` contains texts; otherwise `values` contains
    numbers.
    """

    name: str
    type: MetricType
    values: tuple[float, ...] = ()
    members: tuple[str, ...] = ()
    rate: float = 1.0
    tags: tuple[str, ...] = ()
    timestamp: int | None = None
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """An event for the event stream."""

    title: str
    text: str
    tags: tuple[str, ...] = ()
    timestamp: int | None = None
    fields: dict[str, str] = field(default_factory=dict)
    origin: Origin = Origin()


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCheck:
    """One status of a service: 0 OK, 1 warning, 2 critical, 3 unknown."""

    name: str
    status: int
    message: str = ""
    tags: tuple[str, ...] = ()
    timestamp: int | None = None
    hostname: str = ""
    origin: Origin = Origin()


Packet = Metric | Event | ServiceCheck


@dataclass(frozen=True, slots=True, kw_only=True)
class Datagram:
    """Contents of one datagram."""

    packets: tuple[Packet, ...]
    malformed: int


_EVENT_FIELDS = {
    "h:": "host",
    "k:": "aggregation_key",
    "p:": "priority",
    "s:": "source_type_name",
    "t:": "alert_type",
}


def parse(datagram: bytes) -> Datagram:
    """Parse all packets of the datagram and count its malformed lines."""
    packets: list[Packet] = []
    malformed = 0
    for line in datagram.decode("utf-8", errors="replace").split("\n"):
        if not line.strip():
            continue
        try:
            packets.append(_packet(line.rstrip("\r")))
        except (ValueError, IndexError):
            malformed += 1
    return Datagram(packets=tuple(packets), malformed=malformed)


def _packet(line: str) -> Packet:
    if line.startswith("_e{"):
        return _event(line)
    if line.startswith("_sc|"):
        return _service_check(line)
    return _metric(line)


def _metric(line: str) -> Metric:
    head, type_letter, *optional = line.split("|")
    name, _, raw = head.partition(":")
    if not name or not raw:
        raise ValueError("a metric needs a name and a value")
    metric_type = MetricType(type_letter)
    parts = dict(_parts(optional))
    rate = float(parts.get("@", 1.0))
    timestamp = int(parts["T"]) if "T" in parts else None
    if not 0 < rate <= 1:
        raise ValueError("a sample rate must be above 0 and at most 1")
    if timestamp is not None and (
        timestamp <= 0 or metric_type not in (MetricType.GAUGE, MetricType.COUNT)
    ):
        raise ValueError("only gauges and counts can have a timestamp")
    texts = raw.split(":")
    is_set = metric_type is MetricType.SET
    return Metric(
        name=name,
        type=metric_type,
        values=() if is_set else tuple(_number(text) for text in texts),
        members=tuple(texts) if is_set else (),
        rate=rate,
        tags=_tags(parts.get("#", "")),
        timestamp=timestamp,
        origin=_origin(parts),
    )


def _event(line: str) -> Event:
    lengths, _, body = line[3:].partition("}:")
    title_length, text_length = (int(length) for length in lengths.split(","))
    # The lengths count bytes, so a title may contain any character, including the bar.
    raw = body.encode()
    middle, end = title_length, title_length + 1 + text_length
    title, text, remainder = raw[:middle], raw[middle + 1 : end], raw[end:]
    if title_length < 1 or len(title) != title_length or len(text) != text_length:
        raise ValueError("the lengths of an event do not match its texts")
    if raw[middle : middle + 1] != b"|" or remainder[:1] not in (b"", b"|"):
        raise ValueError("the parts of an event must be separated by bars")
    items = remainder.decode().split("|")[1:]
    parts = dict(_parts(items))
    fields = {
        name: item[2:]
        for item in items
        for prefix, name in _EVENT_FIELDS.items()
        if item.startswith(prefix)
    }
    return Event(
        title=title.decode().replace("\\n", "\n"),
        text=text.decode().replace("\\n", "\n"),
        tags=_tags(parts.get("#", "")),
        timestamp=int(parts["d:"]) if "d:" in parts else None,
        fields=fields,
        origin=_origin(parts),
    )


def _service_check(line: str) -> ServiceCheck:
    _, name, status, *optional = line.split("|")
    if not name or status not in ("0", "1", "2", "3"):
        raise ValueError("a service check needs a name and a status of 0 to 3")
    parts = dict(_parts(optional))
    return ServiceCheck(
        name=name,
        status=int(status),
        message=parts.get("m:", "").replace("m\\:", "m:").replace("\\n", "\n"),
        tags=_tags(parts.get("#", "")),
        timestamp=int(parts["d:"]) if "d:" in parts else None,
        hostname=parts.get("h:", ""),
        origin=_origin(parts),
    )


_PREFIXES = ("card:", "@", "#", "c:", "e:", "d:", "h:", "m:", "T")


def _parts(items: list[str]) -> Iterator[tuple[str, str]]:
    """Yield optional parts with their prefix. Unknown parts are skipped, because newer clients may send more."""
    for item in items:
        for prefix in _PREFIXES:
            if item.startswith(prefix):
                yield prefix, item[len(prefix) :]
                break


def _origin(parts: dict[str, str]) -> Origin:
    return Origin(
        container=parts.get("c:", ""),
        external=parts.get("e:", ""),
        cardinality=parts.get("card:", ""),
    )


def _tags(text: str) -> tuple[str, ...]:
    return tuple(tag for tag in text.split(",") if tag)


def _number(text: str) -> float:
    value = float(text)
    if not math.isfinite(value):
        raise ValueError("a value must be finite")
    return value
