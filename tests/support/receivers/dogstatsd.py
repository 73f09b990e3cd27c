"""A DogStatsD server that keeps received packets: UDP on loopback, or a UNIX datagram socket.

It parses the wire format of protocol 1.0 to 1.5 (values, rate, tags, container, external data, cardinality,
timestamp) strictly: a packet that does not parse fails the test that reads it.
"""

import itertools
import socket
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

from support.waiting import wait_for

TYPES = {
    "g": "gauge",
    "c": "count",
    "d": "distribution",
    "h": "histogram",
    "ms": "timing",
    "s": "set",
}
MAX_PACKET_BYTES = 65536
MARKER = "sink.marker"
RECEIVE_BUFFER = 4 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One line of a packet. `tags` are as sent, in order, duplicates included."""

    name: str
    type: str
    values: tuple[float, ...]
    tags: tuple[str, ...] = ()
    rate: float = 1.0
    container: str | None = None
    external_data: str | None = None
    cardinality: str | None = None
    timestamp: int | None = None

    @property
    def tag_names(self) -> list[str]:
        """Names of the tags, sorted, duplicates included."""
        return sorted(tag.partition(":")[0] for tag in self.tags)

    def tag(self, name: str) -> str | None:
        """Return the value of a tag."""
        matching = [tag.partition(":")[2] for tag in self.tags if tag.partition(":")[0] == name]
        return matching[0] if matching else None


def parse(packet: bytes) -> list[Point]:
    """Return the points of a packet; raise ValueError if it is not DogStatsD."""
    return [_point(line) for line in packet.decode().split("\n") if line]


def _point(line: str) -> Point:
    head, *fields = line.split("|")
    name, *values = head.split(":")
    if not name or not values or not fields:
        raise ValueError(f"not a DogStatsD line: {line!r}")
    kind, *options = fields
    point: dict[str, object] = {
        "name": name,
        "type": TYPES[kind],
        "values": tuple(float(value) for value in values),
    }
    for option in options:
        point.update(_option(option))
    return Point(**point)  # type: ignore[arg-type]


def _option(option: str) -> dict[str, object]:
    match option[:1]:
        case "#":
            return {"tags": tuple(option[1:].split(","))}
        case "@":
            return {"rate": float(option[1:])}
        case "T":
            return {"timestamp": int(option[1:])}
    for prefix, field in (("c:", "container"), ("e:", "external_data"), ("card:", "cardinality")):
        if option.startswith(prefix):
            return {field: option.removeprefix(prefix)}
    raise ValueError(f"unknown field {option!r}")


class DogStatsdSink:
    """A running server. Use it as a context manager; one thread reads until it is closed."""

    def __init__(self, path: Path | None = None) -> None:
        """Listen on a UNIX datagram socket at `path`, else on UDP at a free port of loopback."""
        self._path = path
        if path is None:
            self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._socket.bind(("127.0.0.1", 0))
        else:
            self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self._socket.bind(str(path))
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        self._socket.settimeout(0.05)
        self._packets: list[bytes] = []
        self._markers = itertools.count()
        self._closed = threading.Event()
        self._reader = threading.Thread(target=self._read, name="dogstatsd-sink", daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @property
    def port(self) -> int:
        """UDP port."""
        port: int = self._socket.getsockname()[1]
        return port

    @property
    def environment(self) -> dict[str, str]:
        """The variables with which an agent sends to this server."""
        if self._path is not None:
            return {"DD_DOGSTATSD_URL": f"unix://{self._path}"}
        return {"DD_DOGSTATSD_URL": f"udp://127.0.0.1:{self.port}"}

    @property
    def packets(self) -> Sequence[bytes]:
        """All packets, as received."""
        return tuple(self._packets)

    @property
    def points(self) -> list[Point]:
        """All points, parsed."""
        points = [point for packet in self.packets for point in parse(packet)]
        return [point for point in points if point.name != MARKER]

    def catch_up(self) -> None:
        """Wait until everything that was sent before this call is received."""
        number = next(self._markers)
        with socket.socket(self._socket.family, socket.SOCK_DGRAM) as sender:
            sender.sendto(f"{MARKER}:{number}|c".encode(), self._socket.getsockname())
        wait_for(
            lambda: f"{MARKER}:{number}|c".encode() in self._packets, what="the marker's arrival"
        )

    def of(self, name: str) -> list[Point]:
        """Return the points of one metric."""
        return [point for point in self.points if point.name == name]

    def wait_for(
        self, name: str, matches: Callable[[Point], bool] = lambda _: True, *, timeout_s: float = 60
    ) -> Point:
        """Wait for the first point of a metric that matches and return it."""
        matching = wait_for(
            lambda: [point for point in self.of(name) if matches(point)],
            what=f"a point of {name}",
            timeout_s=timeout_s,
        )
        return matching[0]

    def close(self) -> None:
        """Stop listening."""
        self._closed.set()
        self._reader.join()
        self._socket.close()
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def _read(self) -> None:
        while not self._closed.is_set():
            try:
                self._packets.append(self._socket.recv(MAX_PACKET_BYTES))
            except TimeoutError:
                continue
