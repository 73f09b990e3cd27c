"""One result of a check of `doctor`, and the exit code of all. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum


class Severity(IntEnum):
    """Urgency of a finding."""

    OK = 0
    NOTE = 1
    UNKNOWN = 2
    """The check could not be made."""
    WARNING = 3
    ERROR = 4


_EXIT_CODES = {
    Severity.OK: 0,
    Severity.NOTE: 0,
    Severity.UNKNOWN: 3,
    Severity.WARNING: 10,
    Severity.ERROR: 20,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One result of a check."""

    check: str
    severity: Severity
    text: str
    fix: str = ""
    """Command or action that fixes it."""
    link: str = ""
    """Address of its runbook; empty if the text and the fix are all."""


def counted(number: int, noun: str) -> str:
    """Return a number with its noun, such as 1 agent or 2 agents."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def exit_code(found: Iterable[Finding]) -> int:
    """Return the exit code: 0, 3 if a check could not be made, 10 with a warning, 20 with an error."""
    return _EXIT_CODES[max((item.severity for item in found), default=Severity.OK)]


def finding(check: str, severity: Severity, content: str, fix: str = "", link: str = "") -> Finding:
    """Return a finding."""
    return Finding(check=check, severity=severity, text=content, fix=fix, link=link)


def unread(check: str, what: str, right: str) -> Finding:
    """Return the finding of a check that could not be made, because the user lacks a right."""
    return finding(
        check, Severity.UNKNOWN, f"{what}, so this is not checked", f"you need the right to {right}"
    )
