"""The trading mode: follows control.json, which the operator changes while the agent runs.

It polls the content, because a mounted ConfigMap is replaced by a symlink and inotify on it is unreliable. A file that
cannot be used never starts trading: at the start the mode is Halted. If the file becomes unusable later, an active
agent is halted after UNUSABLE_S, because the file could contain a halt.
"""

import asyncio
import codecs
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from pydantic import ValidationError

from purpleflea_contract.control import Acknowledgement, Control, Mode
from purpleflea_contract.events import CONTROL_CHANGED
from purpleflea_sdk.telemetry import logs

POLL_INTERVAL_S = 0.25
ACKNOWLEDGE_WAIT_S = 1.0
"""Longest wait of an acknowledgement for requests in flight. The operator waits 1.5 s for the answer."""
REPORT_TIMEOUT_S = 0.4
"""Longest wait for the report about work in progress, which may need a disk or code of a user that does not answer."""

UNUSABLE_S = 2.0
"""An active agent is halted if control.json is unusable for this long. A program that does not replace the file
atomically leaves a part of it for a moment."""
MAX_BYTES = 64 * 1024
"""A larger control.json is not valid. The operator writes less than 100 bytes."""

logger = logging.getLogger("purpleflea.control")


class SendBlocked(Exception):  # noqa: N818 - the name states the meaning
    """The trading mode forbids the request; it was not sent."""

    def __init__(self, reason: str) -> None:
        super().__init__(f"the trading mode forbids it: {reason}")
        self.reason = reason


@dataclass(frozen=True, slots=True, kw_only=True)
class Drain:
    """State of the work that a halt waits for."""

    is_drained: bool
    """True if nothing is being sent, the outcome of everything sent is known, and all work of the mode is done."""
    is_sending: bool = False
    """True while a request that moves money is being sent."""
    flattened: bool | None = None
    """True if no position is left; None if that was not requested, or is not known yet."""
    left_undone: str | None = None
    """Description of the work that was not done, and of the orders that are still open."""


@dataclass(frozen=True, slots=True, eq=False)
class _InFlight:
    """A request that moves money, and the mode in which it was sent."""

    block_reason: Callable[[], str | None]
    control: Control
    since: datetime


