"""Kills the process at a chosen step of an order with SIGKILL, so no clean-up runs.

The steps are not in a list. A profile hook gets every call and return of the functions of journal and exchange adapter,
every SQL statement, and every read and write of a socket, from the write or look-up of an order until its outcome is
recorded. The process dies at the n-th of them, so the steps stay complete if the code changes.
"""

import json
import os
import signal
import socket
import sqlite3
import sys
import threading
from pathlib import Path
from types import FrameType
from typing import Any

import purpleflea_agent
from purpleflea_agent.exchange.seed import SeedExchange
from purpleflea_agent.journal.store import JournalStore

PACKAGE = Path(purpleflea_agent.__file__).parent
FILES = ("journal/journal.py", "journal/store.py", "journal/orders.py", "exchange/seed/client.py")
WATCHED = {str(PACKAGE / name) for name in FILES}
BEGINNINGS = (JournalStore.write.__code__, SeedExchange.find_order.__code__)
ENDS = [("return", store.__code__) for store in (JournalStore.settle, JournalStore.fail)]
PYTHON = ("call", "return")
OUTSIDE = {
    "execute": sqlite3.Connection,
    "send": socket.socket,
    "recv": socket.socket,
    "recv_into": socket.socket,
}


class CrashPoint:
    """The n-th step of an order, or the first step with a name."""

    def __init__(self, step: int | str) -> None:
        self._name = step if isinstance(step, str) else None
        self._left = step if isinstance(step, int) else 0
        self._has_begun = False
        self._lock = threading.Lock()

    def arm(self) -> None:
        """Install the hook in every thread."""
        threading.setprofile(self._on_profile_event)
        sys.setprofile(self._on_profile_event)

    def _on_profile_event(self, frame: FrameType, event: str, argument: Any) -> None:
        if event.startswith("c_"):
            kind = OUTSIDE.get(argument.__name__)
            if kind is None or not isinstance(argument.__self__, kind):
                return
        elif frame.f_code.co_filename not in WATCHED:
            return
        elif event == "call" and frame.f_code in BEGINNINGS:
            self._has_begun = True
        if self._has_begun:
            self._has_begun = (event, frame.f_code) not in ENDS
            name = frame.f_code.co_qualname if event in PYTHON else argument.__qualname__
            self._count(f"{event} {name}")

    def _count(self, step: str) -> None:
        if self._name not in (None, step):
            return
        with self._lock:
            self._left -= 1
            if self._left < 0:
                os.write(1, json.dumps({"died_at": step}).encode() + b"\n")
                os.kill(os.getpid(), signal.SIGKILL)
