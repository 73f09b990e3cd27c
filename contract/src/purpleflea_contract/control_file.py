"""The trading mode, and the annotation that brings it to a pod. The kubectl plugin imports it without pydantic.

`control` has the models of control.json and of its acknowledgement.
"""

import re
from enum import StrEnum

from purpleflea_contract import kubernetes

ANNOTATION = f"{kubernetes.GROUP}/mode"
"""Annotation on a pod: the trading mode of its last nudge, with the number of attempts if the first one was not
enough. A pod without the annotation has read the file after its start."""


class Mode(StrEnum):
    """Trading mode: Active trades, Halted runs and sends no order, Stopped also drains. Both cancel resting orders."""

    ACTIVE = "Active"
    HALTED = "Halted"
    STOPPED = "Stopped"


STRENGTH = (Mode.ACTIVE, Mode.HALTED, Mode.STOPPED)
"""The modes, from the one that allows most."""


def strongest(*modes: Mode | None) -> Mode | None:
    """Return the mode that allows least, Stopped before Halted before Active; None if there is none."""
    return max((mode for mode in modes if mode is not None), key=STRENGTH.index, default=None)


def nudge(mode: Mode, *, flatten: bool, attempts: int | None = None) -> str:
    """Return the annotation value that sends a control file to a pod, such as Halted or Stopped-flatten.

    `attempts` makes the value of a repeated nudge new.
    """
    value = f"{mode}-flatten" if flatten else str(mode)
    return value if attempts is None else f"{value}.{attempts}"


def is_nudged(value: str | None, mode: Mode, *, flatten: bool) -> bool:
    """Return whether the annotation of a pod has a control file, after any number of attempts."""
    return (value or "").split(".")[0] == nudge(mode, flatten=flatten)


def next_nudge(last: str | None, mode: Mode, *, flatten: bool) -> str:
    """Return the annotation value that sends a control file to a pod again; `last` is its current value."""
    if not is_nudged(last, mode, flatten=flatten):
        return nudge(mode, flatten=flatten)
    number = (last or "").partition(".")[2]
    attempts = int(number) + 1 if re.fullmatch("[0-9]{1,6}", number, re.ASCII) else 1
    return nudge(mode, flatten=flatten, attempts=attempts)
