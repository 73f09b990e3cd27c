"""The trading mode: follows control.json, which the operator changes while the agent runs.

It polls the content, because a mounted ConfigMap is replaced by a symlink and inotify on it is unreliable. A file that
cannot be read never starts trading: the last mode stays, and at the start that is Halted.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from purpleflea_agent.telemetry import logs
from purpleflea_contract.control import Acknowledgement, Control, Mode
from purpleflea_contract.events import CONTROL_CHANGED

POLL_INTERVAL_S = 0.25

logger = logging.getLogger("purpleflea.control")


class ControlFile:
    """control.json and its last valid content. The class is part of the public library."""

    def __init__(
        self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._path = path
        self._now = now
        self._text: bytes | None = None
        self._control = Control(mode=Mode.HALTED)
        self._since = now()
        self._is_exiting = False
        self._read(first=True)

    @property
    def control(self) -> Control:
        """Last valid content of control.json."""
        return self._control

    @property
    def mode(self) -> Mode:
        """Trading mode."""
        return self._control.mode

    @property
    def since(self) -> datetime:
        """Time at which this process read the last change of the mode."""
        return self._since

    @property
    def is_halted(self) -> bool:
        """True if no order may be sent (Halted or Stopped)."""
        return self.mode is not Mode.ACTIVE

    @property
    def is_stopped(self) -> bool:
        """True if the agent must drain."""
        return self.mode is Mode.STOPPED

    @property
    def may_close(self) -> bool:
        """True if positions may be closed: the mode is Stopped, or the process exits in mode Active."""
        return self.is_stopped or (self._is_exiting and not self.is_halted)

    @property
    def block_reason(self) -> str | None:
        """Why no money may leave, as a value of the contract's tag `reason`; None if it may."""
        if self.is_halted:
            return self.mode.value.lower()
        return Mode.STOPPED.value.lower() if self._is_exiting else None

    def end(self) -> None:
        """Let no more money leave, in any mode, because the process exits. Safe in a signal handler."""
        self._is_exiting = True

    def acknowledged(
        self,
        *,
        at_rest: bool,
        sending: bool = False,
        flattened: bool | None = None,
        left_undone: str | None = None,
    ) -> Acknowledgement:
        """Return the answer to GET /v1/control; the arguments are its fields that depend on the orders."""
        return Acknowledgement(
            mode=self.mode,
            generation=self._control.generation,
            since=self._since,
            sending=sending,
            at_rest=at_rest,
            flattened=flattened,
            left_undone=left_undone,
        )

    def refresh(self) -> None:
        """Read the file now."""
        self._read(first=False)

    async def follow(self) -> None:
        """Read the file at every poll interval until canceled."""
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            self.refresh()

    def _read(self, *, first: bool) -> None:
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            # Without an operator there is no file, and the agent may trade. A file that is removed changes nothing.
            if first:
                self._control = Control(mode=Mode.ACTIVE)
            return
        except OSError as error:
            logger.warning("%s cannot be read (%s); keeping the mode", self._path, error.strerror)
            return
        if text != self._text:
            self._text = text
            self._apply(text, first=first)

    def _apply(self, text: bytes, *, first: bool) -> None:
        try:
            control = Control.model_validate_json(text)
        except ValidationError:
            logger.error("%s is not valid; keeping the mode %s", self._path, self.mode)
            return
        changed = control.mode is not self.mode
        self._control = control
        if changed:
            self._since = self._now()
        if (changed and not first) or (first and self.is_halted):
            logs.log_event(CONTROL_CHANGED, {"mode": control.mode.value, "reason": "control.json"})