class ControlFile:
    """control.json and its last valid content. The class is part of the public library, and safe in several threads."""

    def __init__(
        self,
        path: Path,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._path = path
        self._now = now
        self._monotonic = monotonic
        self._text: bytes | None = None
        self._problem: str | None = None
        self._unusable_since: float | None = None
        self._control = Control(mode=Mode.HALTED)
        self._since = now()
        self._is_exiting = False
        self._in_flight: list[_InFlight] = []
        self._on_answer: list[Callable[[], object]] = []
        # Without it, a thread that has just passed the check could send after an acknowledgement of the new mode.
        self._lock = threading.RLock()
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
    def flatten(self) -> bool:
        """True if the control file requests to close positions in mode Stopped, whatever the settings are."""
        return self.is_stopped and self._control.flatten

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

    @property
    def close_block_reason(self) -> str | None:
        """Why no position may be closed, in the form of `block_reason`."""
        return None if self.may_close else self.mode.value.lower()

    @property
    def may_cancel(self) -> bool:
        """True if resting orders may be canceled: in the modes Halted and Stopped, and when positions may be closed."""
        return self.is_halted or self.may_close

    @property
    def claim_block_reason(self) -> str | None:
        """Why nothing may be claimed from the faucet, in the form of `block_reason`. Halted allows claims."""
        if self.is_stopped or self._is_exiting:
            return Mode.STOPPED.value.lower()
        return None

    @contextlib.contextmanager
    def sending(self, block_reason: Callable[[], str | None]) -> Iterator[None]:
        """Read the mode immediately before a request that moves money, and follow the request until its answer.

        Enter it after the write to the journal, which may take long, and put only the request itself inside. A mode
        that forbids the request is not acknowledged before its answer.

        Raises:
            SendBlocked: The mode forbids the request.
        """
        with self._lock:
            self.refresh()
            reason = block_reason()
            if reason is not None:
                raise SendBlocked(reason)
            request = _InFlight(block_reason, self._control, self._since)
            self._in_flight.append(request)
        try:
            yield
        finally:
            with self._lock:
                self._in_flight.remove(request)
                for notify in self._on_answer:
                    notify()

    async def wait_until_applied(self, timeout_s: float = ACKNOWLEDGE_WAIT_S) -> bool:
        """Wait until no request is in flight that the present mode forbids; False if the time is over before."""
        loop, answered = asyncio.get_running_loop(), asyncio.Event()

        def notify() -> None:
            loop.call_soon_threadsafe(answered.set)

        with self._lock:
            self._on_answer.append(notify)
        try:
            async with asyncio.timeout(timeout_s):
                while self._forbidden():
                    await answered.wait()
                    answered.clear()
        except TimeoutError:
            return False
        finally:
            with self._lock:
                self._on_answer.remove(notify)
        return True

    def end(self) -> None:
        """Let no more money leave, in any mode, because the process exits. Safe in a signal handler."""
        self._is_exiting = True

    async def acknowledge(self, report: Callable[[], Awaitable[Drain]]) -> Acknowledgement:
        """Return the answer to GET /v1/control: read the mode, wait for requests in flight, and add the report."""
        self.refresh()
        await self.wait_until_applied()
        mode = self.mode
        try:
            async with asyncio.timeout(REPORT_TIMEOUT_S):
                drain = await report()
        except TimeoutError:
            drain = Drain(
                is_drained=False, left_undone="not known: the report did not arrive in time"
            )
        return self.acknowledged(
            # The mode may have changed while the report was made.
            at_rest=self.is_halted and drain.is_drained and self.mode is mode,
            sending=drain.is_sending,
            flattened=drain.flattened,
            left_undone=drain.left_undone,
        )

    def acknowledged(
        self,
        *,
        at_rest: bool,
        sending: bool = False,
        flattened: bool | None = None,
        left_undone: str | None = None,
    ) -> Acknowledgement:
        """Return the answer to GET /v1/control; the arguments are its fields that depend on the orders.

        While a request is in flight that the mode forbids, the answer has the mode in which the request was sent.
        """
        with self._lock:
            control, since = self._control, self._since
            forbidden = self._forbidden()
        if forbidden:
            control, since = forbidden[0].control, forbidden[0].since
        return Acknowledgement(
            mode=control.mode,
            generation=control.generation,
            since=since,
            sending=sending or bool(forbidden),
            at_rest=at_rest and not forbidden,
            flattened=flattened,
            left_undone=left_undone,
        )

    def refresh(self) -> None:
        """Read the file now."""
        with self._lock:
            self._read(first=False)

    async def follow(self) -> None:
        """Read the file at every poll interval until canceled."""
        while True:
            await asyncio.sleep(POLL_INTERVAL_S)
            self.refresh()

    def _forbidden(self) -> list[_InFlight]:
        with self._lock:
            return [request for request in self._in_flight if request.block_reason() is not None]

    def _read(self, *, first: bool) -> None:
        try:
            problem = self._load(first=first)
        except FileNotFoundError:
            # Without an operator there is no file, and the agent may trade. A file that is removed changes nothing.
            if first:
                self._control = Control(mode=Mode.ACTIVE)
            return
        except OSError as error:
            # The same content counts again when the file can be read.
            self._text, problem = None, f"cannot be read ({error.strerror})"
        if problem != self._problem and problem is not None:  # log once, not at every poll
            logger.warning("%s %s; the mode is %s", self._path, problem, self.mode)
        self._problem = problem
        self._halt_if_unusable()

    def _load(self, *, first: bool) -> str | None:
        """Read the file, and apply its content if it has changed. Return why it is unusable; None if it is usable.

        Raises:
            OSError: The file cannot be read.
        """
        with self._path.open("rb") as file:
            text = file.read(MAX_BYTES + 1)
        if text == self._text:
            return self._problem
        self._text = text
        if len(text) > MAX_BYTES:
            return f"is larger than {MAX_BYTES} bytes"
        try:
            # Some editors write a mark at the start.
            control = Control.model_validate_json(text.removeprefix(codecs.BOM_UTF8))
        except ValidationError as error:
            return f"is not valid ({error.errors()[0]['msg']})"
        self._apply(control, "control.json", first=first)
        return None

    def _halt_if_unusable(self) -> None:
        if self._problem is None:
            self._unusable_since = None
            return
        now_s = self._monotonic()
        since_s = self._unusable_since = (
            now_s if self._unusable_since is None else self._unusable_since
        )
        if not self.is_halted and now_s - since_s >= UNUSABLE_S:
            halted = Control(mode=Mode.HALTED, generation=self._control.generation)
            self._apply(halted, f"control.json {self._problem}", first=False)

    def _apply(self, control: Control, reason: str, *, first: bool) -> None:
        changed = control.mode is not self.mode
        self._control = control
        if changed:
            self._since = self._now()
        if (changed and not first) or (first and self.is_halted):
            logs.log_event(CONTROL_CHANGED, {"mode": control.mode.value, "reason": reason})
