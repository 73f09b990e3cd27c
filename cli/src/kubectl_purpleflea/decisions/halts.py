"""The PurpleFleaHalt that a command creates, and the proof that it has taken effect. Pure.

Only an observation proves a halt: the status that the operator wrote about this generation, or the answers of the
agents themselves. Everything else, also a lost answer, counts as unproven.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any

from kubectl_purpleflea.decisions.objects import Manifest, at, condition, mapping, number, text
from kubectl_purpleflea.decisions.selectors import Target
from purpleflea_contract import kubernetes

MAX_REASON = 253
_DURATION = re.compile(r"^([1-9][0-9]{0,5})(s|m|h|d)$")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}


class Level(StrEnum):
    """Strength of a halt."""

    HALT = "Halt"
    STOP = "Stop"


class Proof(StrEnum):
    """State that the command waits for."""

    HALTED = "halted"
    """No selected agent sends orders."""
    DRAINED = "drained"
    """In addition, nothing is open."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltRequest:
    """A halt as the user requests it."""

    name: str
    level: Level
    target: Target
    reason: str
    flatten: bool = False
    expires_at: str = ""

    def manifest(self) -> dict[str, Any]:
        """Return the PurpleFleaHalt.

        Raises:
            SelectorError: The label selector cannot be read.
        """
        spec: dict[str, Any] = {
            "level": str(self.level),
            "selector": self.target.selector(),
            "reason": self.reason,
        }
        if self.flatten:
            spec["flatten"] = True
        if self.expires_at:
            spec["expiresAt"] = self.expires_at
        return {
            "apiVersion": kubernetes.API_VERSION,
            "kind": "PurpleFleaHalt",
            "metadata": {"name": self.name},
            "spec": spec,
        }


def expiry(value: str, now: datetime) -> str:
    """Return the time at which a halt ends, from a duration such as 30m or a time of RFC 3339.

    Raises:
        ValueError: The text is neither, or the time has passed.
    """
    if match := _DURATION.match(value.strip()):
        moment = now + timedelta(seconds=int(match[1]) * _SECONDS[match[2]])
    else:
        try:
            moment = datetime.fromisoformat(value.strip())
        except ValueError as error:
            raise ValueError(
                "use a duration such as 30m, 2h or 1d, or a time such as 2030-01-01T12:00:00Z"
            ) from error
        if moment.tzinfo is None:
            raise ValueError("the time needs a time zone, such as 2030-01-01T12:00:00Z")
        if moment <= now:
            raise ValueError("the time has passed")
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


@dataclass(frozen=True, slots=True, kw_only=True)
class Progress:
    """How far a halt has taken effect."""

    matched: int = 0
    running: int = 0
    acknowledged: int = 0
    drained: int = 0
    first: str = ""
    """Time of the first acknowledgement."""
    last: str = ""
    open: tuple[str, ...] = ()
    """Agents with open work."""

    def counts(self) -> dict[str, Any]:
        """Return the fields, for a result that has the same progress."""
        return {item.name: getattr(self, item.name) for item in fields(Progress)}


@dataclass(frozen=True, slots=True, kw_only=True)
class HaltState(Progress):
    """The effect of a halt, as its status reports it."""

    is_reported: bool = False
    """Whether the operator has written a status about this generation."""
    is_halted: bool = False
    is_drained: bool = False
    is_final: bool = False
    """Whether waiting longer cannot prove the halt."""
    problem: str = ""
    """Why the halt does not apply as it was requested; empty if it does."""
    message: str = ""
    """Message of the condition that the state depends on."""

    def proves(self, proof: Proof) -> bool:
        """Return whether the state is the one that the command waits for."""
        is_reached = self.is_drained if proof is Proof.DRAINED else self.is_halted
        return is_reached and not self.problem


def halt_state(halt: Manifest, names: tuple[str, ...] = ()) -> HaltState:
    """Return the state of a halt. `names` are the agents that the user named."""
    status = at(halt, "status")
    generation = number(at(halt, "metadata", "generation"))
    accepted, halted = condition(halt, "Accepted"), condition(halt, "Halted")
    draining = condition(halt, "Draining")
    known = (accepted, halted, draining)
    is_reported = all(known) and all(
        number(item.get("observedGeneration")) >= generation for item in known
    )
    if not is_reported:
        return HaltState(message="the operator has not reported this halt")
    matched = number(at(status, "matched"))
    reason = text(halted.get("reason"))
    problem, is_final = _problem(accepted, reason, matched, names)
    is_halted = halted.get("status") == "True"
    is_drained = is_halted and draining.get("status") == "False"
    source = halted if not is_halted else draining
    return HaltState(
        is_reported=True,
        is_halted=is_halted,
        is_drained=is_drained,
        is_final=is_final,
        matched=matched,
        running=number(at(status, "running")),
        acknowledged=number(at(status, "acknowledged")),
        drained=number(at(status, "drained")),
        first=text(at(status, "firstAcknowledgedAt")),
        last=text(at(status, "lastAcknowledgedAt")),
        open=tuple(str(item) for item in at(status, "open") or ()),
        problem=problem,
        message=text(source.get("message")),
    )


def _problem(
    accepted: Mapping[str, Any], reason: str, matched: int, names: tuple[str, ...]
) -> tuple[str, bool]:
    """Return why a halt does not apply as it was requested, and whether no waiting changes that."""
    if reason == "Expired":
        return "the halt has expired", True
    if accepted.get("status") != "True":
        return text(accepted.get("message")) or "the halt is not accepted", False
    if reason == "NothingSelected":
        return (
            "no agent matches, so nothing is halted; agents that are created later and match start halted",
            True,
        )
    missing = len(set(names)) - matched
    if names and missing > 0:
        return (
            f"{missing} of the {len(set(names))} named agents do not exist or do not match",
            False,
        )
    return "", False


def differs(stored: Manifest, wanted: Manifest) -> list[str]:
    """Return the fields of a halt that the API server did not store as requested, such as those of a newer CRD.

    Fields that the API server adds with their defaults do not count.
    """
    kept, requested = (_without_defaults(mapping(at(item, "spec"))) for item in (stored, wanted))
    names = sorted({*kept, *requested})
    return [f"spec.{name}" for name in names if kept.get(name) != requested.get(name)]


def _without_defaults(spec: Mapping[str, Any]) -> dict[str, Any]:
    selector = mapping(spec.get("selector"))
    chosen = {
        key: value
        for key, value in selector.items()
        if value and (key, value) != ("scope", "Namespace")
    }
    others = {key: value for key, value in spec.items() if value and key != "selector"}
    return {**others, "selector": chosen}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome(Progress):
    """The result of a halt."""

    is_proven: bool
    by_agents: bool
    """Whether the agents themselves acknowledged, without the operator."""
    unproven: tuple[str, ...] = ()
    """Everything that the command could not prove, with the reason."""
