"""Texts about the result of a halt or of its end. Pure."""

from collections.abc import Sequence

from kubectl_purpleflea.decisions.finding import counted
from kubectl_purpleflea.decisions.halts import Level, Outcome, Proof
from kubectl_purpleflea.views.text import Line, line, styled

STATES = {Proof.HALTED: "halted", Proof.DRAINED: "drained"}


def placed(identity: str, level: Level, reason: str) -> str:
    """Return the line about a halt that was created."""
    return f"PurpleFleaHalt {identity} is created (level {level}, reason: {reason})"


def outcome(result: Outcome, identity: str, proof: Proof) -> list[Line]:
    """Return the lines about a result."""
    source = "the agents" if result.by_agents else "the operator"
    verdict = styled("PROVEN", "green") if result.is_proven else styled("NOT PROVEN", "red")
    found = [
        line(
            verdict,
            f": {result.acknowledged}/{result.running} running agents of {counted(result.matched, 'resource')} have "
            f"acknowledged, {result.drained}/{result.running} are drained (reported by {source})",
        )
    ]
    if result.first:
        found.append(line(f"first acknowledgement {result.first}, last {result.last}"))
    found += listed("open:", result.open)
    if not result.is_proven:
        found += listed(f"not proven to be {STATES[proof]}:", result.unproven)
    name = identity.partition("/")[2]
    namespace = identity.partition("/")[0]
    found.append(
        line("to resume: ", styled(f"kubectl purpleflea resume {name} -n {namespace}", "bold"))
    )
    return found


def resumed(deleted: Sequence[str], held: Sequence[str], unproven: Sequence[str]) -> list[Line]:
    """Return the lines about the end of halts."""
    found = [line(f"PurpleFleaHalt {item} is deleted") for item in deleted]
    found += listed("still halted by another request:", held)
    found += listed("not proven:", unproven)
    if not unproven:
        found.append(
            line(styled("PROVEN", "green"), ": no agent reports the deleted halts any more")
        )
    return found


def listed(title: str, entries: Sequence[str]) -> list[Line]:
    """Return a title and its entries; nothing if there are none."""
    return [line(title), *(line(f"  {entry}") for entry in entries)] if entries else []
