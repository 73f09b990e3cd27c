"""The trading mode: follows control.json, which the operator changes while the agent runs.

It polls the content, because a mounted ConfigMap is replaced by a symlink and inotify on it is unreliable. What
cannot be read never starts trading: the last known mode stays, and at the start that is Halted.
"""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from purpleflea_agent import logs
from purpleflea_contract.control import Acknowledgement, Control, Mode
from purpleflea_contract.events import CONTROL_CHANGED

POLL_INTERVAL_S = 0.25

logger = logging.getLogger("purpleflea.control")


class ControlFile:
    """control.json and what it last said."""

    def __init__(
        self, path: Path, *, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._path = path
        self._now = now
        self._text: bytes | None = None
        self._control = Control(mode=Mode.HALTED)
        self._since = now()
        self._is_ending = False
        self._read(first=True)

    @property
    def control(self) -> Control:
        """What control.json last said."""
        return self._control

    @property
    def since(self) -> datetime:
        """When the mode last changed, as seen here."""
        return self._since

    @property
    def is_halted(self) -> bool:
        """Whether no order may be sent."""
        return self._control.mode is not Mode.ACTIVE

    @property
    def is_stopped(self) -> bool:
        """Whether the agent shall come to rest for good."""
        return self._control.mode is Mode.STOPPED

    @property
    def may_close(self) -> bool:
        """Whether positions may be closed: the agent is Stopped, or its process ends, and it is not Halted."""
        return self.is_stopped or (self._is_ending and not self.is_halted)

    @property
    def objection(self) -> str | None:
        """Why no money may leave, as the contract's tag `reason` says it; None while Active."""
        if self.is_halted:
            return self._control.mode.value.lower()
        return Mode.STOPPED.value.lower() if self._is_ending else None

    def end(self) -> None:
        """The process ends: whatever the file says, no more money leaves. Safe in a handler of signals."""
        self._is_ending = True

    def acknowledged(
        self,
        *,
        at_rest: bool,
        sending: bool = False,
        flattened: bool | None = None,
        left_undone: str | None = None,
    ) -> Acknowledgement:
        """The answer to GET /v1/control, from what the caller knows of its orders."""
        return Acknowledgement(
            mode=self._control.mode,
            generation=self._control.generation,
            since=self._since,
            sending=sending,
            at_rest=at_rest,
            flattened=flattened,
            left_undone=left_undone,
        )

    def refresh(self) -> None:
        """Look at the file now."""
        self._read(first=False)

    async def follow(self) -> None:
        """Look at the file for ever."""
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            self.refresh()

    def _read(self, *, first: bool) -> None:
        try:
            text = self._path.read_bytes()
        except FileNotFoundError:
            # Without an operator there is no file: then the agent is free to trade. One that vanishes says nothing.
            if first:
                self._control = Control(mode=Mode.ACTIVE)
            return
        except OSError as error:
            logger.warning("%s cannot be read (%s); the mode stays", self._path, error.strerror)
            return
        if text != self._text:
            self._text = text
            self._take(text, first=first)

    def _take(self, text: bytes, *, first: bool) -> None:
        try:
            control = Control.model_validate_json(text)
        except ValidationError:
            logger.error("%s is not valid; the mode stays %s", self._path, self._control.mode)
            return
        changed = control.mode is not self._control.mode
        self._control = control
        if changed:
            self._since = self._now()
        if (changed and not first) or (first and self.is_halted):
            logs.log_event(CONTROL_CHANGED, {"mode": control.mode.value, "reason": "control.json"})
