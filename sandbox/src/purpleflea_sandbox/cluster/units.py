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
class _UnitState:
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

    _states: dict[str, _UnitState] = field(default_factory=dict)

    @classmethod
    def of(cls, units: Iterable[Unit]) -> "Units":
        states = {unit.name: _UnitState(unit=unit) for unit in units}
        for state in states.values():
            if unknown := set(state.unit.after) - states.keys():
                raise ValueError(
                    f"unit {state.unit.name} depends on unknown units {sorted(unknown)}"
                )
        return cls(states)

    def due(self, now: float) -> list[Unit]:
        """Return the units to start now."""
        return [
            state.unit
            for state in self._states.values()
            if state.phase == "waiting" and state.due <= now and self._may_start(state)
        ]

    def next_due(self, now: float) -> float | None:
        """Return the seconds until the next postponed start, or None if only the exit of a unit can
        change the schedule.
        """
        waits = [
            state.due - now
            for state in self._states.values()
            if state.phase == "waiting" and self._may_start(state)
        ]
        return max(0.0, min(waits)) if waits else None

    def started(self, name: str, pid: int, now: float) -> None:
        state = self._states[name]
        state.phase, state.pid, state.began = "running", pid, now

    def ended(self, pid: int, code: int, now: float) -> None:
        """Record an exit. A reaped orphan that is not a unit is ignored."""
        state = next((t for t in self._states.values() if t.pid == pid), None)
        if state is None:
            return
        state.pid, state.last_exit = 0, code
        if state.unit.once:
            state.phase = "done" if code == 0 else "failed"
            return
        if now - state.began >= _STABLE_AFTER_S:
            state.delay = _FIRST_DELAY_S
        state.phase, state.due, state.deaths = "waiting", now + state.delay, state.deaths + 1
        state.delay = min(state.delay * 2, _LONGEST_DELAY_S)

    def pids(self) -> list[int]:
        """Return the pids of the units that have not been reaped."""
        return [state.pid for state in self._states.values() if state.phase == "running"]

    def report(self) -> dict[str, dict[str, Any]]:
        """Return the report that other processes read."""
        return {
            name: {
                "phase": state.phase,
                "pid": state.pid,
                "deaths": state.deaths,
                "last_exit": state.last_exit,
            }
            for name, state in self._states.items()
        }

    def _may_start(self, state: _UnitState) -> bool:
        return all(self._states[name].phase == "done" for name in state.unit.after)
