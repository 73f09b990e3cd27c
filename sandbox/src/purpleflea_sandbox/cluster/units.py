"""Units of a supervisor and the pure decisions about them: which units may start, the effect of an
exit, and the time of the next start.

This module starts no process and reads no clock. It has few imports, because it runs as pid 1.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Phase = Literal["waiting", "running", "done", "failed"]

_FIRST_DELAY_S = 0.2
_LONGEST_DELAY_S = 5.0
_STABLE_AFTER_S = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unit:
    """One program.

    A `once` unit runs to completion; units that list it in `after` wait until it has succeeded.
    """

    name: str
    argv: tuple[str, ...]
    after: tuple[str, ...] = ()
    once: bool = False
    wants_listener: bool = False

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Unit":
        return cls(**{**value, "argv": tuple(value["argv"]), "after": tuple(value["after"])})


@dataclass(slots=True, kw_only=True)
class _Track:
    unit: Unit
    phase: Phase = "waiting"
    pid: int = 0
    began: float = 0.0
    due: float = 0.0
    delay: float = _FIRST_DELAY_S
    deaths: int = 0
    last_exit: int | None = None


@dataclass(slots=True)
class Units:
    """All units of one supervisor with their current phases."""

    _tracks: dict[str, _Track] = field(default_factory=dict)

    @classmethod
    def of(cls, units: Iterable[Unit]) -> "Units":
        tracks = {unit.name: _Track(unit=unit) for unit in units}
        for track in tracks.values():
            if unknown := set(track.unit.after) - tracks.keys():
                raise ValueError(
                    f"unit {track.unit.name} depends on unknown units {sorted(unknown)}"
                )
        return cls(tracks)

    def due(self, now: float) -> list[Unit]:
        """Return the units to start now."""
        return [
            track.unit
            for track in self._tracks.values()
            if track.phase == "waiting" and track.due <= now and self._may_start(track)
        ]

    def next_due(self, now: float) -> float | None:
        """Return the seconds until the next postponed start, or None if only the exit of a unit can
        change the schedule.
        """
        waits = [
            track.due - now
            for track in self._tracks.values()
            if track.phase == "waiting" and self._may_start(track)
        ]
        return max(0.0, min(waits)) if waits else None

    def started(self, name: str, pid: int, now: float) -> None:
        track = self._tracks[name]
        track.phase, track.pid, track.began = "running", pid, now

    def ended(self, pid: int, code: int, now: float) -> None:
        """Record an exit. A reaped orphan that is not a unit is ignored."""
        track = next((t for t in self._tracks.values() if t.pid == pid), None)
        if track is None:
            return
        track.pid, track.last_exit = 0, code
        if track.unit.once:
            track.phase = "done" if code == 0 else "failed"
            return
        if now - track.began >= _STABLE_AFTER_S:
            track.delay = _FIRST_DELAY_S
        track.phase, track.due, track.deaths = "waiting", now + track.delay, track.deaths + 1
        track.delay = min(track.delay * 2, _LONGEST_DELAY_S)

    def report(self) -> dict[str, dict[str, Any]]:
        """Return the report that other processes read."""
        return {
            name: {
                "phase": track.phase,
                "pid": track.pid,
                "deaths": track.deaths,
                "last_exit": track.last_exit,
            }
            for name, track in self._tracks.items()
        }

    def _may_start(self, track: _Track) -> bool:
        return all(self._tracks[name].phase == "done" for name in track.unit.after)
