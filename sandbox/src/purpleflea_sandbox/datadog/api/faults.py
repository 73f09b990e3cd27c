"""Fault injection: selects the faults that apply to a call. Pure; `middleware` executes them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

MAX_DELAY_MS = 60_000


class ApiFaultKind(StrEnum):
    """Kinds of faults. With `_after_commit`, the call is executed, but the client gets no success response."""

    DELAY = "delay"
    STATUS = "status"
    STATUS_AFTER_COMMIT = "status_after_commit"
    RESET = "reset"
    TIMEOUT_AFTER_COMMIT = "timeout_after_commit"
    RATE_LIMIT = "rate_limit"


@dataclass(frozen=True, slots=True, kw_only=True)
class ApiFault:
    """A fault: its kind, the calls it matches, how many of them pass first (`skip`), and how often it fires
    (`times`).
    """

    kind: ApiFaultKind
    method: str = ""
    path_prefix: str = "/api/"
    ms: int = 0
    status: int = 503
    reset_s: int = 1
    skip: int = 0
    times: int | None = None

    def matches(self, method: str, path: str) -> bool:
        return self.method in ("", method) and path.startswith(self.path_prefix)


@dataclass(slots=True, kw_only=True)
class InstalledApiFault:
    """A fault with the number of calls it has matched and the number of times it has fired."""

    fault: ApiFault
    matched: int = 0
    hits: int = 0

    def fires(self) -> bool:
        """Count a matching call, and return True if the fault fires for it."""
        self.matched += 1
        exhausted = self.fault.times is not None and self.hits >= self.fault.times
        if exhausted or self.matched <= self.fault.skip:
            return False
        self.hits += 1
        return True


class FaultInjector:
    """All installed faults, in sequence."""

    def __init__(self) -> None:
        self.installed: tuple[InstalledApiFault, ...] = ()

    def replace(self, faults: Iterable[ApiFault]) -> None:
        self.installed = tuple(InstalledApiFault(fault=fault) for fault in faults)

    def matching(self, method: str, path: str) -> tuple[ApiFault, ...]:
        """Return the faults for this call. Delays add up; the first fault of another kind is the last one."""
        selected: list[ApiFault] = []
        for item in self.installed:
            if not item.fault.matches(method, path) or not item.fires():
                continue
            selected.append(item.fault)
            if item.fault.kind is not ApiFaultKind.DELAY:
                break
        return tuple(selected)


_NUMBERS: Mapping[str, tuple[int, int]] = {
    "ms": (0, MAX_DELAY_MS),
    "status": (400, 599),
    "reset_s": (1, 3600),
    "skip": (0, 1_000_000),
    "times": (1, 1_000_000),
}


def fault(document: Mapping[str, Any]) -> ApiFault:
    """Parse a fault from its JSON. Raises ValueError with the reason if it is invalid."""
    values = dict(document)
    try:
        kind = ApiFaultKind(values.pop("kind", None))
    except ValueError as error:
        raise ValueError(f"kind must be one of {', '.join(ApiFaultKind)}") from error
    texts: dict[str, Any] = {
        name: str(values.pop(name)) for name in ("method", "path_prefix") if name in values
    }
    for name, value in values.items():
        lowest, highest = _NUMBERS.get(name, (0, -1))
        if name == "times" and value is None:
            continue
        if not isinstance(value, int) or not lowest <= value <= highest:
            known = ", ".join((*_NUMBERS, "method", "path_prefix"))
            raise ValueError(f"{name}: invalid value {value!r}; the fields of a fault are {known}")
    return ApiFault(kind=kind, **texts, **values)
